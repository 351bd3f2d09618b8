import {
  PekkaError,
  equalBytes,
  isEnded,
  type LogEntry,
  type ManifestEnvelope,
  type RunHeader,
  type TaskEvent,
  type TaskItem,
  type TaskView
} from '../../protocol/index.js'
import type { ProofVerdict } from '../ledger/proven-ledger.js'
import type { FinishedRun, Returned, TaskReader } from './reader.js'
import type { Live } from '../live.js'

/**
 * Where a task stands for its owner, in the order of R14b. `received` means: head and digests recomputed here equal the
 * commit. `settled` and `refunded` are the bridge's word until `proof` says what the witnesses signed (R14c).
 */
export type TaskPhase =
  | { phase: 'sending' }
  | { phase: 'waiting'; since: number }
  | { phase: 'starting'; provider: Uint8Array }
  | { phase: 'running'; provider: Uint8Array; attempt: number }
  | { phase: 'stopping'; provider: Uint8Array | null }
  | { phase: 'received' }
  | { phase: 'settled'; proof?: Exclude<ProofVerdict, 'open'> }
  | { phase: 'refunded'; reason: string; proof?: Exclude<ProofVerdict, 'open'> }
  /** Never got onto the ledger. */
  | { phase: 'refused'; code: string }
  /** Output and commit do not agree: not to be used. */
  | { phase: 'mismatch' }

export interface TaskUpdate {
  phase: TaskPhase
  item: TaskItem | null
  finished: FinishedRun | null
}

/** Receives everything of one task, in order. */
export interface TaskObserver {
  /** A new attempt announced itself; what is shown is from an earlier one and goes at `reset` (R14). */
  superseded?(attempt: number): void
  /** A run's signed header, before its first frame. */
  run?(header: RunHeader): void
  reset?(attempt: number, run: number): void
  events?(events: TaskEvent[]): void | Promise<void>
  update?(update: TaskUpdate): void
}

/** Follows one task from its log and the ledger's word to its end. */
export class TaskFollower {
  #item: TaskItem | null = null
  #phase: TaskPhase = { phase: 'sending' }
  #running: { provider: Uint8Array; attempt: number } | null = null
  #error: PekkaError | null = null
  #resubmitting = false
  #verdict: ProofVerdict = 'open'
  #judging = false
  #stop: (() => void) | null = null
  #stopped = false
  readonly #ended: Promise<TaskUpdate>
  #resolveEnded: (update: TaskUpdate) => void = () => undefined
  #rejectEnded: (error: PekkaError) => void = () => undefined

