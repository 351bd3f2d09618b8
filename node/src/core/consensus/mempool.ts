import { toHex } from '../protocol/index.js'
import type { BlockKey, OpenedBlock, PayloadTransaction } from './block.js'
import { FairQueue, type Lane, type Waiting } from './fair-queue.js'

interface Entry extends Waiting {
  readonly transaction: PayloadTransaction
  /** A block that carries it and may still be committed. */
  carrier: BlockKey | null
}

/**
 * Transactions that wait to be ordered, in the order of {@link FairQueue}: buckets share a block, accounts of a bucket take turns, and in
 * a lane the lowest sequence goes first. What stands in an accepted block waits for that block's commit, and comes back if the block is
 * dropped.
 */
export class Mempool {
  readonly #entries = new Map<string, Entry>()
  readonly #queue = new FairQueue<Entry>()
  #carried = 0

  get size(): number {
    return this.#entries.size
  }

  /** Transactions that no block carries. */
  get waiting(): number {
    return this.#entries.size - this.#carried
  }

  has(id: string): boolean {
    return this.#entries.has(id)
  }

  /**
   * `full`: its lane, account or bucket is, or the pool; the sender is told to come again (RATE_LIMITED).
   * @param bucket of its account, by the ledger's state
   */
  add(transaction: PayloadTransaction, bucket = 0): 'added' | 'known' | 'full' {
    const id = toHex(transaction.id)
    if (this.#entries.has(id)) return 'known'
    const { account: owner, key, sequence } = transaction.transaction
    const account = toHex(owner)
    const lane = `${account}/${key === null ? '' : toHex(key)}`
    const entry: Entry = {
      transaction,
      account,
      lane,
      bucket,
      sequence,
      bytes: transaction.bytes.length,
      carrier: null
    }
    if (!this.#queue.add(entry)) return 'full'
    this.#entries.set(id, entry)
    return 'added'
  }

  /** What the next block can carry. It isn't marked: the block carries it once it is accepted. */
  take(most: { count: number; bytes: number }): PayloadTransaction[] {
    const chosen = this.#queue.choose({ weight: most.bytes, count: most.count }, ({ bytes }) => bytes, nextUncarried)
    // The first is chosen whatever it weighs, and a block has a hard bound.
    return chosen.filter(({ bytes }) => bytes <= most.bytes).map(({ transaction }) => transaction)
  }

  /** An accepted block carries these. */
  carry({ key, transactions }: OpenedBlock): void {
    for (const { id } of transactions) {
      const entry = this.#entries.get(toHex(id))
      if (entry?.carrier !== null) continue
      entry.carrier = key
      this.#carried += 1
      this.#queue.serve(entry)
    }
  }

  /** A block was dropped without having been committed. */
  release({ key, transactions }: OpenedBlock): void {
    for (const { id } of transactions) {
      const entry = this.#entries.get(toHex(id))
      if (entry?.carrier === key) {
        entry.carrier = null
        this.#carried -= 1
      }
    }
  }

  /** No block carries anything any more: an epoch has ended. */
  releaseAll(): void {
    for (const entry of this.#entries.values()) entry.carrier = null
    this.#carried = 0
  }

  /** Ordered: whatever became of it, it needn't wait any longer. */
  remove(transactions: readonly Pick<PayloadTransaction, 'id'>[]): void {
    for (const { id } of transactions) {
      const entry = this.#entries.get(toHex(id))
      if (entry === undefined) continue
      this.#entries.delete(toHex(id))
      if (entry.carrier !== null) this.#carried -= 1
      this.#queue.remove(entry)
    }
  }
}

/** The lane's next that no block carries, after `taken` such. */
function nextUncarried(lane: Lane<Entry>, taken: number): Entry | null {
  let left = taken
  return lane.find(({ carrier }) => carrier === null && left-- === 0) ?? null
}
