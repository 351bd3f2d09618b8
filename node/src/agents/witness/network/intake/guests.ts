import { isPekkaError, toHex } from '@pekka/node/protocol'
import type { VerifiedTransaction } from '@pekka/node/ledger'
import type { Admission, Entry } from '../../admission.js'

/**
 * Transactions that other witnesses tell of. They are let in as our own clients' are: what a dishonest witness tells
 * of without its account having bandwidth would be this one's waste (R30).
 */
export class Guests {
  /** By transaction. As many as the mempool holds of them. */
  readonly #entries = new Map<string, Entry>()

  constructor(private readonly admission: Admission) {}

  get size(): number {
    return this.#entries.size
  }

  /** Whether it may be put up. It waits from here on, until {@link leave}. */
  enter(transaction: VerifiedTransaction): boolean {
    const id = toHex(transaction.id)
    if (this.#entries.has(id)) return false
    try {
      this.#entries.set(id, this.admission.enter(transaction, transaction.bytes.length))
      return true
    } catch (error) {
      if (isPekkaError(error)) return false
      throw error
    }
  }

  /** The ledger has refused it: its account has used up what it cost here. No effect where another witness brought it. */
  wasted(transaction: VerifiedTransaction): void {
    if (this.#entries.has(toHex(transaction.id))) this.admission.wasted(transaction)
  }

  /** It is ordered, refused, or there was no room. */
  leave({ id }: { id: Uint8Array }): void {
    const key = toHex(id)
    this.#entries.get(key)?.leave()
    this.#entries.delete(key)
  }
}
