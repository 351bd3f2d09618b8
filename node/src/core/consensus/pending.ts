import { toHex } from '../protocol/index.js'
import type { OpenedBlock, PayloadTransaction } from './block.js'
import type { Epoch } from './epoch.js'
import type { ConsensusEvent, Effect, Instant } from './events.js'
import { Mempool } from './mempool.js'
import { rankOf, Standby } from './standby.js'
import { Spread } from './spread.js'

/** What brings transactions. */
export type PendingEvent = Extract<ConsensusEvent, { type: 'transaction' | 'told' | 'unfit' }>

/**
 * Transactions that aren't ordered: those for own blocks (mempool.ts), which of them to tell others of (spread.ts), and what others have
 * told of (standby.ts). An observer's key is null: it tells, and has no turns.
 */
export class Pending {
  readonly mempool = new Mempool()
  readonly #spread = new Spread()
  readonly #standby = new Standby()

  constructor(private readonly key: Uint8Array | null) {}

  /** How many there are. */
  get sizes(): { transactions: number; told: number } {
    return { transactions: this.mempool.size, told: this.#standby.size }
  }

  take(event: PendingEvent, epoch: Epoch, now: Instant): Effect[] {
    switch (event.type) {
      case 'transaction':
        return this.#put(event.transaction, event.bucket, now)
      case 'told':
        return this.#hear(event.transactions, epoch, now)
      case 'unfit': {
        const ids = event.ids.filter(id => this.#standby.has(toHex(id)))
        this.#standby.remove(ids.map(toHex))
        const gone = event.ids.map(id => ({ id }))
        this.mempool.remove(gone)
        this.#spread.remove(gone)
        return ids.length > 0 ? [{ type: 'let-go', ids }] : []
      }
    }
  }

  /** What time has come for. */
  look(now: Instant, writes: boolean): Effect[] {
    const effects: Effect[] = this.#spread.take(now, writes).map(transactions => ({ type: 'tell', transactions }))
    const { due, gone } = this.#standby.look(now.elapsed)
    if (gone.length > 0) effects.push({ type: 'let-go', ids: gone.map(({ id }) => id) })
    // Who writes nothing now has its turn again later.
    if (due.length > 0 && writes) effects.push({ type: 'stand-in', transactions: due })
    return effects
  }

  /** When {@link look} has something; null: not before something happens. */
  wakes(writes: boolean): (number | null)[] {
    return [this.#spread.wake(writes), this.#standby.wake]
  }

  /** An accepted block carries some. */
  carry(block: OpenedBlock): void {
    this.mempool.carry(block)
    this.#standby.carry(block)
  }

  /** A block was dropped without having been committed. */
  release(block: OpenedBlock): void {
    this.mempool.release(block)
    this.#standby.release(block)
  }

  /** Ordered: whatever became of them. */
  remove(transactions: readonly PayloadTransaction[]): void {
    this.mempool.remove(transactions)
    this.#spread.remove(transactions)
    if (this.#standby.size > 0) this.#standby.remove(transactions.map(({ id }) => toHex(id)))
  }

  /** Nothing of the epoch before can be committed any more. */
  enter(epoch: Epoch): void {
    this.mempool.releaseAll()
    this.#standby.reseat(lane => this.#rank(lane, epoch))
  }

  #put(transaction: PayloadTransaction, bucket: number | undefined, now: Instant): Effect[] {
    const added = this.mempool.add(transaction, bucket)
    if (added === 'full') return [{ type: 'turned-away', id: transaction.id }]
    const id = toHex(transaction.id)
    // What others have told of needn't be told again.
    if (this.#standby.has(id)) this.#standby.remove([id])
    else if (added === 'added') this.#spread.add(transaction, now.elapsed)
    return []
  }

  #hear(told: Extract<PendingEvent, { type: 'told' }>['transactions'], epoch: Epoch, now: Instant): Effect[] {
    const rank = (lane: string): number | null => this.#rank(lane, epoch)
    const uncommitted = (): Iterable<OpenedBlock> => blocksOf(epoch)
    const ids: Uint8Array[] = []
    for (const { transaction, bucket = 0 } of told) {
      const id = toHex(transaction.id)
      if (this.mempool.has(id) || this.#standby.has(id)) ids.push(transaction.id)
      else if (!this.#standby.add(transaction, bucket, now.elapsed, { rank, uncommitted })) ids.push(transaction.id)
    }
    return ids.length > 0 ? [{ type: 'let-go', ids }] : []
  }

  #rank(lane: string, { committee }: Epoch): number | null {
    if (this.key === null || committee.indexOf(this.key) === null) return null
    return rankOf(lane, this.key, committee.members)
  }
}

/** All that is held, from the oldest. What of it is committed was ordered, and stands by no longer. */
function* blocksOf({ dag }: Epoch): Generator<OpenedBlock> {
  for (let round = dag.gcRound + 1; round <= dag.highestRound; round++) yield* dag.inRound(round)
}
