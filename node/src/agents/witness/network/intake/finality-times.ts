import { toHex } from '@pekka/node/protocol'
import type { VerifiedTransaction } from '@pekka/node/ledger'
import { FINALITY_SAMPLES } from '../constants.js'

type Named = Pick<VerifiedTransaction, 'id'>

/** How long transactions of this witness's clients take from submission to being final and on disk, ms: the last thousand. */
export class FinalityTimes {
  readonly #begun = new Map<string, number>()
  readonly #samples: number[] = []
  #next = 0

  constructor(private readonly monotonic: () => number) {}

  begin({ id }: Named): void {
    this.#begun.set(toHex(id), this.monotonic())
  }

  end({ id }: Named): void {
    const key = toHex(id)
    const begun = this.#begun.get(key)
    if (begun === undefined) return
    this.#begun.delete(key)
    this.#samples[this.#next] = this.monotonic() - begun
    this.#next = (this.#next + 1) % FINALITY_SAMPLES
  }

  quantiles(): { p50: number | null; p95: number | null } {
    const sorted = [...this.#samples].sort((a, b) => a - b)
    const at = (share: number): number | null => sorted[Math.floor(share * (sorted.length - 1))] ?? null
    return { p50: at(0.5), p95: at(0.95) }
  }
}
