import {
  PekkaError,
  accountViewSchema,
  compareBytes,
  equalBytes,
  ledgerTimeSchema,
  signTransaction,
  toHex,
  transactionId,
  type Body,
  type Clock,
  type SignedTransaction
} from '../../protocol/index.js'
import type { Identity, TokenSource } from '../credentials.js'
import type { Http } from '../transport.js'

/** Runs callers one after another: a mutex inside a process, a Web Lock between the tabs of a profile (R27). */
export type Exclusive = <T>(work: () => Promise<T>) => Promise<T>

/** A mutex for one process. */
export function createExclusive(): Exclusive {
  let tail: Promise<unknown> = Promise.resolve()
  return work => {
    const result = tail.then(work)
    tail = result.catch(() => undefined)
    return result
  }
}

/** Several processes that sign on one lane at once get through in turn; more than this many is a fault. */
const RETRIES = 5

/**
 * What an owner may sign anew because the bridge says that the lane has moved: done twice it is as done once. A bridge that carried out
 * a payment and denies it would have it made again. What a delegate signs names its object by an id, so it happens once (R13).
 */
const REPEATABLE: readonly Body['kind'][] = ['grant', 'revoke']

/** Interactive offers are void after this, ms (R13 allows two minutes). */
const OFFER_LIFE_MS = 60_000

/**
 * The chain of transactions of one delegate. Numbers come from memory after the first read, so signing costs no round
 * trip; when another signer of the same lane was faster, the lane is read again and the same body is signed anew (R27).
 */
export class Lane {
  #head: { sequence: number; previous: Uint8Array | null } | null = null
  #parents: Uint8Array[] = []
  /** What the ledger's clock is ahead of ours, ms: expiries are judged by it. */
  #ahead = 0

  constructor(
    private readonly components: {
      http: Http
      tokens: TokenSource
      clock: Clock
      identity: Pick<Identity, 'network' | 'account' | 'signer'>
      exclusive: Exclusive
    },
    /** `owner`: lane 0, signed by the account's own key; else the lane of the identity's delegate. */
    private readonly init: { owner?: boolean } = {}
  ) {}

  /**
   * Signs `body` as the lane's next transaction and hands it to `send`, which must resolve only when it was taken.
   * Reads the lane again and retries when it had moved: another process of the same user may sign on it too. Of what an owner signs
   * this holds for grants alone.
   */
  async send<T>(body: Body, send: (signed: SignedTransaction) => Promise<T>): Promise<T> {
    const retries = this.init.owner !== true || REPEATABLE.includes(body.kind) ? RETRIES : 0
    return await this.components.exclusive(async () => {
      for (let round = 0; ; round++) {
        const signed = await this.#sign(body)
        try {
          const result = await send(signed)
          this.#head = { sequence: signed.transaction.sequence + 1, previous: transactionId(signed.transaction) }
          return result
        } catch (error) {
          this.#head = null
          const moved =
            error instanceof PekkaError && (error.code === 'LANE_SEQUENCE' || error.code === 'PARENT_UNKNOWN')
          if (!moved || round >= retries) throw error
        }
      }
    })
  }

  /** The lane's next transaction, signed by this key alone and not sent: others sign it too, within `lifeMs`. */
  async prepare(body: Body, lifeMs: number): Promise<SignedTransaction> {
    const head = await this.#read()
    // The network's id is final for ever, which other vertices needn't be by then.
    const parents = [head.previous ?? this.components.identity.network]
    return await this.#signAt(body, head, parents, lifeMs)
  }

  /** Forget what is known, e.g. after the bridge reported that a transaction was refused. */
  forget(): void {
    this.#head = null
  }

  async #sign(body: Body): Promise<SignedTransaction> {
    this.#head ??= await this.#read()
    const { previous } = this.#head
    // The lane's own previous is a valid parent (R29) and spares asking for others.
    const parents = previous ? [previous] : [...this.#parents].sort(compareBytes)
    return await this.#signAt(body, this.#head, parents, OFFER_LIFE_MS)
  }

  async #signAt(
    body: Body,
    { sequence, previous }: { sequence: number; previous: Uint8Array | null },
    parents: Uint8Array[],
    lifeMs: number
  ): Promise<SignedTransaction> {
    const { identity, clock } = this.components
    return await signTransaction(
      {
        v: 1,
        network: identity.network,
        account: identity.account,
        key: this.#key,
        sequence,
        previous,
        parents,
        expiry: clock.now() + this.#ahead + lifeMs,
        body
      },
      [identity.signer]
    )
  }

  async #read(): Promise<{ sequence: number; previous: Uint8Array | null }> {
    const { http, tokens, identity } = this.components
    const [time, account] = await Promise.all([
      http.request('GET', '/v1/ledger/time', ledgerTimeSchema),
      http.request('GET', `/v1/accounts/${toHex(identity.account)}`, accountViewSchema, { token: await tokens.get() })
    ])
    this.#parents = time.parents
    this.#ahead = time.timestamp - this.components.clock.now()
    const key = this.#key
    const own = account.lanes.find(lane =>
      key === null || lane.key === null ? key === lane.key : equalBytes(lane.key, key)
    )
    if (own) return { sequence: own.sequence, previous: own.previous }
    // An account that has signed nothing yet has no lane 0 to show.
    if (key === null) return { sequence: 0, previous: null }
    throw new PekkaError('DELEGATE_UNKNOWN')
  }

  get #key(): Uint8Array | null {
    return this.init.owner === true ? null : this.components.identity.signer.publicKey
  }
}
