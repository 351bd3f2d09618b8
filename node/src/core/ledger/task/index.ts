import { PekkaError, toHex } from '../../protocol/index.js'
import { timeOfKey } from '../rows.js'
import type { Step } from '../step.js'
import { scan, type Reader } from '../view.js'
import { levyOn, lockFor } from './offer.js'
import { parametersOf, type TaskRow } from './record.js'
import { giveUpStopping, lapse } from './run.js'
import { close, refund } from './settle.js'

export { accept, decline } from './accept.js'
export { levyOn, lockFor, offer, sliceOf } from './offer.js'
export { alive, cancel, commit, fail, USAGE_TOLERANCE_MS } from './run.js'
export { anyLeft, isOut, windowOpens } from './windows.js'
export { viewOf, type TaskRow } from './record.js'

/** What happens when a task's time is up (PROTOCOL §9, column "deadline → default"). Nobody signs it. */
export function taskTimer(step: Step, id: Uint8Array): void {
  const task = step.view.get('task', toHex(id))
  if (task === undefined) throw new TypeError('a timer of a task that is gone')
  switch (task.state) {
    case 'offered':
      return refund(step, task, 'no-provider')
    case 'running':
      return lapse(step, task)
    case 'stopping':
      return giveUpStopping(step, task)
    case 'settled':
      return close(step, task)
    default:
      throw new PekkaError('TASK_STATE', { state: task.state, body: 'timer' })
  }
}

/** Rows of PROTOCOL §9 that hold for each open task. */
export function taskInvariant(view: Reader): string[] {
  const broken: string[] = []
  const timers = new Map<string, number[]>()
  for (const [key, timer] of scan(view, 'timer')) {
    if (timer.kind === 'task') timers.set(toHex(timer.id), [...(timers.get(toHex(timer.id)) ?? []), timeOfKey(key)])
  }
  for (const [key, task] of scan(view, 'task')) {
    for (const issue of issuesOf(view, task)) broken.push(`task ${key} (${task.state}) ${issue}`)
    const own = timers.get(key) ?? []
    if (own.length !== 1 || own[0] !== task.deadline) broken.push(`task ${key} has timers at ${own.join()}`)
  }
  return broken
}

function* issuesOf(view: Reader, task: TaskRow): Generator<string> {
  const parameters = parametersOf(view, task)
  const { cap } = task.offer
  const last = task.attempts.at(-1)
  const committed = task.attempts.filter(attempt => attempt.ended === 'committed').length
  if (task.lock !== lockFor(task.offer, parameters)) yield 'has another lock than cap + levy + deposit'
  if (committed > 1) yield 'has two attempts that are paid'
  if (task.attempts.slice(0, -1).some(attempt => attempt.ended === null)) yield 'has two attempts at once'
  switch (task.state) {
    case 'offered':
    case 'running':
    case 'stopping':
      if (task.paid + task.refunded + task.held !== 0n) yield 'has paid before its exit'
      if (task.levy !== levyOn(cap, parameters)) yield 'has not locked its levy'
      if ((task.state === 'offered') !== (last?.ended !== null)) yield 'has a current attempt in the wrong state'
      if (task.state === 'offered' && task.slice !== 0n) yield 'reserves a slice that nobody answers with'
      break
    case 'settled':
      if (task.lock !== task.paid + task.refunded + task.levy + task.deposit) yield 'loses money'
      if (task.paid > cap) yield 'pays more than the cap'
      if (task.held > task.paid) yield 'holds back more than it pays'
      if (committed !== 1) yield 'is settled without a commit'
      if (task.slice !== 0n) yield 'is settled and reserves a slice'
      break
    default:
      yield 'is in a state that does not last'
  }
}
