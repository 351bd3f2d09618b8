import { toHex, type SignedTransaction } from '@pekka/node/protocol'
import { isPrepaid, refuseUnpaid, timeView, unitsOf, type Reader } from '@pekka/node/ledger'

export interface AdmissionComponents {
  /** The ledger's state after its last commit. */
  state: () => Reader
  clock: { now(): number }
}

/**
 * Lets in only what its account has bandwidth for, counting what waits already (R30), before a signature is checked. The ledger would leave
 * the rest out when it is ordered; but then it would have cost every witness its share, and counted as this one's waste.
 */
export class Admission {
  /** Units of what waits, by account. */
  readonly #waiting = new Map<string, number>()

  constructor(private readonly components: AdmissionComponents) {}

  /** Accounts of which something waits. */
  get size(): number {
    return this.#waiting.size
  }

  /**
   * It waits from here on, until what is returned is called.
   * @param size of the signed bytes
   * @throws PekkaError BANDWIDTH_SPENT
   */
  enter(signed: SignedTransaction, size: number): () => void {
    const { transaction, signatures } = signed
    const state = this.components.state()
    const time = timeView(state)
    // An idle ledger makes no commits; the next one's time is the clock's.
    const context = { ...time, timestamp: Math.max(time.timestamp, this.components.clock.now()) }
    const account = toHex(transaction.account)
    refuseUnpaid(state, context, signed, { size, waiting: this.#waiting.get(account) ?? 0 })
    if (isPrepaid(state, context, transaction)) return () => {}
    const units = unitsOf(transaction, signatures.length, size)
    this.#waiting.set(account, (this.#waiting.get(account) ?? 0) + units)
    return () => {
      const left = (this.#waiting.get(account) ?? 0) - units
      if (left > 0) this.#waiting.set(account, left)
      else this.#waiting.delete(account)
    }
  }
}
