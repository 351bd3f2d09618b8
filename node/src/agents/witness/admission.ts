import { equalBytes, PekkaError, toHex, type SignedTransaction, type Transaction } from '@pekka/node/protocol'
import {
  bucketOf,
  isPrepaid,
  laneKey,
  refuseUnpaid,
  timeView,
  unitsOf,
  type Context,
  type Reader,
  type VerifiedTransaction
} from '@pekka/node/ledger'
import { FreeRate } from './free-rate.js'

/** Accounts of which it is remembered what they wasted; some 100 B each. */
const MAX_WASTEFUL = 16_384

/** What accounts that the ledger doesn't know, and strangers in others' names, may send in a second: an account's first, or nothing of use. */
const UNKNOWN_PER_SECOND = 64

export interface AdmissionComponents {
  /** The ledger's state after its last commit. */
  state: () => Reader
  clock: { now(): number }
  /** Milliseconds that only go forward. */
  monotonic?: () => number
}

/** A transaction that was let in. One of the two is called, once. */
export interface Entry {
  /** It has been ordered or refused, or there was no room for it. */
  leave(): void
  /** Its signatures don't hold: it wasn't its account's, and counts for nobody. */
  disown(): void
}

/**
 * Lets in only what its account has bandwidth for, counting what waits already (R30), before a signature is checked. The ledger would leave
 * the rest out when it is ordered; but then it would have cost every witness its share, and counted as this one's waste.
 */
export class Admission {
  /** Units of what waits, by account. */
  readonly #waiting = new Map<string, number>()
  /** Units of what was ordered in vain, by account; those that were heard of longest ago first. */
  readonly #wasted = new Map<string, { units: number; at: number }>()

  readonly #known: FreeRate
  /** Anybody can make any number of these; they never take the room of others. */
  readonly #unknown: FreeRate

  constructor(private readonly components: AdmissionComponents) {
    const { monotonic = () => performance.now() } = components
    this.#known = new FreeRate(monotonic)
    this.#unknown = new FreeRate(monotonic, UNKNOWN_PER_SECOND)
  }

  /** Accounts of which something waits. */
  get size(): number {
    return this.#waiting.size
  }

  /**
   * Lets one in: it waits from here on, until it leaves.
   * @param size of the signed bytes
   * @throws PekkaError BANDWIDTH_SPENT; RATE_LIMITED where too much comes of accounts with nothing behind them
   */
  enter(signed: SignedTransaction, size: number): Entry {
    const { transaction, signatures } = signed
    const state = this.components.state()
    const time = timeView(state)
    // An idle ledger makes no commits; the next one's time is the clock's.
    const context = { ...time, timestamp: Math.max(time.timestamp, this.components.clock.now()) }
    const own = isSignedByOwn(state, signed)
    const account = nameOf(signed, own)
    const waiting = (this.#waiting.get(account) ?? 0) + this.#wastedBy(account, context)
    refuseUnpaid(state, context, signed, { size, waiting })
    if (own && isPrepaid(state, context, transaction)) return { leave: () => {}, disown: () => {} }
    const free = own ? this.#freeOf(state, transaction) : this.#unknown
    if (free?.admit(account) === false) throw new PekkaError('RATE_LIMITED')
    const units = unitsOf(transaction, signatures.length, size)
    this.#waiting.set(account, (this.#waiting.get(account) ?? 0) + units)
    const leave = (): void => {
      const left = (this.#waiting.get(account) ?? 0) - units
      if (left > 0) this.#waiting.set(account, left)
      else this.#waiting.delete(account)
    }
    const disown = (): void => {
      free?.takeBack(account)
      leave()
    }
    return { leave, disown }
  }

  /**
   * The ledger has refused what was let in here, e.g. since another witness brought another one for the same place. That has cost
   * the account nothing there, so it counts here until as much would have come back.
   */
  wasted(refused: VerifiedTransaction): void {
    const { transaction, signatures, bytes } = refused
    const state = this.components.state()
    const { timestamp, parameters } = timeView(state)
    const account = nameOf(refused, isSignedByOwn(state, refused))
    const units =
      this.#wastedBy(account, { timestamp, parameters }) + unitsOf(transaction, signatures.length, bytes.length)
    this.#wasted.delete(account)
    this.#wasted.set(account, { units, at: timestamp })
    for (const oldest of this.#wasted.keys()) {
      if (this.#wasted.size <= MAX_WASTEFUL) break
      this.#wasted.delete(oldest)
    }
  }

  /** Which of those with nothing behind them it is among; null: none. */
  #freeOf(state: Reader, transaction: Transaction): FreeRate | null {
    if (bucketOf(state, transaction.account) > 0 || isRegistration(state, transaction)) return null
    return this.#known
  }

  #wastedBy(account: string, { timestamp, parameters }: Pick<Context, 'timestamp' | 'parameters'>): number {
    const { units, at } = this.#wasted.get(account) ?? { units: 0, at: 0 }
    const windowMs = parameters.bandwidth?.windowMs ?? 0
    const left = at + windowMs - timestamp
    return left > 0 ? Math.ceil((units * left) / windowMs) : 0
  }
}

/**
 * Whether the ledger knows its account, and the keys that it is signed with as the account's. Not whether the signatures hold: but anybody
 * can make one of an own key that does, in any account's name.
 */
function isSignedByOwn(state: Reader, { transaction, signatures }: SignedTransaction): boolean {
  const { account, key } = transaction
  const row = state.get('account', toHex(account))
  if (row === undefined || (key !== null && !state.get('lane', laneKey(account, key))?.delegate)) return false
  const keys = key === null ? row.policy.keys : [key]
  return signatures.every(signature => keys.some(own => equalBytes(own, signature.key)))
}

/** Under which name it is counted: what strangers sign in an account's name isn't the account's. */
const nameOf = ({ transaction: { account } }: SignedTransaction, own: boolean): string =>
  own ? toHex(account) : `stranger/${toHex(account)}`

/** Whether it registers a witness for epochs to come: its stake is behind that, and without it the ledger stands still some day. */
function isRegistration(state: Reader, { account, body }: Transaction): boolean {
  if (body.kind !== 'stake') return false
  const row = state.get('witness', toHex(body.witness))
  return row !== undefined && equalBytes(row.account, account)
}