  constructor(
    private readonly components: {
      live: Live
      reader: TaskReader
      /** Signs and sends the same offer anew when the ledger refused it for its place in the lane; false: given up. */
      resubmit: (code: string) => Promise<boolean>
      /** What the ledger's proof says of an end that the bridge told. */
      judge: (view: TaskView) => Promise<ProofVerdict>
    },
    readonly task: Uint8Array,
    private readonly observer: TaskObserver
  ) {
    this.#ended = new Promise((resolve, reject) => {
      this.#resolveEnded = resolve
      this.#rejectEnded = reject
    })
    // Whoever does not wait for the end is told by `update`.
    this.#ended.catch(() => undefined)
  }

  /** Resolves when nothing more happens to the output: received and settled, refunded, refused or mismatch. */
  get ended(): Promise<TaskUpdate> {
    return this.#ended
  }

  get current(): TaskUpdate {
    return { phase: this.#phase, item: this.#item, finished: this.components.reader.finished }
  }

  start(): void {
    this.#stop ??= this.components.live.follow(this.task, {
      after: () => this.components.reader.after,
      entries: entries => this.#entries(entries),
      item: item => this.#update(item),
      failed: error => this.#fail(error)
    })
  }

  /** See {@link TaskReader.opening}. */
  get opening(): ManifestEnvelope | null {
    return this.components.reader.opening
  }

  /** See {@link TaskReader.open}. */
  open(returned: Returned, whole?: boolean): AsyncGenerator<Uint8Array, void, undefined> {
    return this.components.reader.open(returned, whole)
  }

  /** Its observer hears nothing any more; what came back can still be opened. */
  stop(): void {
    this.#stopped = true
    this.#stop?.()
    this.#stop = null
  }

  async #entries(entries: LogEntry[]): Promise<void> {
    for await (const output of this.components.reader.read(entries)) {
      if (this.#stopped) return
      if (output.kind === 'run') {
        if (this.#running) this.observer.superseded?.(output.header.attempt)
        this.observer.run?.(output.header)
      } else if (output.kind === 'reset') {
        this.observer.reset?.(output.attempt, output.run)
      } else {
        await this.observer.events?.(output.events)
      }
      if (output.kind === 'run') this.#running = { provider: output.header.provider, attempt: output.header.attempt }
      this.#refresh()
    }
    // A batch may hold a signed head alone, and that may be what was still missing.
    this.#refresh()
  }

  #update(item: TaskItem): void {
    // Updates may overtake one another; the one with more transactions is newer.
    const known = this.#item?.view?.transactions.length ?? -1
    if (this.#item && (item.view?.transactions.length ?? -1) < known) return
    this.#item = item
    if (item.bridge === 'refused' && !this.#resubmitting) this.#resubmit(item.code ?? 'INTERNAL')
    else this.#refresh()
  }

  #resubmit(code: string): void {
    this.#resubmitting = true
    this.components.resubmit(code).then(
      sent => {
        // A later refusal must be seen again, so only a given-up one keeps the item.
        if (sent) this.#item = null
        this.#resubmitting = false
        this.#refresh()
      },
      () => {
        this.#resubmitting = false
        this.#refresh()
      }
    )
  }

  #fail(error: PekkaError): void {
    if (['HEAD_MISMATCH', 'SEAL_BROKEN', 'SIGNATURE_INVALID', 'BLOB_MISMATCH', 'FRAME_GAP'].includes(error.code)) {
      this.#error = error
      this.#refresh()
    } else {
      this.stop()
      this.#rejectEnded(error)
    }
  }

  #refresh(): void {
    if (this.#stopped) return
    const phase = this.#judge()
    const changed = JSON.stringify(phase) !== JSON.stringify(this.#phase)
    this.#phase = phase
    if (changed || this.#item) this.observer.update?.(this.current)
    if (isFinal(phase)) {
      this.#resolveEnded(this.current)
    }
    if (phase.phase === 'settled' || phase.phase === 'refunded') this.#ask()
  }

  /** Asks for the proof of what is shown already; nothing waits for it. Where there is none, the next update asks again. */
  #ask(): void {
    const view = this.#item?.view
    if (!view || this.#judging || this.#verdict !== 'open') return
    this.#judging = true
    void this.components.judge(view).then(verdict => {
      this.#judging = false
      this.#verdict = verdict
      if (verdict !== 'open') this.#refresh()
    })
  }

  /** What the ledger's proof says of the end that is shown; nothing while it is the bridge's word alone. */
  #proof(): { proof?: Exclude<ProofVerdict, 'open'> } {
    return this.#verdict === 'open' ? {} : { proof: this.#verdict }
  }

  #judge(): TaskPhase {
    if (this.#error) return { phase: 'mismatch' }
    const item = this.#item
    if (item?.bridge === 'refused' && !this.#resubmitting) return { phase: 'refused', code: item.code ?? 'INTERNAL' }
    const view = item?.view
    if (view && this.components.reader.finished) {
      try {
        if (this.components.reader.confirm(view))
          return isEnded(view.state) ? { phase: 'settled', ...this.#proof() } : { phase: 'received' }
      } catch (error) {
        this.#error = error instanceof PekkaError ? error : new PekkaError('HEAD_MISMATCH')
        return { phase: 'mismatch' }
      }
    }
    if (!view)
      return this.#running
        ? { phase: 'running', ...this.#running }
        : { phase: item ? 'waiting' : 'sending', since: item?.submittedAt ?? 0 }
    return this.#fromView(view)
  }

  #fromView(view: TaskView): TaskPhase {
    const attempt = view.attempts.at(-1)
    // A session whose machine was lost after a tranche is settled without a commit.
    const without = view.state === 'closed' || (view.state === 'settled' && view.offer.session !== null)
    if (view.state === 'refunded' || (without && !view.attempts.some(a => a.ended === 'committed'))) {
      return { phase: 'refunded', reason: view.reason ?? 'cancelled', ...this.#proof() }
    }
    if (view.state === 'stopping') return { phase: 'stopping', provider: attempt?.provider ?? null }
    if (view.state === 'offered' && !this.#runs(view)) return { phase: 'waiting', since: view.offeredAt }
    const provider = attempt?.provider ?? this.#running?.provider
    if (!provider) return { phase: 'waiting', since: view.offeredAt }
    return this.#running && equalBytes(provider, this.#running.provider)
      ? { phase: 'running', ...this.#running }
      : { phase: 'starting', provider }
  }

  /** A provider starts without waiting for its accept to be final (R1). */
  #runs(view: TaskView): boolean {
    return this.#running !== null && this.#running.attempt === view.attempts.length + 1
  }
}

/** Whether the phase is the last one. */
export const isFinal = (phase: TaskPhase): boolean =>
  phase.phase === 'settled' || phase.phase === 'refunded' || phase.phase === 'refused' || phase.phase === 'mismatch'
