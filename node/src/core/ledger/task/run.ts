import { PekkaError, type BodyOf, type CommitClaim } from '../../protocol/index.js'
import { changeLoad } from '../ask.js'
import { needOwn, needState } from '../moved.js'
import { changeProvider, reserveSlice } from '../provider.js'
import type { Sender, Step } from '../step.js'
import { nextAttempt, releaseAttempt, runDeadline } from './accept.js'
import { sliceOf } from './escrow.js'
import { enter, needAttempt, needTask, parametersOf, store, withAttempt, type TaskRow } from './record.js'
import { checkClaim, endsByItself, needSessionFields, report } from './session.js'
import { refund, settle } from './settle.js'
import { dueFor, endSession } from './tranche.js'

/** RUNNING(n) and STOPPING(n): leases, failure, cancel, and the commit that fixes the result. */

/** A claim may exceed the time between the two commits by this: timestamps are the witnesses', usage is the provider's, ms. */
export const USAGE_TOLERANCE_MS = 1000

/**
 * Renews the lease (R2). A session's also says how far its chains go; in STOPPING it covers the time up to the end, no lease.
 * @throws PekkaError TASK_UNKNOWN, TASK_STATE, CANDIDATE_NOT_NAMED, TRANSACTION_INVALID
 */
export function alive(step: Step, sender: Sender, body: BodyOf<'alive'>): void {
  const { view, context } = step
  const task = needTask(view, body.task)
  needState(task, body.kind, 'running', ...(task.offer.session === null ? [] : ['stopping' as const]))
  const attempt = needAttempt(task, body.kind, body.attempt, sender.account)
  const session = report(task, attempt, body, context.contractTime)
  const change = { count: body.count, head: body.head, session }
  const deadline =
    task.state === 'stopping'
      ? task.deadline
      : runDeadline(task, { ...attempt, ...change }, context.contractTime, parametersOf(view, task))
  // It moves nothing, so it isn't listed: a day's task would carry thousands of ids.
  store(step, { ...withAttempt(task, change), deadline }, false)
}

/** The provider gives its attempt up: as a lapse, only sooner. @throws as {@link alive} */
export function fail(step: Step, sender: Sender, body: BodyOf<'fail'>): void {
  const task = needTask(step.view, body.task)
  needState(task, body.kind, 'running')
  needAttempt(task, body.kind, body.attempt, sender.account)
  changeProvider(step, sender.account, row => ({ failed: row.failed + 1 }))
  const failed = store(step, withAttempt(task, { ended: 'failed', reason: body.reason }))
  nextAttempt(step, failed)
}

/** The client ends it: at once and free before an accept; while it runs the provider has a grace to commit (R10). */
export function cancel(step: Step, sender: Sender, body: BodyOf<'cancel'>): void {
  const { view, context } = step
  const task = needTask(view, body.task)
  needOwn(task, sender, body.kind)
  needState(task, body.kind, 'offered', 'running')
  if (task.state === 'offered') {
    return refund(step, store(step, { ...task, cancelledAt: context.timestamp }), 'cancelled')
  }
  enter(step, task, 'stopping', context.contractTime + parametersOf(view, task).graceMs, {
    cancelledAt: context.timestamp
  })
}

/**
 * The provider fixes its result. RUNNING or STOPPING → COMMITTED → SETTLED in one commit, since no audit is drawn at rate
 * 0; after a lapse it counts until another accept does (R2).
 * @throws PekkaError TASK_UNKNOWN, TASK_STATE, CANDIDATE_NOT_NAMED, LIMIT_EXCEEDED, TRANSACTION_INVALID, FUNDS_MISSING
 */
export function commit(step: Step, sender: Sender, { kind, task: id, attempt: number, claim }: BodyOf<'commit'>): void {
  const { view, context } = step
  const task = needTask(view, id)
  needState(task, kind, 'running', 'stopping', 'offered')
  const attempt = needAttempt(task, kind, number, sender.account)
  const late = task.state === 'offered'
  if (late && attempt.ended !== 'lapsed') throw new PekkaError('TASK_STATE', { state: task.state, body: kind })
  needSessionFields(task, claim.session)
  if (claim.session === null) checkUsage(task, claim, context.timestamp - attempt.acceptedAt)
  else checkClaim(attempt, claim)
  const stopping = task.state === 'stopping'
  if (claim.outcome === 'stopped' && !stopping) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'stopped without a cancel' })
  }
  const held = late ? takeBack(step, task, attempt.provider) : task
  changeProvider(step, attempt.provider, row => ({
    completed: row.completed + 1,
    failed: row.failed - (late ? 1 : 0)
  }))
  const committed = withAttempt(held, { ended: 'committed', claim, count: claim.count, head: claim.head })
  const free = releaseAttempt(step, committed)
  // A session that was closed ended as it should, unless that cut a cell short.
  const stopped = stopping && (task.sessionEndedAt === null || claim.outcome === 'stopped')
  settle(step, free, stopped ? 'stopped' : 'not-rerun', dueFor(free, claim, chargedMs(task, claim, attempt.acceptedAt)))
}

function checkUsage(task: TaskRow, { usage }: CommitClaim, elapsed: number): void {
  if (usage.wallMs > Math.min(elapsed + USAGE_TOLERANCE_MS, task.offer.limits.wallMs)) {
    throw new PekkaError('LIMIT_EXCEEDED')
  }
}

/** A commit after the lapse: the slice is reserved again (and freed as it settles). */
function takeBack(step: Step, task: TaskRow, provider: Uint8Array): TaskRow {
  const slice = sliceOf(task.offer, parametersOf(step.view, task))
  reserveSlice(step, provider, slice)
  const candidate = task.offer.candidates[task.attempts.at(-1)?.candidate ?? -1]
  if (candidate !== undefined) changeLoad(step, candidate.ask, 1)
  return { ...task, slice }
}

/** Time that is paid: what was claimed, and after a cancel no more than from accept to cancel (R10). */
function chargedMs(task: TaskRow, claim: CommitClaim, acceptedAt: number): number {
  if (task.cancelledAt === null) return claim.usage.wallMs
  return Math.min(claim.usage.wallMs, task.cancelledAt - acceptedAt)
}

/** RUNNING's timer: the lease, the wall limit or a session's time for its next tranche ran out; or the session is over. */
export function lapse(step: Step, task: TaskRow): void {
  const attempt = task.attempts.at(-1)
  if (attempt === undefined) throw new TypeError('a running task has an attempt')
  if (endsByItself(task, attempt, parametersOf(step.view, task))) return endSession(step, task)
  changeProvider(step, attempt.provider, row => ({ failed: row.failed + 1 }))
  nextAttempt(step, withAttempt(task, { ended: 'lapsed' }))
}
