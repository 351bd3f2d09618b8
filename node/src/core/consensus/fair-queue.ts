import { MAX_PENDING, MAX_PENDING_BYTES, MAX_PENDING_PER_LANE } from './constants.js'

/** Buckets there are; the ledger says which one an account is in (core/ledger, bucketOf). */
const BUCKETS = 16

/** Bytes a bucket is given in its turn. */
const QUANTUM = 64 << 10

/** Bucket 0, of accounts with nothing behind them, has a twentieth of what is taken where one other bucket waits. */
const FREE_QUANTUM = Math.floor(QUANTUM / 19)

/** And never more than this part of what is taken, so that those who come a moment later needn't wait for it. */
const FREE_SHARE = 0.25

/** A bucket may always hold this many, however many others there are: full ones lock out nobody. */
const RESERVED = 256
const RESERVED_BYTES = 1 << 20

/** No bucket fills the whole pool. */
const MAX_PER_BUCKET = 3_072
/** What the buckets share beside what is reserved: MAX_PENDING in all. */
const MAX_SHARED = MAX_PENDING - BUCKETS * RESERVED

/** An account may hold this many wherever there is room, and an eighth of its bucket's room where that is more. */
const RESERVED_PER_ACCOUNT = 8

/** An account that was served less lately than this many turns ago counts as one that never was. */
const MEMORY = 1_024
/** Turns remembered; those beyond MEMORY are forgotten in one go. */
const MAX_REMEMBERED = 8 * MEMORY

/** One thing that waits. */
export interface Waiting {
  readonly account: string
  readonly lane: string
  /** Where its account belongs, unless something of it waits elsewhere. */
  readonly bucket: number
  readonly sequence: number
  readonly bytes: number
}

/** What waits in one lane, by sequence; equal ones in the order in which they came. */
export type Lane<W extends Waiting> = readonly W[]

interface Account<W> {
  readonly name: string
  /** The turn in which it was served last, or MEMORY turns ago. */
  served: number
  count: number
  readonly lanes: Map<string, W[]>
}

interface Bucket<W> {
  /** Least recently served first. */
  readonly accounts: Account<W>[]
  readonly byName: Map<string, Account<W>>
  count: number
  bytes: number
}

/**
 * What waits for a commit, in the order in which it is fair to take it: buckets share by their weights (deficit round robin), in a
 * bucket the account that was served least recently comes first, and its lanes take turns. So neither a thousand accounts without
 * a bond nor one account with a thousand lanes hold up the others. Everything has a bound.
 */
