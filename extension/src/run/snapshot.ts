import type { Candidate, EndReason, EventOf, TaskView, Usage } from '@pekka/node/protocol'
import { chargeOf, priceOf } from '@pekka/node/protocol'
import type { TaskPhase } from '@pekka/node/client'

/** How far one cell of a task is. `ms`: from its start to its end by the machine's clock. */
export type CellProgress =
  | { status: 'pending' }
  | { status: 'running'; since: number }
  | { status: 'ok' | 'error' | 'skipped' | 'not-run'; ms: number | null }

/** How a run ended, as its machine reported it. */
export interface RunEnd {
  reason: EventOf<'done'>['reason']
  outcome: EventOf<'done'>['outcome']
  detail: EventOf<'done'>['detail']
  usage: Usage
}

/** A task at one moment, as line, panel and status bar show it. Amounts in micro-credits, times in ms. */
export interface TaskSnapshot {
  /** Hexadecimal; of a kept machine's cell with its place behind it. */
  task: string
  /** Place of a kept machine's cell; null: a task of its own. */
  kept: number | null
  title: string
  kind: 'cell' | 'selection' | 'notebook' | 'script'
  /** Of the notebook, on the user's Jupyter server. */
  path: string | null
  cells: readonly string[]
  submittedAt: number
  phase: TaskPhase
  /** A machine was lost and another one tries: name of the lost one. */
  lost: string | null
  /** 1 is the first try. */
  attempt: number
  /** How many machines may try. */
  tries: number
  provider: string | null
  image: string | null
  cap: bigint
  /** Of the machine that runs it, a second. */
  price: bigint | null
  /** When the run's first event came here. */
  runningSince: number | null
  end: RunEnd | null
  /** Name of the error that ended it, as the machine told. */
  error: string | null
  /** Top-level name of the module that it did not find. */
  missingModule: string | null
  paid: bigint | null
  /** What a kept machine has cost until now, at its two prices; null: a run, which has one. */
  charged: bigint | null
  refunded: bigint | null
  /** Progress by cell. Empty where this page doesn't follow the output. */
  progress: ReadonlyMap<string, CellProgress>
  /** Share that the code reports of itself, 0 to 1. */
  fraction: number | null
  lastLines: readonly string[]
  /** What the run wrote; `stays`: too large to come back. */
  files: { name: string; size: number; stays: boolean }[]
  /** What the cells have assigned; `stays`: why it can't come back. */
  values: { name: string; type: string; size: number; stays: string | null }[]
  /** What became of them, in a sentence. */
  brought: string | null
  /** This page can fetch files and values now. */
  canFetch: boolean
  /** Where they were put, in a sentence. */
  saved: string | null
  moreFiles: number
  /** The user asked to cancel, and it isn't on the ledger yet. */
  cancelling: boolean
}

export const isOver = ({ phase }: Pick<TaskSnapshot, 'phase'>): boolean =>
  ['received', 'settled', 'refunded', 'refused', 'mismatch'].includes(phase.phase)

/** What the task has cost until now: the bill once it is known, else a guess from the time that went by. */
export function costOf(
  { paid, charged, price, cap, end, runningSince, phase }: TaskSnapshot,
  now: number
): { amount: bigint; known: boolean } {
  if (paid !== null && (phase.phase === 'settled' || phase.phase === 'refunded')) return { amount: paid, known: true }
  if (charged !== null) return { amount: charged, known: false }
  if (price === null) return { amount: 0n, known: phase.phase === 'waiting' || phase.phase === 'sending' }
  if (end !== null) return { amount: priceOf(price, end.usage.wallMs, cap), known: phase.phase === 'received' }
  if (runningSince === null) return { amount: 0n, known: false }
  return { amount: priceOf(price, Math.max(0, Math.round(now - runningSince)), cap), known: false }
}

/** What a kept machine has cost by the ledger's word of the time that it ran and waited; null: the task is no session, or hasn't begun. */
export function chargedOf(view: TaskView | null, candidate: Candidate | undefined): bigint | null {
  const progress = view?.attempts.at(-1)?.session ?? null
  if (view === null || view.offer.session === null || candidate === undefined || progress === null) return null
  return chargeOf(candidate, { wallMs: progress.busyMs, heldMs: progress.idleMs }, view.offer.cap)
}

/** How long it ran, ms: as billed once it ended, else until now. Null before it ran. */
export function timeOf({ end, runningSince }: TaskSnapshot, now: number): number | null {
  if (end !== null) return end.usage.wallMs
  return runningSince === null ? null : Math.max(0, now - runningSince)
}

/** Where a task stands that this page doesn't follow: as the ledger's view says, as the bridge tells it. */
export function phaseOfView(view: TaskView): TaskPhase {
  const attempt = view.attempts.at(-1)
  const committed = view.attempts.some(({ ended }) => ended === 'committed')
  switch (view.state) {
    case 'offered':
      return { phase: 'waiting', since: view.offeredAt }
    case 'running':
      return attempt
        ? { phase: 'running', provider: attempt.provider, attempt: view.attempts.length }
        : { phase: 'waiting', since: view.offeredAt }
    case 'stopping':
      return { phase: 'stopping', provider: attempt?.provider ?? null }
    case 'committed':
      return { phase: 'received' }
    case 'settled':
      return { phase: 'settled' }
    case 'refunded':
      return { phase: 'refunded', reason: refundReason(view.reason) }
    case 'closed':
      return committed ? { phase: 'settled' } : { phase: 'refunded', reason: refundReason(view.reason) }
  }
}

const refundReason = (reason: EndReason | null): string => reason ?? 'cancelled'
