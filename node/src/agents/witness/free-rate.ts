/** What accounts with nothing behind them may send in a second, all together, before they are told apart. */
export const FREE_PER_SECOND = 256

/** An account that is almost alone may send so many times that: there is room, and its own credit (R30) bounds it. */
const ALONE = 1.25
/** Up to so many times that those are let in who have sent less than their share of it, … */
const FAIR = 1.375
/** … and at most, with the first few of an account. A thousand a second cost an own core's half; an honest one would wait for it. */
const MOST = 2

/** Transactions that an account has in a turn beside any flood: a newcomer's open, draw, grant and offer. */
export const FIRST_FEW = 4
/** What an account has sent counts less and less; after so long a third of it, ms. */
const TURN_MS = 10_000

const SECOND = 1_000

/** Accounts remembered; they are more than come in two turns. */
const MAX_ACCOUNTS = 16_384

/** How much an account has sent of late. */
interface Sent {
  count: number
  at: number
}

/**
 * How much of what accounts with neither bond nor escrow send is looked at, before anything of it is checked (R30). While it is little,
 * all; else first what comes of those who sent least. Signatures, rules and disk cost as much for dust as for anything else, and the
 * order in which it is taken doesn't give that back.
 */
export class FreeRate {
  /** Those that were let in longest ago first. */
  readonly #accounts = new Map<string, Sent>()
  /** What was let in in the last second, the oldest first, … */
  #admitted: { account: string; at: number }[] = []
  /** … and how much of it is whose. */
  readonly #ofSecond = new Map<string, number>()

  constructor(
    private readonly monotonic: () => number,
    private readonly perSecond = FREE_PER_SECOND
  ) {}

  /** Accounts that are remembered. */
  get size(): number {
    return this.#accounts.size
  }

  /** Whether it may come in now. */
  admit(account: string): boolean {
    const now = this.monotonic()
    this.#forget(now)
    const sent = this.#sentBy(account, now)
    const own = this.#ofSecond.get(account) ?? 0
    const total = this.#admitted.length
    // What others send counts twice: of two that send as much as they can neither is alone.
    const alone = 2 * total - own < this.perSecond * ALONE
    if (!alone && total >= this.#roomFor(sent)) return false
    this.#admitted.push({ account, at: now })
    this.#ofSecond.set(account, own + 1)
    this.#accounts.delete(account)
    this.#accounts.set(account, { count: sent + 1, at: now })
    return true
  }

  /** One that was let in wasn't the account's, e.g. it hasn't signed it: anybody can name it. */
  takeBack(account: string): void {
    const last = this.#admitted.findLastIndex(one => one.account === account)
    if (last >= 0) {
      this.#admitted.splice(last, 1)
      this.#lessOf(account)
    }
    const known = this.#accounts.get(account)
    if (known === undefined) return
    // It keeps its time: others named it, it hasn't come again.
    const count = known.count - Math.exp((this.monotonic() - known.at) / TURN_MS)
    if (count > 0) this.#accounts.set(account, { ...known, count })
    else this.#accounts.delete(account)
  }

  /** Up to how many in a second one is let in whose account has sent so many of late. */
  #roomFor(sent: number): number {
    const { perSecond } = this
    if (sent < FIRST_FEW) return perSecond * (MOST - ((MOST - FAIR) * sent) / FIRST_FEW)
    const share = (perSecond * TURN_MS) / SECOND / Math.max(1, this.#accounts.size)
    return sent < share ? perSecond * FAIR : perSecond
  }

  #sentBy(account: string, now: number): number {
    const { count, at } = this.#accounts.get(account) ?? { count: 0, at: now }
    return count * Math.exp((at - now) / TURN_MS)
  }

  #forget(now: number): void {
    let gone = 0
    for (const { account, at } of this.#admitted) {
      if (at > now - SECOND) break
      this.#lessOf(account)
      gone += 1
    }
    if (gone > 0) this.#admitted.splice(0, gone)
    for (const [account, { at }] of this.#accounts) {
      if (at > now - 2 * TURN_MS && this.#accounts.size <= MAX_ACCOUNTS) return
      this.#accounts.delete(account)
    }
  }

  #lessOf(account: string): void {
    const left = (this.#ofSecond.get(account) ?? 0) - 1
    if (left > 0) this.#ofSecond.set(account, left)
    else this.#ofSecond.delete(account)
  }
}
