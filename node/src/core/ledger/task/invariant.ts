import { toHex, type Attempt, type Parameters } from '../../protocol/index.js'
import { laneKey, timeOfKey } from '../rows.js'
import { scan, type Reader } from '../view.js'
import { levyOn, lockFor } from './escrow.js'
import { parametersOf, type TaskRow } from './record.js'
import { hasBegun, sessionDeadline } from './session.js'
import { dueFor } from './tranche.js'

/** Rows of PROTOCOL §9 that hold for each open task. */
export function taskInvariant(view: Reader): string[] {
  const broken: string[] = []
  const timers = new Map<string, number[]>()
  for (const [key, timer] of scan(view, 'timer')) {
    if (timer.kind === 'task') timers.set(toHex(timer.id), [...(timers.get(toHex(timer.id)) ?? []), timeOfKey(key)])
  }
  const escrows = new Map<string, bigint>()
  for (const [key, task] of scan(view, 'task')) {
    for (const issue of issuesOf(view, task)) broken.push(`task ${key} (${task.state}) ${issue}`)
    const own = timers.get(key) ?? []
    if (own.length !== 1 || own[0] !== task.deadline) broken.push(`task ${key} has timers at ${own.join()}`)
    const lane = laneKey(task.account, task.lane)
    escrows.set(lane, (escrows.get(lane) ?? 0n) + escrowOf(task))
  }
  const owe = (lane: string, amount: bigint) => escrows.set(lane, (escrows.get(lane) ?? 0n) + amount)
  for (const [, auction] of scan(view, 'auction')) {
    owe(laneKey(auction.account, auction.lane), auction.lock)
    for (const { provider, lane, deposit } of auction.bids) owe(laneKey(provider, lane), deposit)
  }
  for (const [key, lane] of scan(view, 'lane')) {
    if (lane.locked !== (escrows.get(key) ?? 0n)) broken.push(`lane ${key} locks other than its escrows and deposits`)
  }
  return broken
}

/** What is still locked for a task: all but what tranches paid; once it is settled the storage deposit alone. */
const escrowOf = (task: TaskRow): bigint => (task.state === 'settled' ? task.deposit : task.lock - task.paid)

function* issuesOf(view: Reader, task: TaskRow): Generator<string> {
  const parameters = parametersOf(view, task)
  const { cap } = task.offer
  const last = task.attempts.at(-1)
  const committed = task.attempts.filter(attempt => attempt.ended === 'committed').length
  if (task.lock !== lockFor(task.offer, parameters)) yield 'has another lock than cap + levy + deposit'
  if (committed > 1) yield 'has two attempts that are paid'
  if (task.attempts.slice(0, -1).some(attempt => attempt.ended === null)) yield 'has two attempts at once'
  if (task.paid > cap) yield 'pays more than the cap'
  if (task.held > task.paid) yield 'holds back more than it pays'
  yield* sessionIssues(task, last, parameters)
  switch (task.state) {
    case 'offered':
    case 'running':
    case 'stopping':
      if (task.refunded !== 0n || task.paid !== trancheOf(task, last)) yield 'has paid before its exit'
      if (task.levy !== levyOn(cap, parameters)) yield 'has not locked its levy'
      if (escrowOf(task) < cap - task.paid + task.levy + task.deposit) yield 'has locked less than it owes'
      if ((task.state === 'offered') !== (last?.ended !== null)) yield 'has a current attempt in the wrong state'
      if (task.state === 'offered' && hasBegun(task)) yield 'is offered again though its cells are lost'
      if (task.state === 'offered' && task.slice !== 0n) yield 'reserves a slice that nobody answers with'
      break
    case 'settled':
      if (task.lock !== task.paid + task.refunded + task.levy + task.deposit) yield 'loses money'
      if (committed !== 1 && task.paid !== trancheOf(task, last)) yield 'is settled without a commit or a tranche'
      if (committed !== 1 && last?.session?.tranche == null) yield 'is settled without a commit'
      if (task.slice !== 0n) yield 'is settled and reserves a slice'
      break
    default:
      yield 'is in a state that does not last'
  }
}

/** What tranches have paid: nothing but what the last one of the current attempt claims, at its price. */
function trancheOf(task: TaskRow, last: Attempt | undefined): bigint {
  const fixed = last?.session?.tranche
  return fixed == null || task.state === 'offered' ? 0n : dueFor(task, fixed.claim)
}

/** A session's time is counted once: never beyond its last `alive` or its life, no second both waiting and running (R33). */
function* sessionIssues(task: TaskRow, last: Attempt | undefined, parameters: Parameters): Generator<string> {
  const { session: terms } = task.offer
  for (const { session, acceptedT, claim } of task.attempts) {
    if ((session === null) !== (terms === null)) yield 'is half a session'
    if (session === null || terms === null) continue
    const covered = session.aliveT - acceptedT
    if (covered < 0 || covered > terms.lifeMs) yield 'covers more time than the session lives'
    if (session.idleMs + session.busyMs > covered) yield 'knows of more time than there was'
    if (session.idleSince !== null && session.aliveT - session.idleSince > terms.idleMs) yield 'has waited for too long'
    for (const made of [claim, session.tranche?.claim]) {
      if (made == null) continue
      const { wallMs } = made.usage
      const heldMs = made.session?.heldMs ?? 0
      if (wallMs + heldMs > covered) yield 'is paid beyond the last alive'
      if (wallMs > covered - session.idleMs) yield 'is paid as running where it waited'
      if (heldMs > covered - session.busyMs) yield 'is paid for waiting where it ran'
    }
  }
  if (terms === null || last?.session == null || task.state !== 'running') return
  if (task.deadline !== sessionDeadline(terms, last.acceptedT, last.session, parameters)) yield 'has another deadline'
}