export class FairQueue<W extends Waiting> {
  readonly #buckets: Bucket<W>[] = Array.from({ length: BUCKETS }, () => ({
    accounts: [],
    byName: new Map(),
    count: 0,
    bytes: 0
  }))
  readonly #served = new Map<string, number>()
  #turn = 0
  #count = 0
  #bytes = 0

  get size(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @returns whether there was room */
  add(waiting: W): boolean {
    const bucket = this.#raise(waiting) ?? this.#bucket(waiting)
    if (!this.#hasRoom(bucket, waiting)) return false
    const account = bucket.byName.get(waiting.account) ?? this.#enter(bucket, waiting.account)
    const lane = account.lanes.get(waiting.lane) ?? []
    let place = lane.length
    while (place > 0 && (lane[place - 1]?.sequence ?? 0) > waiting.sequence) place--
    lane.splice(place, 0, waiting)
    account.lanes.set(waiting.lane, lane)
    this.#change(bucket, account, 1, waiting.bytes)
    return true
  }

  /** No effect where it isn't here. */
  remove(waiting: W): void {
    const bucket = this.#holder(waiting)
    const account = bucket?.byName.get(waiting.account)
    const lane = account?.lanes.get(waiting.lane)
    const at = lane?.indexOf(waiting) ?? -1
    if (bucket === undefined || account === undefined || lane === undefined || at < 0) return
    lane.splice(at, 1)
    if (lane.length === 0) account.lanes.delete(waiting.lane)
    this.#change(bucket, account, -1, -waiting.bytes)
    if (account.count > 0) return
    bucket.byName.delete(waiting.account)
    bucket.accounts.splice(bucket.accounts.indexOf(account), 1)
  }

  /** The account had its turn: others of its bucket come before it now. */
  serve(waiting: Pick<W, 'account'>): void {
    const name = waiting.account
    const served = ++this.#turn
    this.#served.delete(name)
    this.#served.set(name, served)
    if (this.#served.size > MAX_REMEMBERED) this.#forget()
    const bucket = this.#holder(waiting)
    const account = bucket?.byName.get(name)
    if (bucket === undefined || account === undefined) return
    bucket.accounts.splice(bucket.accounts.indexOf(account), 1)
    account.served = served
    bucket.accounts.push(account)
  }

  /** The lanes in which something waits. */
  *lanes(): Generator<Lane<W>> {
    for (const { accounts } of this.#buckets) for (const { lanes } of accounts) yield* lanes.values()
  }

  /**
   * Chooses what to take, up to a weight and a number; nothing is removed.
   * @param next what a lane gives next, after `taken` of its own have been chosen in this call; null: nothing more
   */
  choose(
    most: { weight: number; count: number },
    weightOf: (waiting: W) => number,
    next: (lane: Lane<W>, taken: number) => W | null
  ): W[] {
    const chosen: W[] = []
    let weight = 0
    let turns = this.#buckets.flatMap((bucket, number) =>
      bucket.count === 0
        ? []
        : [{ queue: inTurns(bucket, next), number, deficit: 0, weight: 0, head: null as W | null }]
    )
    while (turns.length > 0) {
      for (const turn of turns) {
        turn.deficit += turn.number === 0 ? FREE_QUANTUM : QUANTUM
        for (;;) {
          turn.head ??= turn.queue.next().value ?? null
          if (turn.head === null) break
          const heavy = weightOf(turn.head)
          // The very first is taken however heavy it is.
          const over = weight + heavy > most.weight || chosen.length === most.count
          if (chosen.length > 0 && over) return chosen
          if (turn.number === 0 && turn.weight > 0 && turn.weight + heavy > most.weight * FREE_SHARE) {
            turn.head = null
            break
          }
          // Where nobody else waits there is nothing to share.
          if (turns.length > 1 && turn.deficit < heavy) break
          turn.deficit -= heavy
          turn.weight += heavy
          weight += heavy
          chosen.push(turn.head)
          turn.head = null
        }
      }
      turns = turns.filter(({ head }) => head !== null)
    }
    return chosen
  }

  /**
   * Where something of the account waits already. What it has behind it changes with each offer, but its lanes go in sequence: what
   * waits of it stays together.
   */
  #holder({ account }: Pick<W, 'account'>): Bucket<W> | undefined {
    return this.#buckets.find(({ byName }) => byName.has(account))
  }

  /**
   * Where it goes beside what waits of its account. All of that rises with something that belongs higher, in its order: else what an
   * offer has paid for would wait behind what its sender has nothing for.
   */
  #raise(waiting: W): Bucket<W> | undefined {
    const holder = this.#holder(waiting)
    const account = holder?.byName.get(waiting.account)
    if (holder === undefined || account === undefined || this.#buckets.indexOf(holder) >= waiting.bucket) return holder
    const higher = this.#bucket(waiting)
    const all = [...account.lanes.values()].flat()
    if (higher.count + all.length >= MAX_PER_BUCKET) return holder
    const bytes = all.reduce((sum, one) => sum + one.bytes, 0)
    holder.byName.delete(account.name)
    holder.accounts.splice(holder.accounts.indexOf(account), 1)
    holder.count -= all.length
    holder.bytes -= bytes
    higher.count += all.length
    higher.bytes += bytes
    this.#place(higher, account)
    return higher
  }

  #bucket({ bucket }: W): Bucket<W> {
    const found = this.#buckets[bucket]
    if (found === undefined) throw new TypeError(`no bucket ${bucket}`)
    return found
  }

  #hasRoom(bucket: Bucket<W>, { account: name, lane, bytes }: W): boolean {
    const account = bucket.byName.get(name)
    if ((account?.lanes.get(lane)?.length ?? 0) >= MAX_PENDING_PER_LANE) return false
    const room = MAX_PER_BUCKET - bucket.count
    if ((account?.count ?? 0) >= Math.max(RESERVED_PER_ACCOUNT, room / 8)) return false
    if (bucket.count < RESERVED && bucket.bytes + bytes <= RESERVED_BYTES) return true
    return room > 0 && this.#count < MAX_SHARED && this.#bytes + bytes <= MAX_PENDING_BYTES
  }

  #enter(bucket: Bucket<W>, name: string): Account<W> {
    const served = Math.max(this.#served.get(name) ?? 0, this.#turn - MEMORY)
    return this.#place(bucket, { name, served, count: 0, lanes: new Map() })
  }

  /** Behind those that were served no later. */
  #place(bucket: Bucket<W>, account: Account<W>): Account<W> {
    let place = bucket.accounts.length
    while (place > 0 && (bucket.accounts[place - 1]?.served ?? 0) > account.served) place--
    bucket.accounts.splice(place, 0, account)
    bucket.byName.set(account.name, account)
    return account
  }

  #change(bucket: Bucket<W>, account: Account<W>, count: number, bytes: number): void {
    account.count += count
    bucket.count += count
    bucket.bytes += bytes
    this.#count += count
    this.#bytes += bytes
  }

  #forget(): void {
    for (const [name, turn] of this.#served) {
      if (turn >= this.#turn - MEMORY) return
      this.#served.delete(name)
    }
  }
}

/** What a bucket gives, account by account, one of each in its turn, until nobody has anything more. */
function* inTurns<W extends Waiting>(
  { accounts }: Bucket<W>,
  next: (lane: Lane<W>, taken: number) => W | null
): Generator<W, undefined> {
  let left = accounts.map(({ lanes }) => [...lanes.values()].map(lane => ({ lane, taken: 0 })))
  while (left.length > 0) {
    const more: typeof left = []
    for (const lanes of left) {
      for (let found: W | null = null; found === null && lanes.length > 0;) {
        const first = lanes.shift()
        if (first === undefined) break
        found = next(first.lane, first.taken)
        if (found === null) continue
        first.taken += 1
        // Its other lanes come before this one again.
        lanes.push(first)
        yield found
      }
      if (lanes.length > 0) more.push(lanes)
    }
    left = more
  }
  return undefined
}
