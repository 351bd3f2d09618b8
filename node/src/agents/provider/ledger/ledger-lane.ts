import { setTimeout as pause } from 'node:timers/promises'
import {
  compareBytes,
  encodeSigned,
  equalBytes,
  fromProblem,
  signTransaction,
  transactionId,
  type Body,
  type Clock,
  type LedgerAccess,
  type PekkaError,
  type Signer,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { TRANSACTION_LIFE_MS } from '../constants.js'

export interface LedgerLaneComponents {
  ledger: LedgerAccess
  clock: Clock
}

export interface LedgerLaneInit {
  network: Uint8Array
  account: Uint8Array
  signer: Signer
  /** Lane 0, signed by the account's own key, or the lane of this signer's delegate (R27). */
  lane: 'account' | 'delegate'
  /** For tests: the pauses where the ledger has no room. */
  busyPauses?: readonly number[]
}

/** What became of a transaction that entered the ledger. */
export type Ordered = Exclude<TransactionOutcome, { status: 'refused' }>

interface Head {
  sequence: number
  previous: Uint8Array | null
}

/** Refusals that mean "sign it again": somebody was faster, or it was too late (R27, R29). */
const SIGN_AGAIN = new Set(['LANE_SEQUENCE', 'PARENT_UNKNOWN', 'TRANSACTION_EXPIRED'])

/** Tries per transaction. Two signers of one lane that keep getting in each other's way are a mistake, not bad luck. */
const MAX_TRIES = 8

/**
 * Pauses before the same bytes are sent again that the ledger had no room for, ms. The first are over before a witness gives up what follows
 * them in the lane (two seconds).
 */
const BUSY_PAUSES_MS = [250, 500, 1_000, 2_000, 4_000]

/** Transactions of the lane that aren't final yet. A witness holds 64 of one lane. */
const MAX_UNDER_WAY = 48

/**
 * The chain of transactions of one key. Transactions are signed one after the other and may be under way together; one that was
 * overtaken is signed again with the same body, whose objects carry their own ids, so nothing happens twice (R13).
 */
export class LedgerLane {
  #head: Head | null = null
  #parents: Uint8Array[] = []
  #signing: Promise<unknown> = Promise.resolve()
  #underWay = 0
  readonly #waiting: (() => void)[] = []

  constructor(
    private readonly components: LedgerLaneComponents,
    private readonly init: LedgerLaneInit
  ) {}

  /**
   * Resolves once the transaction is final, applied or failed.
   * @throws PekkaError with the ledger's code for a refusal; LEDGER_UNREACHABLE
   */
  async send(body: Body, signal?: AbortSignal): Promise<Ordered> {
    for (let tries = 1; ; tries++) {
      const outcome = await this.#sendOnce(body, signal)
      if (outcome.status !== 'refused') return outcome
      this.#head = null
      if (!SIGN_AGAIN.has(outcome.code) || tries >= MAX_TRIES) throw refusal(outcome)
    }
  }

  /** As {@link send}, but a transaction that failed is an error too. */
  async apply(body: Body, signal?: AbortSignal): Promise<Ordered> {
    const outcome = await this.send(body, signal)
    if (outcome.status === 'failed') throw refusal(outcome)
    return outcome
  }

  async #sendOnce(body: Body, signal?: AbortSignal): Promise<TransactionOutcome> {
    while (this.#underWay >= MAX_UNDER_WAY) await new Promise<void>(resolve => this.#waiting.push(resolve))
    this.#underWay += 1
    try {
      return await this.#signAndSubmit(body, signal)
    } finally {
      this.#underWay -= 1
      this.#waiting.shift()?.()
    }
  }

  async #signAndSubmit(body: Body, signal?: AbortSignal): Promise<TransactionOutcome> {
    // Only the signing is one at a time: what follows builds on this one's id and need not wait for its finality.
    const signed = this.#signing.then(() => this.#sign(body, signal))
    this.#signing = signed.catch(() => {})
    try {
      return await this.#submit(await signed, signal)
    } catch (error) {
      // Whether it arrived isn't known; the next one asks.
      this.#head = null
      throw error
    }
  }

  /** What finds no room hasn't entered, and may in a moment: an accept that is given up for a burst of others' is a task not run. */
  async #submit(bytes: Uint8Array, signal?: AbortSignal): Promise<TransactionOutcome> {
    const { ledger } = this.components
    for (const ms of this.init.busyPauses ?? BUSY_PAUSES_MS) {
      const outcome = await ledger.submit(bytes, signal)
      if (outcome.status !== 'refused' || outcome.code !== 'RATE_LIMITED') return outcome
      await pause(ms * (0.5 + Math.random() / 2), undefined, { signal })
    }
    return await ledger.submit(bytes, signal)
  }

  async #sign(body: Body, signal?: AbortSignal): Promise<Uint8Array> {
    const { network, account, signer, lane } = this.init
    this.#head ??= await this.#readHead(signal)
    const { sequence, previous } = this.#head
    const signed = await signTransaction(
      {
        v: 1,
        network,
        account,
        key: lane === 'account' ? null : signer.publicKey,
        sequence,
        previous,
        // The lane's own previous is a valid parent (R29) and spares asking for others.
        parents: previous === null ? this.#parents : [previous],
        expiry: this.components.clock.now() + TRANSACTION_LIFE_MS,
        body
      },
      [signer]
    )
    this.#head = { sequence: sequence + 1, previous: transactionId(signed.transaction) }
    return encodeSigned(signed)
  }

  async #readHead(signal?: AbortSignal): Promise<Head> {
    const { account, signer, lane } = this.init
    const { ledger } = this.components
    const [time, view] = await Promise.all([ledger.time(signal), ledger.account(account, signal)])
    this.#parents = [...time.parents].sort(compareBytes)
    const key = lane === 'account' ? null : signer.publicKey
    const own = view?.lanes.find(one => (one.key === null || key === null ? one.key === key : equalBytes(one.key, key)))
    // An account that opens itself begins with sequence 0 before it exists.
    return own === undefined ? { sequence: 0, previous: null } : { sequence: own.sequence, previous: own.previous }
  }
}

const refusal = ({ code, data }: { code: string; data: Record<string, string> }): PekkaError =>
  fromProblem({ code, data })
