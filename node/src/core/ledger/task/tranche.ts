import { chargeOf, equalBytes, PekkaError, type BodyOf, type CommitClaim } from '../../protocol/index.js'
import { needOwn, needState } from '../moved.js'
import { changeProvider } from '../provider.js'
import type { Sender, Step } from '../step.js'
import { releaseAttempt, runDeadline } from './accept.js'
import { enter, needAttempt, needTask, parametersOf, store, withAttempt, type TaskRow } from './record.js'
import { checkClaim, needSessionFields } from './session.js'
import { payTranche, refund, settle } from './settle.js'

/** Sessions (R33): pay in parts while the machine is kept, and the ways they end. */

/** What a claim costs at the price of the current attempt's candidate. */
export function dueFor(task: TaskRow, claim: CommitClaim, wallMs = claim.usage.wallMs): bigint {
  const candidate = task.offer.candidates[task.attempts.at(-1)?.candidate ?? -1]
  if (candidate === undefined) throw new TypeError('a committed task has a candidate')
  return chargeOf(candidate, { wallMs, heldMs: claim.session?.heldMs ?? 0 }, task.offer.cap)
}

/**
 * RUNNING stays RUNNING: the session's cells and time so far are fixed and paid. The claim is cumulative, so sending it
 * again, or an older one, pays nothing twice: it fails, since a tranche must cover more time than the last.
 * @throws PekkaError TASK_UNKNOWN, TASK_STATE, CANDIDATE_NOT_NAMED, TRANSACTION_INVALID, LIMIT_EXCEEDED
 */
export function tranche(step: Step, sender: Sender, body: BodyOf<'tranche'>): void {
  const { view, context, transaction } = step
  const { claim } = body
  const task = needTask(view, body.task)
  needState(task, body.kind, 'running')
  const attempt = needAttempt(task, body.kind, body.attempt, sender.account)
  needSessionFields(task, claim.session)
  checkClaim(attempt, claim)
  const { session } = attempt
  if (session === null || transaction === null) throw new TypeError('a tranche is sent, for a session')
  if (claim.outcome === 'stopped') {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'a session that goes on has not stopped' })
  }
  if (timeOf(claim) <= (session.tranche === null ? 0 : timeOf(session.tranche.claim))) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'a tranche covers more time than the last' })
  }
  // The last one is listed in place of the one before, which it contains: a day's session would fill its row with them.
  const before = session.tranche?.transaction
  const transactions =
    before === undefined ? task.transactions : task.transactions.filter(id => !equalBytes(id, before))
  const paid = payTranche(step, { ...task, transactions }, dueFor(task, claim))
  const progress = { ...session, trancheT: context.contractTime, tranche: { claim, transaction } }
  const moved = withAttempt(paid, { session: progress, count: claim.count, head: claim.head })
  const current = { ...attempt, session: progress }
  const deadline = runDeadline(task, current, session.aliveT, parametersOf(view, task))
  store(step, { ...moved, deadline })
}

const timeOf = (claim: CommitClaim): number => claim.usage.wallMs + (claim.session?.heldMs ?? 0)

/** The client needs no more of it: a normal end, with a grace for the last commit. @throws as cancel */
export function closeSession(step: Step, sender: Sender, body: BodyOf<'close'>): void {
  const task = needTask(step.view, body.task)
  needOwn(task, sender, body.kind)
  needState(task, body.kind, 'running')
  if (task.offer.session === null) throw new PekkaError('TASK_STATE', { state: task.state, body: body.kind })
  endSession(step, task)
}

/** RUNNING → STOPPING: closed by the client, or by the ledger once it has waited or lived long enough. */
export function endSession(step: Step, task: TaskRow): void {
  const { view, context } = step
  enter(step, task, 'stopping', context.contractTime + parametersOf(view, task).graceMs, {
    sessionEndedAt: context.timestamp
  })
}

/**
 * STOPPING's timer: no commit came. Nothing more is paid; what tranches fixed stays paid. After a close the provider owed the
 * commit, so that counts as a failure of its own.
 */
export function giveUpStopping(step: Step, task: TaskRow): void {
  const attempt = task.attempts.at(-1)
  const owed = task.cancelledAt === null
  if (owed && attempt !== undefined) changeProvider(step, attempt.provider, row => ({ failed: row.failed + 1 }))
  const free = releaseAttempt(step, withAttempt(task, { ended: owed ? 'lapsed' : 'cancelled' }))
  if (task.paid > 0n) return settle(step, free, owed ? 'provider-lost' : 'stopped', task.paid)
  refund(step, free, owed ? 'provider-lost' : 'cancelled')
}
