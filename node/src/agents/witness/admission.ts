import { PekkaError, toHex, type SignedTransaction } from '@pekka/node/protocol'
import {
  bucketOf,
  isPrepaid,
  refuseUnpaid,
  timeView,
  unitsOf,
  type Context,
  type Reader,
  type VerifiedTransaction
} from '@pekka/node/ledger'
import { FreeRate } from './free-rate.js'

/** Accounts of which it is remembered what they wasted; some 100 B each. */
const MAX_WASTEFUL = 16_384

export interface AdmissionComponents {
  /** The ledger's state after its last commit. */
  state: () => Reader
  clock: { now(): number }
  /** Milliseconds that only go forward. */
  monotonic?: () => number
}

/**
 * Lets in only what its account has bandwidth for, counting what waits already (R30), before a signature is checked. The ledger would leave
 * the rest out when it is ordered; but then it would have cost every witness its share, and counted as this one's waste.
 */
export class Admission {
  /** Units of what waits, by account. */
  readonly #waiting = new Map<string, number>()
  /** Units of what was ordered in vain, by account; those that were heard of longest ago first. */
  readonly #wasted = new Map<string, { units: number; at: number }>()

  readonly #free: FreeRate

  constructor(private readonly components: AdmissionComponents) {
    this.#free = new FreeRate(components.monotonic ?? (() => performance.now()))
  }

  /** Accounts of which something waits. */
  get size(): number {
    return this.#waiting.size
  }

  /**
   * It waits from here on, until what is returned is called.
   * @param size of the signed bytes
   * @throws PekkaError BANDWIDTH_SPENT; RATE_LIMITED where too much comes of accounts with nothing behind them
   */
  enter(signed: SignedTransaction, size: number): () => void {
    const { transaction, signatures } = signed
    const state = this.components.state()
    const time = timeView(state)
    // An idle ledger makes no commits; the next one's time is the clock's.
    const context = { ...time, timestamp: Math.max(time.timestamp, this.components.clock.now()) }
    const account = toHex(transaction.account)
    const waiting = (this.#waiting.get(account) ?? 0) + this.#wastedBy(account, context)
    refuseUnpaid(state, context, signed, { size, waiting })
    if (isPrepaid(state, context, transaction)) return () => {}
    if (bucketOf(state, transaction.account) === 0 && !this.#free.admit(account)) throw new PekkaError('RATE_LIMITED')
    const units = unitsOf(transaction, signatures.length, size)
    this.#waiting.set(account, (this.#waiting.get(account) ?? 0) + units)
    return () => {
      const left = (this.#waiting.get(account) ?? 0) - units
      if (left > 0) this.#waiting.set(account, left)
      else this.#waiting.delete(account)
    }
  }

  /**
   * The ledger has refused what was let in here, e.g. since another witness brought another one for the same place. That has cost
   * the account nothing there, so it counts here until as much would have come back.
   */
  wasted({ transaction, signatures, bytes }: VerifiedTransaction): void {
    const { timestamp, parameters } = timeView(this.components.state())
    const account = toHex(transaction.account)
    const units =
      this.#wastedBy(account, { timestamp, parameters }) + unitsOf(transaction, signatures.length, bytes.length)
    this.#wasted.delete(account)
    this.#wasted.set(account, { units, at: timestamp })
    for (const oldest of this.#wasted.keys()) {
      if (this.#wasted.size <= MAX_WASTEFUL) break
      this.#wasted.delete(oldest)
    }
  }

  #wastedBy(account: string, { timestamp, parameters }: Pick<Context, 'timestamp' | 'parameters'>): number {
    const { units, at } = this.#wasted.get(account) ?? { units: 0, at: 0 }
    const windowMs = parameters.bandwidth?.windowMs ?? 0
    const left = at + windowMs - timestamp
    return left > 0 ? Math.ceil((units * left) / windowMs) : 0
  }
}
