import { PekkaError, toHex } from '@pekka/node/protocol'
import {
  judge,
  laneHead,
  laneKey,
  timeView,
  type Judgement,
  type LaneTip,
  type Reader,
  type VerifiedTransaction
} from '@pekka/node/ledger'
import { GAP_WAIT_MS, MAX_PENDING_PER_LANE } from '../../constants.js'
import { weightOf } from './weight.js'

/** Transactions that wait for what they need, in all lanes together, … */
const MAX_EARLY = 2_048
/** … and such as anybody can make any number of: of accounts that aren't known here, or in an account's name by a key that isn't its own. */
const MAX_STRANGE = 512

export interface LaneGateComponents {
  /** The ledger's state after its last commit. */
  state: () => Reader
  clock: { now(): number }
  /** What may be under way here, in {@link weightOf}; one by itself always may. */
  room: () => number
}

/** Whether a vertex is final here. */
export type IsFinal = (vertex: Uint8Array) => boolean

interface Early {
  transaction: VerifiedTransaction
  isFinal: IsFinal
  /** Why it can't go on yet. */
  error: PekkaError
  /** What may change that: its lane, its account, vertices it names. */
  keys: readonly string[]
  settle: Pick<ReturnType<typeof Promise.withResolvers<void>>, 'resolve' | 'reject'>
  timer: NodeJS.Timeout
}

/**
 * Lets in only what the ledger will order, by what is executed here and what is under way: whatever else stood in a block of this witness
 * would be its waste (R30). What may become right by itself, e.g. since its predecessors are on their way or another witness has executed
 * more, waits a moment.
 */
export class LaneGate {
  /** What is under way by lane: ids and sequences. */
  readonly #under = new Map<string, Map<string, VerifiedTransaction>>()
  #weight = 0
  /** What waits, by what it waits for. */
  readonly #early = new Map<string, Set<Early>>()
  #waiting = 0
  #strange = 0

  /** @param wait how long what may become right waits, ms; for tests */
  constructor(
    private readonly components: LaneGateComponents,
    private readonly wait = GAP_WAIT_MS
  ) {}

