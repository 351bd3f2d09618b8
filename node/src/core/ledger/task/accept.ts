import { equalBytes, PekkaError, type Attempt, type BodyOf, type Parameters } from '../../protocol/index.js'
import { changeLoad } from '../ask.js'
import { needState } from '../moved.js'
import { freeSlice, reserveSlice } from '../provider.js'
import type { Sender, Step } from '../step.js'
import { sliceOf } from './escrow.js'
import { offerDeadline } from './offer.js'
import { enter, needTask, parametersOf, store, type TaskRow } from './record.js'
import { hasBegun, newProgress, sessionDeadline } from './session.js'
import { refund, settle } from './settle.js'
import { anyLeft, isOut, windowOpens } from './windows.js'

/** OFFERED(n): candidates accept or decline, the client may cancel, and nobody coming ends it. */

/** The place of the sender among the candidates. @throws PekkaError CANDIDATE_NOT_NAMED also when it is out. */
function needCandidate(task: TaskRow, provider: Uint8Array): number {
  const candidate = task.offer.candidates.findIndex(({ provider: named }) => equalBytes(named, provider))
  if (candidate < 0 || isOut(task, candidate)) throw new PekkaError('CANDIDATE_NOT_NAMED')
  return candidate
}

/**
 * When a running attempt is over: its lease, or the latest moment at which its commit could come; for a session what
 * session.ts says.
 */
export function runDeadline(task: TaskRow, attempt: Attempt, aliveT: number, parameters: Parameters): number {
  const { session, limits } = task.offer
  if (session !== null && attempt.session !== null) {
    return sessionDeadline(session, attempt.acceptedT, attempt.session, parameters)
  }
  return Math.min(aliveT + parameters.leaseMs, attempt.acceptedT + limits.wallMs + parameters.graceMs)
}

/**
 * OFFERED(n) → RUNNING(n): the first accept in ledger order wins.
 * @throws PekkaError TASK_UNKNOWN, TASK_STATE, CANDIDATE_NOT_NAMED (also before its window), FUNDS_MISSING
 */
export function accept(step: Step, sender: Sender, body: BodyOf<'accept'>): void {
  const { view, context } = step
  const task = needTask(view, body.task)
  needState(task, body.kind, 'offered')
  const candidate = needCandidate(task, sender.account)
  const parameters = parametersOf(view, task)
  const now = context.contractTime
  if (now < windowOpens(task, candidate, parameters.windowMs)) throw new PekkaError('CANDIDATE_NOT_NAMED')
  const slice = sliceOf(task.offer, parameters)
  reserveSlice(step, sender.account, slice)
  const attempt: Attempt = {
    provider: sender.account,
    candidate,
    acceptedAt: context.timestamp,
    acceptedT: now,
    ended: null,
    reason: null,
    claim: null,
    count: 0,
    head: null,
    session: task.offer.session === null ? null : newProgress(now)
  }
  countLoad(step, task, candidate, 1)
  enter(step, task, 'running', runDeadline(task, attempt, now, parameters), {
    attempts: [...task.attempts, attempt],
    slice
  })
}

/** A named candidate doesn't want it: free, and the next window opens. @throws PekkaError TASK_STATE, CANDIDATE_NOT_NAMED */
export function decline(step: Step, sender: Sender, body: BodyOf<'decline'>): void {
  const task = needTask(step.view, body.task)
  needState(task, body.kind, 'offered')
  const candidate = needCandidate(task, sender.account)
  const declined = store(step, { ...task, declined: [...task.declined, candidate] })
  if (!anyLeft(declined)) refund(step, declined, 'no-provider')
}

/**
 * Back to OFFERED(n+1) after a failed or lapsed attempt, or the end when no candidate is left (R2). A session that has begun
 * ends with its machine: what later cells made is gone, so nobody goes on with it unasked. What tranches fixed stays paid.
 */
export function nextAttempt(step: Step, task: TaskRow): void {
  const { context, view } = step
  const free = releaseAttempt(step, task)
  if (task.paid > 0n) return settle(step, free, 'provider-lost', task.paid)
  if (!anyLeft(free) || hasBegun(free)) return refund(step, free, 'provider-lost')
  enter(step, free, 'offered', offerDeadline(task.offer, context.contractTime, parametersOf(view, task)))
}

/** Frees what the current attempt holds: the slice of the bond and its place at the ask. Stores nothing of the task. */
export function releaseAttempt(step: Step, task: TaskRow): TaskRow {
  const attempt = task.attempts.at(-1)
  if (attempt === undefined) return task
  if (task.slice !== 0n) freeSlice(step, attempt.provider, task.slice)
  countLoad(step, task, attempt.candidate, -1)
  return { ...task, slice: 0n }
}

function countLoad(step: Step, task: TaskRow, candidate: number, by: 1 | -1): void {
  const named = task.offer.candidates[candidate]
  if (named !== undefined) changeLoad(step, named.ask, by)
}
