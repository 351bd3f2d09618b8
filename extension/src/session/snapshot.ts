import { chargeOf, equalBytes, type EventOf } from '@pekka/node/protocol'
import type { TaskPhase, TaskUpdate } from '@pekka/node/client'

/** What is known of a kept machine, before it is put together. */
export interface MachineFacts {
  task: string
  update: TaskUpdate
  provider: string | null
  /** When its first word came here, ms; null: none yet. */
  startedAt: number | null
  /** Time that ended cells ran. */
  wallMs: number
  runningSince: number | null
  lastEndAt: number | null
  /** Cells that have ended, the empty first among them. */
  ends: number
  /** Cells that wait for the one that runs. */
  queued: number
  lettingGo: boolean
  /** The session's own end. */
  done: EventOf<'done'> | null
}

/** A kept machine at one moment, as the notebook's line shows it. Amounts in micro-credits, times in ms. */
export interface MachineSnapshot {
  task: string
  phase: TaskPhase
  provider: string | null
  image: string | null
  cap: bigint
  /** A second while a cell runs, and while it waits. */
  price: bigint | null
  hold: bigint | null
  /** Since when it is kept. */
  since: number | null
  runningSince: number | null
  queued: number
  /** What it has cost until now; the bill once it is known. */
  spent: bigint
  refunded: bigint | null
  /** When it is let go if nothing is run; null: a cell runs. */
  idleEnd: number | null
  /** When it is let go in any case. */
  lifeEnd: number | null
  idleMs: number | null
  lettingGo: boolean
  done: EventOf<'done'> | null
  /** The ledger ended it because nobody sent a cell; not: somebody closed it, or its life was over. */
  endedByItself: boolean
}

export function machineSnapshot(facts: MachineFacts, now: number): MachineSnapshot {
  const { update, lettingGo, done, runningSince, queued } = facts
  const view = update.item?.view ?? null
  const attempt = view?.attempts.at(-1)
  const candidate =
    view?.offer.candidates.find(one => attempt !== undefined && equalBytes(one.provider, attempt.provider)) ??
    view?.offer.candidates[0]
  const cap = view?.offer.cap ?? 0n
  const since = attempt?.acceptedAt ?? facts.startedAt
  const terms = view?.offer.session ?? null
  const over = update.phase.phase === 'settled' || update.phase.phase === 'refunded'
  const wallMs = facts.wallMs + (runningSince === null ? 0 : Math.max(0, now - runningSince))
  const heldMs = since === null ? 0 : Math.max(0, now - since - wallMs)
  const guess =
    candidate === undefined || since === null
      ? 0n
      : chargeOf(candidate, { wallMs: Math.floor(wallMs), heldMs: Math.floor(heldMs) }, cap)
  const waits = runningSince === null && queued === 0
  return {
    task: facts.task,
    phase: update.phase,
    provider: facts.provider,
    image: view?.offer.image.name ?? null,
    cap,
    price: candidate?.pricePerSecond ?? null,
    hold: candidate?.holdPricePerSecond ?? null,
    since,
    runningSince,
    queued,
    spent: over && view !== null ? view.paid : guess,
    refunded: over && view !== null ? view.refunded : null,
    idleEnd: waits && terms !== null ? idleEndOf(facts, terms.idleMs) : null,
    lifeEnd: since === null || terms === null ? null : since + terms.lifeMs,
    idleMs: terms?.idleMs ?? null,
    lettingGo,
    done,
    endedByItself: view !== null && view.cancelledAt === null && !lettingGo && waitedOut(facts)
  }
}

/** Whether it had waited for as long as its offer says when it was ended. */
function waitedOut(facts: MachineFacts): boolean {
  const view = facts.update.item?.view ?? null
  const terms = view?.offer.session ?? null
  if (view === null || view.sessionEndedAt === null || terms === null) return false
  const end = idleEndOf(facts, terms.idleMs)
  return end !== null && end <= view.sessionEndedAt
}

/** By the ledger's word where it knows of all cells that have ended, since a reloaded page doesn't know when they did. */
function idleEndOf({ update, ends, lastEndAt }: MachineFacts, idleMs: number): number | null {
  const attempt = update.item?.view?.attempts.at(-1)
  const progress = attempt?.session ?? null
  if (attempt !== undefined && progress !== null && progress.idleSince !== null && progress.cells >= ends)
    return attempt.acceptedAt + (progress.idleSince - attempt.acceptedT) + idleMs
  return lastEndAt === null ? null : lastEndAt + idleMs
}
