import { PekkaError, toHex } from '@pekka/node/protocol'
import { FairQueue, type Lane, type Waiting } from '@pekka/node/consensus'
import { laneKey, type VerifiedTransaction } from '@pekka/node/ledger'
import { GAP_WAIT_MS, MAX_COMMIT_WEIGHT, VIEW_BYTES } from './constants.js'

interface Entry extends Waiting {
  readonly transaction: VerifiedTransaction
  readonly arrived: number
  /** How many came before it. */
  readonly place: number
}

/** The sequence number that a lane's next transaction must have; null: the lane isn't known (yet). */
export type NextSequence = (account: Uint8Array, key: Uint8Array | null) => number | null

/**
 * Transactions that wait for a commit, in the order of core/consensus' `FairQueue`, as a committee's witnesses take them too. A lane's
 * come in sequence; one that came too early waits a moment.
 */
export class Mempool {
  readonly #queue = new FairQueue<Entry>()
  #came = 0

  get size(): number {
    return this.#queue.size
  }

  /**
   * @param bucket of its account, by the ledger's state
   * @throws PekkaError RATE_LIMITED when the lane, the account, the bucket or the pool is full
   */
  add(transaction: VerifiedTransaction, now: number, bucket = 0): void {
    const { account, key, sequence } = transaction.transaction
    const entry: Entry = {
      account: toHex(account),
      lane: laneKey(account, key),
      bucket,
      transaction,
      sequence,
      bytes: transaction.bytes.length,
      arrived: now,
      place: this.#came++
    }
    if (!this.#queue.add(entry)) throw new PekkaError('RATE_LIMITED')
  }

  /**
   * Takes what the next commit can order, up to its weight. A transaction that waited for its predecessors too long, or that came too
   * late, is taken too: the ledger refuses it.
   */
  take(nextSequence: NextSequence, now: number): VerifiedTransaction[] {
    const expected = new Map<string, number | null>()
    const nextOf = (lane: Lane<Entry>, taken: number): Entry | null => {
      const first = lane[taken]
      if (first === undefined) return null
      const { account, key } = first.transaction.transaction
      if (!expected.has(first.lane)) expected.set(first.lane, nextSequence(account, key))
      const next = expected.get(first.lane) ?? null
      if (next !== null && first.sequence > next && now < first.arrived + GAP_WAIT_MS) return null
      // A lane that nobody knows may be granted earlier in the same commit; it begins at 0.
      if (next === null || first.sequence === next) expected.set(first.lane, first.sequence + 1)
      return first
    }
    const chosen = this.#queue.choose({ weight: MAX_COMMIT_WEIGHT, count: Infinity }, weightOf, nextOf)
    for (const entry of chosen) {
      this.#queue.serve(entry)
      this.#queue.remove(entry)
    }
    return byArrival(chosen).map(({ transaction }) => transaction)
  }

  /** When the first lane that waits for a predecessor has waited long enough; null: none waits. */
  patienceEnds(): number | null {
    let first: number | null = null
    for (const [head] of this.#queue.lanes()) {
      if (head !== undefined) first = Math.min(first ?? Infinity, head.arrived + GAP_WAIT_MS)
    }
    return first
  }
}

/**
 * What a commit takes in stands there by lanes in turns, the lane that waited longest first: an answer may be in the same commit as what
 * it answers, e.g. a provider's `accept` and the offer, and would be refused before it.
 */
function byArrival(chosen: readonly Entry[]): Entry[] {
  const lanes = new Map<string, Entry[]>()
  for (const entry of chosen) {
    const lane = lanes.get(entry.lane)
    if (lane === undefined) lanes.set(entry.lane, [entry])
    else lane.push(entry)
  }
  const first = (lane: readonly Entry[]): number => lane.reduce((least, { place }) => Math.min(least, place), Infinity)
  const sorted = [...lanes.values()].map(lane => ({ lane, first: first(lane) })).sort((a, b) => a.first - b.first)
  const ordered: Entry[] = []
  for (let turn = 0; ordered.length < chosen.length; turn++)
    for (const { lane } of sorted) {
      const entry = lane[turn]
      if (entry !== undefined) ordered.push(entry)
    }
  return ordered
}

function weightOf({ transaction: { bytes, transaction } }: Entry): number {
  return bytes.length + VIEW_BYTES * (transaction.body.kind === 'offer' ? transaction.body.tasks.length : 1)
}

/** For logs: which transaction. */
export const nameOf = (transaction: VerifiedTransaction): string => toHex(transaction.id).slice(0, 8)
