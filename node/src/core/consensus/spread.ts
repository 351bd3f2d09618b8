import { MAX_BATCH_BYTES, MAX_BATCH_TRANSACTIONS, toHex } from '../protocol/index.js'
import type { PayloadTransaction } from './block.js'
import { SPREAD_AFTER_MS, SPREAD_AGAIN_MS, SPREAD_BATCHES, SPREAD_GATHER_MS, SPREAD_PAUSE_MS } from './constants.js'
import type { Instant } from './events.js'

interface Told {
  readonly transaction: PayloadTransaction
  /** When it came, or was told last; elapsed ms. */
  at: number
}

/**
 * Transactions of own clients until they are ordered. A block is the quickest way for them, so nothing is told of those that this
 * witness's next blocks bring into the order. What isn't ordered in time, or came to a witness that writes no blocks, is told to everyone, in
 * batches: nobody's transaction hangs on a single witness, be it this one.
 */
export class Spread {
  /** In the order in which they came. */
  readonly #fresh = new Map<string, Told>()
  /** In the order in which they were told last. */
  readonly #told = new Map<string, Told>()
  /** No batch before this. */
  #rests = 0

  get size(): number {
    return this.#fresh.size + this.#told.size
  }

  /** One was put up here. */
  add(transaction: PayloadTransaction, now: number): void {
    const id = toHex(transaction.id)
    if (!this.#told.has(id) && !this.#fresh.has(id)) this.#fresh.set(id, { transaction, at: now })
  }

  /** They are ordered. */
  remove(transactions: readonly Pick<PayloadTransaction, 'id'>[]): void {
    if (this.size === 0) return
    for (const { id } of transactions) {
      const key = toHex(id)
      if (!this.#fresh.delete(key)) this.#told.delete(key)
    }
  }

  /**
   * What is to be told now, each batch one message.
   * @param writes whether this witness writes blocks
   */
  take(now: Instant, writes: boolean): PayloadTransaction[][] {
    const next = this.wake(writes)
    if (next === null || now.elapsed < next) return []
    const batches: PayloadTransaction[][] = []
    for (const [waiting, patience] of this.#queues(writes)) {
      for (const [id, { transaction, at }] of waiting) {
        if (now.elapsed < at + patience) break
        // Nobody can order it any more.
        const expired = transaction.transaction.expiry < now.wall
        if (!expired && !putInto(batches, transaction)) break
        waiting.delete(id)
        if (!expired) this.#told.set(id, { transaction, at: now.elapsed })
      }
    }
    this.#rests = now.elapsed + SPREAD_PAUSE_MS
    return batches
  }

  /** When {@link take} has something; null: not before another one is added. */
  wake(writes: boolean): number | null {
    let first: number | null = null
    for (const [waiting, patience] of this.#queues(writes)) {
      for (const { at } of waiting.values()) {
        first = Math.min(first ?? Infinity, at + patience)
        break
      }
    }
    return first === null ? null : Math.max(first, this.#rests)
  }

  /** What waits, and for how long. */
  #queues(writes: boolean): [Map<string, Told>, number][] {
    return [
      [this.#fresh, writes ? SPREAD_AFTER_MS : SPREAD_GATHER_MS],
      [this.#told, SPREAD_AGAIN_MS]
    ]
  }
}

/** @returns false where it must wait for the next batches */
function putInto(batches: PayloadTransaction[][], transaction: PayloadTransaction): boolean {
  const last = batches.at(-1)
  if (last !== undefined && last.length < MAX_BATCH_TRANSACTIONS) {
    const bytes = last.reduce((sum, one) => sum + one.bytes.length, transaction.bytes.length)
    if (bytes <= MAX_BATCH_BYTES) return last.push(transaction) > 0
  }
  // A large one has a batch of its own.
  return batches.length < SPREAD_BATCHES && batches.push([transaction]) > 0
}
