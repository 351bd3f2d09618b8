import { PekkaError, toHex } from '@pekka/node/protocol'
import { laneKey, type VerifiedTransaction } from '@pekka/node/ledger'
import {
  GAP_WAIT_MS,
  MAX_COMMIT_WEIGHT,
  MAX_PENDING,
  MAX_PENDING_BYTES,
  MAX_PENDING_PER_LANE,
  VIEW_BYTES
} from './constants.js'

interface Entry {
  transaction: VerifiedTransaction
  arrived: number
}

/** The sequence number that a lane's next transaction must have; null: the lane isn't known (yet). */
export type NextSequence = (account: Uint8Array, key: Uint8Array | null) => number | null

/** Transactions that wait for a commit, by lane. A lane's come in order; one that came too early waits a moment. */
export class Mempool {
  /** Lanes in the order in which their oldest transaction came. */
  readonly #lanes = new Map<string, Entry[]>()
  #size = 0
  #bytes = 0

  get size(): number {
    return this.#size
  }

  /** @throws PekkaError RATE_LIMITED when the lane or the pool is full */
  add(transaction: VerifiedTransaction, now: number): void {
    const lane = laneOf(transaction)
    const waiting = this.#lanes.get(lane) ?? []
    const full = this.#size >= MAX_PENDING || this.#bytes + transaction.bytes.length > MAX_PENDING_BYTES
    if (full || waiting.length >= MAX_PENDING_PER_LANE) throw new PekkaError('RATE_LIMITED')
    waiting.push({ transaction, arrived: now })
    waiting.sort((a, b) => sequenceOf(a) - sequenceOf(b) || a.arrived - b.arrived)
    this.#lanes.set(lane, waiting)
    this.#size += 1
    this.#bytes += transaction.bytes.length
  }

  /**
   * Takes what the next commit can order, up to its weight: in turns one of each lane, so that no lane holds up the others.
   * A transaction that waited for its predecessors too long, or that came too late, is taken too: the ledger refuses it.
   */
  take(nextSequence: NextSequence, now: number): VerifiedTransaction[] {
    const taken: VerifiedTransaction[] = []
    const expected = new Map<string, number | null>()
    let weight = 0
    for (let found = true; found;) {
      found = false
      for (const [lane, waiting] of this.#lanes) {
        const first = waiting[0]
        if (first === undefined) continue
        const { account, key } = first.transaction.transaction
        if (!expected.has(lane)) expected.set(lane, nextSequence(account, key))
        const next = expected.get(lane) ?? null
        if (next !== null && sequenceOf(first) > next && now < first.arrived + GAP_WAIT_MS) continue
        if (taken.length > 0 && weight + weightOf(first.transaction) > MAX_COMMIT_WEIGHT) return taken
        weight += weightOf(first.transaction)
        taken.push(first.transaction)
        waiting.shift()
        this.#size -= 1
        this.#bytes -= first.transaction.bytes.length
        if (waiting.length === 0) this.#lanes.delete(lane)
        if (next !== null && sequenceOf(first) === next) expected.set(lane, next + 1)
        // A lane that nobody knows may be granted earlier in the same commit; it begins at 0.
        if (next === null) expected.set(lane, sequenceOf(first) + 1)
        found = true
      }
    }
    return taken
  }

  /** When the first lane that waits for a predecessor has waited long enough; null: none waits. */
  patienceEnds(): number | null {
    let first: number | null = null
    for (const [head] of this.#lanes.values()) {
      if (head !== undefined) first = Math.min(first ?? Infinity, head.arrived + GAP_WAIT_MS)
    }
    return first
  }
}

const laneOf = ({ transaction }: VerifiedTransaction): string => laneKey(transaction.account, transaction.key)
const sequenceOf = ({ transaction }: Entry): number => transaction.transaction.sequence

function weightOf({ bytes, transaction: { body } }: VerifiedTransaction): number {
  return bytes.length + VIEW_BYTES * (body.kind === 'offer' ? body.tasks.length : 1)
}

/** For logs: which transaction. */
export const nameOf = (transaction: VerifiedTransaction): string => toHex(transaction.id).slice(0, 8)
