import {
  equalBytes,
  isIdle,
  PekkaError,
  type Attempt,
  type BodyOf,
  type CommitClaim,
  type Parameters,
  type SessionProgress,
  type SessionReport,
  type SessionTerms
} from '../../protocol/index.js'
import type { TaskRow } from './record.js'

/**
 * What the ledger knows of a session's time, and what follows from it (R33). It believes no claim about time after the last
 * `alive`, and none that contradicts what the provider's own `alive`s said: a stretch with both ends waiting for the same
 * cell was waiting, one with both ends in the same cell was running. In between the provider's word counts, as for any usage.
 */

export const newProgress = (now: number): SessionProgress => ({
  in: { count: 0, head: null },
  cells: 0,
  aliveT: now,
  idleSince: null,
  idleMs: 0,
  busyMs: 0,
  trancheT: now,
  tranche: null
})

/** T at which the ledger ends a session that nobody closed: it has waited, or lived, for as long as its offer says. */
export const sessionEnd = (terms: SessionTerms, acceptedT: number, { idleSince }: SessionProgress): number =>
  Math.min(acceptedT + terms.lifeMs, idleSince === null ? Number.MAX_SAFE_INTEGER : idleSince + terms.idleMs)

/** T at which its provider is lost: no `alive` for a lease, or no tranche for too long. */
const lostAt = ({ aliveT, trancheT }: SessionProgress, { leaseMs, trancheMs }: Parameters): number =>
  Math.min(aliveT + leaseMs, trancheT + trancheMs)

/** RUNNING's timer of a session. */
export const sessionDeadline = (
  terms: SessionTerms,
  acceptedT: number,
  progress: SessionProgress,
  parameters: Parameters
): number => Math.min(sessionEnd(terms, acceptedT, progress), lostAt(progress, parameters))

/** Whether the session's own end came before its provider was lost: which of the two RUNNING's timer stands for. */
export function endsByItself({ offer }: TaskRow, { acceptedT, session }: Attempt, parameters: Parameters): boolean {
  if (offer.session === null || session === null) return false
  return sessionEnd(offer.session, acceptedT, session) <= lostAt(session, parameters)
}

/** Whether cells came after the first: then another machine can't go on with it. */
export const hasBegun = (task: TaskRow): boolean => (task.attempts.at(-1)?.session?.in.count ?? 0) > 0

const refuse = (issue: string): PekkaError => new PekkaError('TRANSACTION_INVALID', { issue })

/** Where a chain stood, and stands now: it only grows, and one length has one head. */
function needGrowth(
  what: string,
  before: { count: number; head: Uint8Array | null },
  now: { count: number; head: Uint8Array | null }
): void {
  if (now.count < before.count) throw refuse(`${what} goes back`)
  const same = before.head === null || (now.head !== null && equalBytes(now.head, before.head))
  if (now.count === before.count && !same) throw refuse(`${what} has two heads`)
}

/** How far a session has come by all that its provider said: in its last `alive`, or in a tranche made since. */
function standing({ in: chain, cells, tranche }: SessionProgress): SessionReport {
  const fixed = tranche?.claim.session
  if (fixed === undefined || fixed === null) return { in: chain, cells }
  return { in: fixed.in.count > chain.count ? fixed.in : chain, cells: Math.max(cells, fixed.cells) }
}

/** Refuses session fields in tasks without a session, and the other way round. */
export function needSessionFields(task: TaskRow, fields: object | null): void {
  if ((fields === null) !== (task.offer.session === null)) {
    throw refuse(task.offer.session === null ? 'the task is no session' : 'the task is a session')
  }
}

/**
 * Takes an `alive` in: the time up to `now` is covered, and what is known of it grows.
 * @throws PekkaError TRANSACTION_INVALID when a chain or the count of cells goes back
 */
export function report(task: TaskRow, attempt: Attempt, body: BodyOf<'alive'>, now: number): SessionProgress | null {
  needSessionFields(task, body.session)
  const { session: before } = attempt
  if (body.session === null || before === null || task.offer.session === null) return null
  const { in: chain, cells } = body.session
  const last = standing(before)
  needGrowth('the output', attempt, body)
  needGrowth('the chain of cells', last.in, chain)
  if (cells < last.cells) throw refuse('cells have ended and run again')
  // After its end a session is only waited for: time up to then is covered, no more.
  const stopped = task.state === 'stopping' ? task.since : Number.MAX_SAFE_INTEGER
  const end = Math.min(now, stopped, sessionEnd(task.offer.session, attempt.acceptedT, before))
  const aliveT = Math.max(before.aliveT, end)
  const passed = aliveT - before.aliveT
  const waited = isIdle(before) && chain.count === before.in.count
  const ran = !isIdle(before) && cells === before.cells
  return {
    ...before,
    in: chain,
    cells,
    aliveT,
    idleSince: !isIdle(body.session) ? null : waited ? before.idleSince : aliveT,
    idleMs: before.idleMs + (waited ? passed : 0),
    busyMs: before.busyMs + (ran ? passed : 0)
  }
}

/**
 * What a tranche or a commit of a session may claim: in all no more than the time from accept to the last `alive`, no running
 * time where it was known to wait, no waiting where it was known to run; and it never goes back.
 * @throws PekkaError TRANSACTION_INVALID, LIMIT_EXCEEDED
 */
export function checkClaim(attempt: Attempt, claim: CommitClaim): void {
  const { session: progress } = attempt
  if (progress === null || claim.session === null) throw refuse('the claim is of no session')
  const { heldMs, in: chain, cells } = claim.session
  const { wallMs } = claim.usage
  const covered = progress.aliveT - attempt.acceptedT
  if (wallMs + heldMs > covered || wallMs > covered - progress.idleMs || heldMs > covered - progress.busyMs) {
    throw new PekkaError('LIMIT_EXCEEDED')
  }
  const last = standing(progress)
  needGrowth('the output', attempt, claim)
  needGrowth('the chain of cells', last.in, chain)
  if (cells < last.cells) throw refuse('cells have ended and run again')
  const fixed = progress.tranche?.claim
  if (fixed === undefined) return
  if (claim.run !== fixed.run) throw refuse('a session has one run')
  if (wallMs < fixed.usage.wallMs || heldMs < (fixed.session?.heldMs ?? 0)) throw refuse('the claim goes back')
}
