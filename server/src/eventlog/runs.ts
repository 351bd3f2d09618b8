import { hash } from 'node:crypto'
import {
  PekkaError,
  chainHead,
  equalBytes,
  firstHead,
  type LogEntry,
  type RunHeader,
  type SignedHead
} from '@pekka/node/protocol'

/** What the log holds of one run. */
export interface RunState {
  readonly header: RunHeader
  /** Frames in the log, and the chain's head over them (R7). */
  count: number
  head: Uint8Array
  /** The provider's last signed head. */
  signed: SignedHead | null
}

export const runName = (run: { attempt: number; run: number }): string => `${run.attempt}/${run.run}`

/** Follows the runs of one log: numbers without gaps, one chain each. Fed with every entry, in order. */
export class RunIndex {
  readonly #runs = new Map<string, RunState>()

  get(run: { attempt: number; run: number }): RunState | undefined {
    return this.#runs.get(runName(run))
  }

  all(): RunState[] {
    return [...this.#runs.values()]
  }

  /** @throws PekkaError FRAME_GAP, HEAD_MISMATCH where the entry can't come next; the state is then unchanged. */
  add(entry: LogEntry): void {
    if (entry.kind === 'run') {
      // A second header takes the number over from a provider that claimed an attempt which became another's.
      const { header } = entry
      this.#runs.set(runName(header), { header, count: 0, head: firstHead(header), signed: null })
      return
    }
    const state = this.get(entry.kind === 'frame' ? entry : entry.head)
    if (state === undefined) throw new PekkaError('FRAME_GAP')
    if (entry.kind === 'frame') {
      if (entry.index !== state.count) throw new PekkaError('FRAME_GAP')
      // Native SHA-256: at 80 MB/s the pure one would take most of a core.
      state.head = chainHead(state.head, entry.index, hash('sha256', entry.sealed, 'buffer'))
      state.count++
      return
    }
    if (entry.head.count !== state.count) throw new PekkaError('FRAME_GAP')
    if (!equalBytes(entry.head.head, state.head)) throw new PekkaError('HEAD_MISMATCH')
    state.signed = entry.head
  }
}
