import { toHex } from '../protocol/index.js'
import type { BlockKey, OpenedBlock, PayloadTransaction } from './block.js'
import { MAX_PENDING, MAX_PENDING_BYTES, MAX_PENDING_PER_LANE } from './constants.js'

interface Entry {
  readonly transaction: PayloadTransaction
  readonly lane: string
  /** A block that carries it and may still be committed. */
  carrier: BlockKey | null
}

/**
 * Transactions that wait to be ordered. Lanes take turns, so that none holds up the others; in a lane the lowest sequence goes
 * first. What stands in an accepted block waits for that block's commit, and comes back if the block is dropped.
 */
export class Mempool {
  readonly #entries = new Map<string, Entry>()
  /** Lanes in the order in which they came, each sorted by sequence. */
  readonly #lanes = new Map<string, Entry[]>()
  #bytes = 0
  #carried = 0

  get size(): number {
    return this.#entries.size
  }

  /** Transactions that no block carries. */
  get waiting(): number {
    return this.#entries.size - this.#carried
  }

  /** `full`: the lane or the pool is; the sender is told to come again (RATE_LIMITED). */
  add(transaction: PayloadTransaction): 'added' | 'known' | 'full' {
    const id = toHex(transaction.id)
    if (this.#entries.has(id)) return 'known'
    const { account, key, sequence } = transaction.transaction
    const lane = `${toHex(account)}/${key === null ? '' : toHex(key)}`
    const waiting = this.#lanes.get(lane) ?? []
    const full = this.#entries.size >= MAX_PENDING || this.#bytes + transaction.bytes.length > MAX_PENDING_BYTES
    if (full || waiting.length >= MAX_PENDING_PER_LANE) return 'full'
    const entry = { transaction, lane, carrier: null }
    const place = waiting.findIndex(other => other.transaction.transaction.sequence > sequence)
    waiting.splice(place < 0 ? waiting.length : place, 0, entry)
    this.#lanes.set(lane, waiting)
    this.#entries.set(id, entry)
    this.#bytes += transaction.bytes.length
    return 'added'
  }

  /** What the next block can carry. It isn't marked: the block carries it once it is accepted. */
  take(most: { count: number; bytes: number }): PayloadTransaction[] {
    const taken: PayloadTransaction[] = []
    const lanes = [...this.#lanes.values()].map(entries => entries.filter(({ carrier }) => carrier === null))
    let bytes = 0
    for (let turn = 0, found = true; found; turn++) {
      found = false
      for (const lane of lanes) {
        const transaction = lane[turn]?.transaction
        if (transaction === undefined) continue
        if (taken.length === most.count || bytes + transaction.bytes.length > most.bytes) return taken
        taken.push(transaction)
        bytes += transaction.bytes.length
        found = true
      }
    }
    return taken
  }

  /** An accepted block carries these. */
  carry({ key, transactions }: OpenedBlock): void {
    for (const { id } of transactions) {
      const entry = this.#entries.get(toHex(id))
      if (entry?.carrier === null) {
        entry.carrier = key
        this.#carried += 1
      }
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
  remove(transactions: readonly PayloadTransaction[]): void {
    for (const { id } of transactions) {
      const entry = this.#entries.get(toHex(id))
      if (entry === undefined) continue
      this.#entries.delete(toHex(id))
      this.#bytes -= entry.transaction.bytes.length
      if (entry.carrier !== null) this.#carried -= 1
      const left = (this.#lanes.get(entry.lane) ?? []).filter(other => other !== entry)
      if (left.length > 0) this.#lanes.set(entry.lane, left)
      else this.#lanes.delete(entry.lane)
    }
  }
}
