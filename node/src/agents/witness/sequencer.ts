import type { Clock, CommitteeMembers, PekkaError, Signer } from '@pekka/node/protocol'
import {
  bucketFor,
  laneHead,
  pending,
  timeView,
  type CommitResult,
  type Reader,
  type VerifiedTransaction
} from '@pekka/node/ledger'
import type { BesideRow } from '@pekka/node/host/storage'
import { COMMIT_INTERVAL_MS, COMMIT_SPACING_MS, MAX_SLEEP_MS } from './constants.js'
import { Mempool } from './mempool.js'

/** What consensus decided: the next commit's time and its transactions in order, and whose block it is. */
export interface Decision {
  timestamp: number
  transactions: VerifiedTransaction[]
  /** Time must go on: the commit counts even when none of its transactions may be ordered. */
  due: boolean
  /** Block key of the witness. */
  witness: Uint8Array
  /** For each transaction the block key of the witness whose block brought it, where a committee decides. */
  includers?: readonly Uint8Array[]
  /** Signs the header: as that witness where it decides alone, as the witness that serves it where a committee does. */
  sign(message: Uint8Array): Promise<Uint8Array>
  /** Whether a vertex was final before this commit; equal on every witness. Left out: the ledger's own memory of them decides. */
  isFinal?: (vertex: Uint8Array) => boolean
  /** What the sequencer stores with the commit, in one step. Called once, before that. */
  beside?: (result: CommitResult) => readonly BesideRow[]
  /** The commit is on disk. Says which of the transactions that were put up here will be in none any more, and why. */
  stored?: () => readonly { transaction: VerifiedTransaction; error: PekkaError }[]
  /** Where a committee decides: whose commit it is. */
  committee?: DecidingCommittee
}

/** The committee that has decided a commit. */
export interface DecidingCommittee {
  epoch: number
  /** In the epoch's order. */
  members: CommitteeMembers
  /** Those of the next epoch; null: nobody was elected. */
  next: CommitteeMembers | null
  /** It is the epoch's last commit. */
  last: boolean
  /** Digest of where the next epoch begins, once `beside` was called; null: it is not the last commit, or nobody was elected. */
  resume?: () => Uint8Array | null
}

/**
 * Orders transactions. This is all that the ledger above knows of consensus; with many witnesses another implementation
 * stands here, and nothing else changes.
 */
export interface Sequencer {
  /**
   * Puts a verified transaction up for ordering.
   * @param isFinal whether a vertex is final here
   * @throws PekkaError RATE_LIMITED; where a committee decides also as `authorize`, for what the ledger would refuse
   */
  propose(transaction: VerifiedTransaction, isFinal: (vertex: Uint8Array) => boolean): void | Promise<void>
  /**
   * The next decision, once there is one. Asked again only after the one before has been executed.
   * @throws the signal's reason
   */
  next(state: Reader, signal: AbortSignal): Promise<Decision>
  /** The ledger stops: nothing is asked any more, and its store is still open. */
  stop?: () => Promise<void>
}

export interface LoneSequencerComponents {
  signer: Signer
  clock: Clock
  /** Milliseconds that only go forward, e.g. performance.now. */
  monotonic: () => number
}

/**
 * One witness alone decides: when something waits, at once or a moment after the commit before, with all that came
 * meanwhile; once a second while timers are pending (R12); else not at all.
 */
export class LoneSequencer implements Sequencer {
  readonly #mempool = new Mempool()
  #wake: () => void = () => {}
  /** The ledger's, which goes on with it. */
  #state: Reader | null = null
  /** Index of the last commit, and when it was decided. A decision that came to nothing is no commit. */
  #last: { index: number; at: number }
  #decidedAt: number

  constructor(private readonly components: LoneSequencerComponents) {
    this.#decidedAt = components.monotonic()
    this.#last = { index: -1, at: this.#decidedAt }
  }

  propose(transaction: VerifiedTransaction): void {
    const bucket = this.#state === null ? 0 : bucketFor(this.#state, transaction.transaction)
    this.#mempool.add(transaction, this.components.monotonic(), bucket)
    this.#wake()
  }

  async next(state: Reader, signal: AbortSignal): Promise<Decision> {
    this.#state = state
    const { index } = timeView(state)
    if (index !== this.#last.index) this.#last = { index, at: this.#decidedAt }
    await this.#space(signal)
    for (;;) {
      signal.throwIfAborted()
      const now = this.components.monotonic()
      const timestamp = this.#timestamp(state, now)
      const transactions = this.#mempool.take((account, key) => laneHead(state, account, key)?.sequence ?? null, now)
      const due = this.#isDue(state, now, timestamp)
      if (transactions.length > 0 || due) {
        this.#decidedAt = now
        const { signer } = this.components
        return { timestamp, transactions, due, witness: signer.publicKey, sign: message => signer.sign(message) }
      }
      await this.#sleep(this.#pause(state, now, timestamp), signal)
    }
  }

  /** Waits until the decision before is COMMIT_SPACING_MS old, so that what comes close together shares a commit. */
  async #space(signal: AbortSignal): Promise<void> {
    const left = this.#decidedAt + COMMIT_SPACING_MS - this.components.monotonic()
    if (left > 0 && this.#last.index >= 0) await this.#sleep(left, signal, false)
  }

  /**
   * The clock's time; where that was set back, the last commit's time and what has passed since then: contract time goes on.
   */
  #timestamp(state: Reader, now: number): number {
    const passed = Math.floor(now - this.#last.at)
    return Math.max(this.components.clock.now(), timeView(state).timestamp + passed)
  }

  #isDue(state: Reader, now: number, timestamp: number): boolean {
    const { first, timers, overdue, expiry } = pending(state)
    if (first || overdue) return true
    if (expiry !== null && expiry < timestamp) return true
    return timers && now - this.#last.at >= COMMIT_INTERVAL_MS
  }

  /** How long nothing can become due, ms. */
  #pause(state: Reader, now: number, timestamp: number): number {
    const { timers, expiry } = pending(state)
    const waits = [MAX_SLEEP_MS]
    if (timers) waits.push(this.#last.at + COMMIT_INTERVAL_MS - now)
    if (expiry !== null) waits.push(expiry - timestamp + 1)
    const patience = this.#mempool.patienceEnds()
    if (patience !== null) waits.push(patience - now)
    return Math.max(1, Math.ceil(Math.min(...waits)))
  }

  /** @param wakes whether a proposal ends it */
  #sleep(milliseconds: number, signal: AbortSignal, wakes = true): Promise<void> {
    return new Promise(resolve => {
      const awake = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', awake)
        this.#wake = () => {}
        resolve()
      }
      const timer = setTimeout(awake, milliseconds)
      signal.addEventListener('abort', awake, { once: true })
      if (wakes) this.#wake = awake
    })
  }
}