  /** How many wait. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Resolves when the transaction may go on; it is under way then, until {@link leave}.
   * @throws PekkaError as `authorize` where the ledger would refuse it; RATE_LIMITED when too many wait, or too much is under way
   */
  async enter(transaction: VerifiedTransaction, isFinal: IsFinal): Promise<void> {
    const judgement = this.#judge(transaction, isFinal)
    if (judgement.status === 'refused') throw judgement.error
    if (judgement.status === 'early') await this.#wait(transaction, isFinal, judgement.error)
    else if (this.#hasRoom(transaction)) this.#begin(transaction)
    else throw new PekkaError('RATE_LIMITED')
  }

  /** As {@link enter}, for what doesn't wait here: others have told of it, and it comes again where it may become right, or finds room. */
  tryEnter(transaction: VerifiedTransaction, isFinal: IsFinal): Judgement['status'] {
    const { status } = this.#judge(transaction, isFinal)
    if (status === 'ready' && !this.#hasRoom(transaction)) return 'early'
    if (status === 'ready') this.#begin(transaction)
    return status
  }

  /** It is ordered, refused or turned away. No effect where it isn't under way. */
  leave(transaction: VerifiedTransaction): void {
    const lane = laneOf(transaction)
    const under = this.#under.get(lane)
    const id = toHex(transaction.id)
    const held = under?.get(id)
    if (under === undefined || held === undefined) return
    under.delete(id)
    // Of the copy that entered: ids don't cover signatures, and the one that was ordered may have more of them, or fewer.
    this.#weight -= weightOf(held)
    if (under.size === 0) this.#under.delete(lane)
    this.#look([lane])
  }

  /** A commit has been executed: it ordered these, and changed these accounts. */
  moved(transactions: readonly VerifiedTransaction[], accounts: readonly Uint8Array[]): void {
    if (this.#waiting === 0) return
    this.#look([...transactions.flatMap(one => [laneOf(one), toHex(one.id)]), ...accounts.map(toHex)])
  }

  /** What is under way and can't be ordered any more, and why: its time is over, its place in its lane is taken, or that of one before it. */
  dead(): { transaction: VerifiedTransaction; error: PekkaError }[] {
    const reader = this.components.state()
    const { timestamp } = timeView(reader)
    const dead: { transaction: VerifiedTransaction; error: PekkaError }[] = []
    for (const under of this.#under.values()) {
      const gone = new Set<string>()
      for (const transaction of [...under.values()].sort(bySequence)) {
        const { account, key, sequence, previous, expiry } = transaction.transaction
        const head = laneHead(reader, account, key)
        const expected = head?.sequence ?? 0
        const before = previous === null ? '' : toHex(previous)
        const beaten = sequence < expected || (sequence === expected && before !== toHexOrNone(head?.previous))
        if (expiry >= timestamp && !beaten && !gone.has(before)) continue
        gone.add(toHex(transaction.id))
        const expired = expiry < timestamp
        const error = expired ? new PekkaError('TRANSACTION_EXPIRED') : new PekkaError('LANE_SEQUENCE', { expected })
        dead.push({ transaction, error })
      }
    }
    return dead
  }

  /** Lets go what waits: who stops this answers its senders. */
  stop(): void {
    for (const early of this.#all()) this.#end(early).settle.resolve()
  }

  #judge(transaction: VerifiedTransaction, isFinal: IsFinal): Judgement {
    if (this.#isUnder(transaction)) return { status: 'ready' }
    const { state, clock } = this.components
    const reader = state()
    const time = timeView(reader)
    // An idle ledger makes no commits; the next one's time is the clock's.
    const context = { ...time, timestamp: Math.max(time.timestamp, clock.now()) }
    return judge(reader, context, transaction, { isFinal, tip: this.#tipOf(transaction, reader, time.timestamp) })
  }

  /** Where the lane stands once all that is under way has been ordered. What has expired by the ledger's time never will be. */
  #tipOf(transaction: VerifiedTransaction, reader: Reader, now: number): LaneTip {
    const { account, key } = transaction.transaction
    const { sequence, previous } = laneHead(reader, account, key) ?? { sequence: 0, previous: null }
    let tip: LaneTip = { sequence, previous }
    for (const { id, transaction: under } of this.#under.get(laneOf(transaction))?.values() ?? []) {
      if (under.expiry >= now && under.sequence >= tip.sequence) tip = { sequence: under.sequence + 1, previous: id }
    }
    return tip
  }

  #hasRoom(transaction: VerifiedTransaction): boolean {
    if (this.#weight === 0 || this.#isUnder(transaction)) return true
    return this.#weight + weightOf(transaction) <= this.components.room()
  }

  #isUnder(transaction: VerifiedTransaction): boolean {
    return this.#under.get(laneOf(transaction))?.has(toHex(transaction.id)) === true
  }

  #begin(transaction: VerifiedTransaction): void {
    const lane = laneOf(transaction)
    const under = this.#under.get(lane) ?? new Map<string, VerifiedTransaction>()
    const id = toHex(transaction.id)
    // Another copy's weight isn't added, so it isn't kept either.
    if (!under.has(id)) {
      this.#weight += weightOf(transaction)
      this.#under.set(lane, under.set(id, transaction))
    }
    this.#look([lane])
  }

  #wait(transaction: VerifiedTransaction, isFinal: IsFinal, error: PekkaError): Promise<void> {
    const lane = laneOf(transaction)
    const { account, parents } = transaction.transaction
    const strange = isStrange(error)
    if (
      this.#waiting >= MAX_EARLY ||
      (strange && this.#strange >= MAX_STRANGE) ||
      // What strangers send in a lane's name takes none of its own places.
      [...(this.#early.get(lane) ?? [])].filter(({ error }) => isStrange(error) === strange).length >=
        MAX_PENDING_PER_LANE
    ) {
      throw new PekkaError('RATE_LIMITED')
    }
    this.#waiting += 1
    if (strange) this.#strange += 1
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => this.#end(early).settle.reject(early.error), this.wait)
    const keys = [lane, toHex(account), ...parents.filter(parent => !isFinal(parent)).map(toHex)]
    const early: Early = { transaction, isFinal, error, keys, settle: { resolve, reject }, timer }
    for (const key of keys) this.#early.set(key, (this.#early.get(key) ?? new Set()).add(early))
    return promise
  }

  /** Looks again at what waits for one of these. */
  #look(keys: readonly string[]): void {
    const found = new Set(keys.flatMap(key => [...(this.#early.get(key) ?? [])]))
    const inOrder = [...found].sort((a, b) => sequenceOf(a) - sequenceOf(b))
    for (const early of inOrder) {
      // Gone with one that was before it.
      if (!early.keys.some(key => this.#early.get(key)?.has(early))) continue
      const judgement = this.#judge(early.transaction, early.isFinal)
      if (judgement.status === 'ready' && !this.#hasRoom(early.transaction)) {
        this.#end(early).settle.reject(new PekkaError('RATE_LIMITED'))
      } else if (judgement.status === 'ready') {
        this.#end(early).settle.resolve()
        this.#begin(early.transaction)
      } else if (judgement.status === 'refused') this.#end(early).settle.reject(judgement.error)
    }
  }

  /** It waits no longer. */
  #end(early: Early): Early {
    const { keys, timer, error } = early
    clearTimeout(timer)
    let waited = false
    for (const key of keys) {
      const waiting = this.#early.get(key)
      waited = waiting?.delete(early) || waited
      if (waiting?.size === 0) this.#early.delete(key)
    }
    if (!waited) return early
    this.#waiting -= 1
    if (isStrange(error)) this.#strange -= 1
    return early
  }

  #all(): Set<Early> {
    return new Set([...this.#early.values()].flatMap(waiting => [...waiting]))
  }
}

const STRANGE: readonly string[] = ['ACCOUNT_UNKNOWN', 'DELEGATE_UNKNOWN', 'SIGNATURE_INVALID']
const isStrange = ({ code }: PekkaError): boolean => STRANGE.includes(code)

const sequenceOf = ({ transaction: { transaction } }: Early): number => transaction.sequence

const bySequence = (a: VerifiedTransaction, b: VerifiedTransaction): number =>
  a.transaction.sequence - b.transaction.sequence

const toHexOrNone = (id: Uint8Array | null | undefined): string => (id ? toHex(id) : '')

const laneOf = ({ transaction: { account, key } }: VerifiedTransaction): string => laneKey(account, key)
