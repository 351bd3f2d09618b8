import { compareBytes, taggedHash, toHex, utf8 } from '../protocol/index.js'
import type { BlockKey, OpenedBlock, PayloadTransaction } from './block.js'
import type { Member } from './committee.js'
import { STANDBY_AGAIN_MS, STANDBY_MS, STANDBY_TURN_MS } from './constants.js'
import { FairQueue, type Waiting } from './fair-queue.js'

interface Entry extends Waiting {
  readonly id: string
  readonly transaction: PayloadTransaction
  readonly since: number
  /** Its turn here; Infinity: this witness has none. */
  turn: number
  /** How often it was given out, and when that may be repeated. */
  tries: number
  again: number
}

/**
 * Transactions that others have told of, beside what own clients sent and never in their room. They wait for the blocks of others: whoever
 * has taken one in brings it into the order. Only what no block carries is put into an own one, and not by all at once: each lane gives the
 * committee's members turns of their own, STANDBY_TURN_MS apart, that everybody computes alike.
 */
export class Standby {
  readonly #entries = new Map<string, Entry>()
  readonly #room = new FairQueue<Entry>()
  /** Which accepted block carries a transaction; kept while anything stands by. */
  readonly #carriers = new Map<string, BlockKey>()
  /** No turn, repetition or end comes before this. */
  #next = Infinity

  get size(): number {
    return this.#entries.size
  }

  has(id: string): boolean {
    return this.#entries.has(id)
  }

  /**
   * @param rank this witness's turn for a lane, from 0; null: it has none
   * @param uncommitted accepted blocks whose transactions may not be ordered yet; read where nothing stood by before
   * @returns whether there was room
   */
  add(
    transaction: PayloadTransaction,
    bucket: number,
    now: number,
    { rank, uncommitted }: { rank: (lane: string) => number | null; uncommitted: () => Iterable<OpenedBlock> }
  ): boolean {
    const { account: owner, key, sequence } = transaction.transaction
    const account = toHex(owner)
    const lane = `${account}/${key === null ? '' : toHex(key)}`
    const id = toHex(transaction.id)
    const turn = now + (rank(lane) ?? Infinity) * STANDBY_TURN_MS
    const bytes = transaction.bytes.length
    const entry = { id, transaction, account, lane, bucket, sequence, bytes, since: now, turn, tries: 0, again: 0 }
    if (!this.#room.add(entry)) return false
    if (this.#entries.size === 0) for (const block of uncommitted()) this.#note(block)
    this.#entries.set(id, entry)
    this.#next = Math.min(this.#next, turn, now + STANDBY_MS)
    return true
  }

  /** An accepted block carries these. */
  carry(block: OpenedBlock): void {
    if (this.#entries.size > 0) this.#note(block)
  }

  /** A block was dropped without having been committed. */
  release({ key, transactions }: OpenedBlock): void {
    if (this.#entries.size === 0) return
    for (const { id } of transactions) {
      const name = toHex(id)
      if (this.#carriers.get(name) !== key) continue
      this.#carriers.delete(name)
      const entry = this.#entries.get(name)
      if (entry !== undefined) this.#next = Math.min(this.#next, entry.turn)
    }
  }

  /** Another epoch: no block carries anything any more, and turns are others. */
  reseat(rank: (lane: string) => number | null): void {
    this.#carriers.clear()
    for (const entry of this.#entries.values()) {
      entry.turn = entry.since + (rank(entry.lane) ?? Infinity) * STANDBY_TURN_MS
      this.#next = Math.min(this.#next, entry.turn)
    }
  }

  /** Ordered, or put up here, or of no use. */
  remove(ids: Iterable<string>): void {
    if (this.#entries.size === 0) return
    for (const id of ids) {
      const entry = this.#entries.get(id)
      if (entry === undefined) continue
      this.#entries.delete(id)
      this.#room.remove(entry)
    }
    if (this.#entries.size > 0) return
    this.#carriers.clear()
    this.#next = Infinity
  }

  /**
   * Those whose turn has come, each lane's in sequence; they stay until they are removed, and come again. Those that have stood by for
   * STANDBY_MS are gone.
   */
  look(now: number): { due: PayloadTransaction[]; gone: PayloadTransaction[] } {
    if (now < this.#next) return { due: [], gone: [] }
    const due: Entry[] = []
    const gone: PayloadTransaction[] = []
    let next = Infinity
    for (const entry of this.#entries.values()) {
      if (now >= entry.since + STANDBY_MS) {
        gone.push(entry.transaction)
        continue
      }
      next = Math.min(next, entry.since + STANDBY_MS)
      if (this.#carriers.has(entry.id)) continue
      const at = Math.max(entry.turn, entry.again)
      if (now >= at) {
        due.push(entry)
        entry.again = now + STANDBY_AGAIN_MS * 2 ** entry.tries++
        next = Math.min(next, entry.again)
      } else next = Math.min(next, at)
    }
    this.#next = next
    this.remove(gone.map(({ id }) => toHex(id)))
    due.sort((a, b) => a.sequence - b.sequence)
    return { due: due.map(({ transaction }) => transaction), gone }
  }

  /** When {@link look} has something; null: not before something happens. */
  get wake(): number | null {
    return this.#next === Infinity ? null : this.#next
  }

  #note({ key, transactions }: OpenedBlock): void {
    for (const { id } of transactions) {
      const name = toHex(id)
      if (!this.#carriers.has(name)) this.#carriers.set(name, key)
    }
  }
}

/**
 * A member's turn for a lane, from 0: its place by the hash of lane and block key. The whole lane has one order, so that who is first takes its
 * transactions in sequence.
 */
export function rankOf(lane: string, own: Uint8Array, members: readonly Pick<Member, 'key'>[]): number {
  const name = utf8(lane)
  const place = (key: Uint8Array): Uint8Array => taggedHash('pekka/standby/v1', name, key)
  const mine = place(own)
  return members.filter(({ key }) => compareBytes(place(key), mine) < 0).length
}
