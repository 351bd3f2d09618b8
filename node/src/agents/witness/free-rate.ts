/** What accounts with nothing behind them may send in a second, all together, before they are told apart, … */
export const FREE_PER_SECOND = 256
/** … and at most. A thousand a second cost an own core's half; an honest one would wait for it. */
const MOST_PER_SECOND = 512

/** Where there is more, an account that was let in so shortly before is turned away, ms: those that send little come before it. */
const TURN_MS = 10_000

const SECOND = 1_000

/** Accounts remembered; they are far more than come in a turn. */
const MAX_ACCOUNTS = 16_384

/**
 * How much of what accounts with neither bond nor escrow send is looked at, before anything of it is checked (R30). While it is little,
 * all; else those first that weren't let in for a while. Signatures, rules and disk cost as much for dust as for anything else, and the
 * order in which it is taken doesn't give that back.
 */
export class FreeRate {
  /** When each account was let in last; the oldest first. */
  readonly #accounts = new Map<string, number>()
  /** When those of the last second were let in, ascending. */
  #admitted: number[] = []

  constructor(private readonly monotonic: () => number) {}

  /** Accounts that are remembered. */
  get size(): number {
    return this.#accounts.size
  }

  /** Whether it may come in now. */
  admit(account: string): boolean {
    const now = this.monotonic()
    this.#forget(now)
    const crowded = this.#admitted.length >= FREE_PER_SECOND
    if (this.#admitted.length >= MOST_PER_SECOND || (crowded && this.#accounts.has(account))) return false
    this.#admitted.push(now)
    this.#accounts.delete(account)
    this.#accounts.set(account, now)
    return true
  }

  #forget(now: number): void {
    let gone = 0
    while ((this.#admitted[gone] ?? Infinity) <= now - SECOND) gone += 1
    if (gone > 0) this.#admitted.splice(0, gone)
    for (const [account, at] of this.#accounts) {
      if (at > now - TURN_MS && this.#accounts.size <= MAX_ACCOUNTS) return
      this.#accounts.delete(account)
    }
  }
}
