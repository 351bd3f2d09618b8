import {
  pairProof,
  utf8,
  toBase64,
  equalBytes,
  type Clock,
  type PairRequest,
  type Random
} from '../../core/protocol/index.js'

/** A code lives this long, ms (DESIGN §10): time to paste it, too short to be found lying about. */
export const CODE_LIFE_MS = 60_000
/** Wrong proofs in a row before all codes are withdrawn. Codes have 128 bits; this only keeps noise out. */
const MAX_FAILURES = 50

/** One-time pairing codes. */
export class PairingCodes {
  readonly #codes = new Map<string, number>()
  #failures = 0
  #onUsed: () => void = () => {}

  constructor(private readonly components: { random: Random; clock: Clock }) {}

  /** A new code: 22 characters, good once and for 60 s. */
  create(): string {
    this.#sweep()
    const code = toBase64(this.components.random.bytes(16)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
    this.#codes.set(code, this.components.clock.now() + CODE_LIFE_MS)
    return code
  }

  /** Told when a code was used up or all were withdrawn: who shows codes shows another one. */
  onUsed(listener: () => void): void {
    this.#onUsed = listener
  }

  /** Whether the request shows knowledge of a live code; that code is used up then. */
  redeem(request: PairRequest): boolean {
    this.#sweep()
    for (const code of this.#codes.keys()) {
      if (!equalBytes(pairProof(utf8(code), request.key, request.exchange), request.proof)) continue
      this.#codes.delete(code)
      this.#failures = 0
      this.#onUsed()
      return true
    }
    if (++this.#failures >= MAX_FAILURES) {
      this.#codes.clear()
      this.#failures = 0
      this.#onUsed()
    }
    return false
  }

  #sweep(): void {
    const now = this.components.clock.now()
    for (const [code, until] of this.#codes) if (until <= now) this.#codes.delete(code)
  }
}
