import { equalBytes, PekkaError, toHex, type Clock } from '@pekka/node/protocol'
import { bucketFor, isWasteful, type Reader, type VerifiedTransaction } from '@pekka/node/ledger'
import type { GossipVerdict } from '@pekka/node/host/network'
import type { LedgerStore } from '@pekka/node/host/storage'
import { Admission } from '../../admission.js'
import type { Agreement } from '../agreement.js'
import type { Opener } from '../blocks/opener.js'
import { refuseOldParents } from '../executing.js'
import type { WitnessLinks } from '../links.js'
import { MAX_UNDER_WAY } from '../constants.js'
import { STAKED } from './allowances.js'
import { FinalityTimes } from './finality-times.js'
import { Guests } from './guests.js'
import { Hearsay } from './hearsay.js'
import { LaneGate, type IsFinal } from './lane-gate.js'

export interface IntakeComponents {
  store: Pick<LedgerStore, 'locate'>
  opener: Opener
  /** The ledger's state after its last commit. */
  state: () => Reader
  /** Members of the committee that decides now. */
  seats: () => number
  clock: Clock
  monotonic: () => number
}

export interface IntakeInit {
  network: Uint8Array
  /** This witness's block key. */
  key: Uint8Array
}

/** What takes the transactions on and where they come from; once the ledger is open. */
export interface IntakeOutlets {
  agreement: Pick<Agreement, 'offer' | 'tell' | 'feed'>
  links: Pick<WitnessLinks, 'provenKeyOf' | 'keyOf'>
}

/** How often a witness that writes no blocks looks for what nobody can order any more, ms. */
const DEAD_LOOK_MS = 1_000

/** Transactions on their way into blocks: own clients' and those that other witnesses tell of, each until it is ordered or refused. */
export class Intake {
  readonly #gate: LaneGate
  readonly #guests: Guests
  readonly #times: FinalityTimes
  /** When it was looked for transactions that nobody can order any more, elapsed ms. */
  #deadAt = -Infinity

  constructor(
    private readonly components: IntakeComponents,
    private readonly init: IntakeInit
  ) {
    const { state, seats, clock, monotonic } = components
    this.#gate = new LaneGate({ state, clock, room: () => MAX_UNDER_WAY / Math.max(1, seats()) })
    this.#guests = new Guests(new Admission({ state, clock }))
    this.#times = new FinalityTimes(monotonic)
  }

  /** From submission to final, ms. */
  quantiles(): ReturnType<FinalityTimes['quantiles']> {
    return this.#times.quantiles()
  }

  /**
   * A client's: resolves when it is put up for a block.
   * @throws PekkaError as `authorize` where the ledger would refuse it; PARENT_UNKNOWN; RATE_LIMITED: later, or at another witness
   */
  async take(
    transaction: VerifiedTransaction,
    isFinal: IsFinal,
    { agreement }: Pick<IntakeOutlets, 'agreement'>
  ): Promise<void> {
    const { store, opener, state } = this.components
    if (this.#isSpare(transaction)) throw new PekkaError('RATE_LIMITED')
    await refuseOldParents(transaction, store, state())
    await this.#gate.enter(transaction, isFinal)
    opener.remember(transaction)
    this.#times.begin(transaction)
    if ((await agreement.offer(transaction, this.#bucketOf(transaction))) === 'full') {
      this.#times.end(transaction)
      this.#gate.leave(transaction)
      throw new PekkaError('RATE_LIMITED')
    }
  }

  /** The ear for what other witnesses tell of. */
  hearsay(outlets: () => IntakeOutlets): Hearsay {
    const { opener, store, state, clock, monotonic } = this.components
    return new Hearsay(
      {
        ...{ opener, store, state, clock, monotonic },
        guests: this.#guests,
        gate: this.#gate,
        bucketOf: transaction => this.#bucketOf(transaction),
        isSpare: transaction => this.#isSpare(transaction),
        standBy: told => outlets().agreement.tell(told),
        offer: (transaction, bucket) => outlets().agreement.offer(transaction, bucket),
        unfit: id => outlets().agreement.feed({ type: 'unfit', ids: [id] })
      },
      { network: this.init.network, allowance: peer => this.#allowanceOf(outlets().links, peer) }
    )
  }

  /** Judges a message of gossip; who sent one that nobody honest sends is accused. */
  async hear(
    hearsay: Hearsay,
    message: Uint8Array,
    from: string,
    links: Pick<WitnessLinks, 'accuse'>
  ): Promise<GossipVerdict> {
    const verdict = await hearsay.take(message, from)
    if (verdict === 'reject') links.accuse(from)
    return verdict
  }

  /** A commit is stored: it ordered these, refused some of them, and changed these accounts. */
  ordered(
    transactions: readonly VerifiedTransaction[],
    refused: readonly VerifiedTransaction[],
    accounts: readonly Uint8Array[]
  ): void {
    for (const transaction of refused) this.#guests.wasted(transaction)
    for (const transaction of transactions) this.#end(transaction)
    this.#gate.moved(transactions, accounts)
  }

  /** Others' that will not be ordered through this witness. */
  letGo(ids: readonly Uint8Array[]): void {
    for (const id of ids) this.#guests.leave({ id })
  }

  /**
   * What a witness without a seat has been sent waits for others' blocks, and they drop without a word what they can't order. A member's
   * own blocks carry it all, and the ledger's refusal is the answer.
   */
  letGoDead({
    agreement
  }: Pick<IntakeOutlets, 'agreement'>): { transaction: VerifiedTransaction; error: PekkaError }[] {
    const now = this.components.monotonic()
    if (now < this.#deadAt + DEAD_LOOK_MS) return []
    this.#deadAt = now
    const dead = this.#gate.dead()
    if (dead.length === 0) return []
    agreement.feed({ type: 'unfit', ids: dead.map(({ transaction }) => transaction.id) })
    // Also those that stood by before they were put up here, when this witness still wrote.
    for (const { transaction } of dead) this.#end(transaction)
    return dead
  }

  stop(): void {
    this.#gate.stop()
  }

  #end(transaction: VerifiedTransaction): void {
    this.#times.end(transaction)
    this.#gate.leave(transaction)
    this.#guests.leave(transaction)
  }

  #allowanceOf(links: IntakeOutlets['links'], peer: string): string | null {
    const key = links.provenKeyOf(peer)
    if (key === null) return null
    return links.keyOf(peer) ?? (this.components.state().get('witness', key) === undefined ? null : STAKED)
  }

  #bucketOf({ transaction }: VerifiedTransaction): number {
    return bucketFor(this.components.state(), transaction)
  }

  /**
   * Whether it is left to other witnesses: half of what this one may waste is gone, and accounts with nothing behind them cost nothing. Never
   * what the account sends that stakes on it: others don't have its registration, and it leaves the committee without.
   */
  #isSpare(transaction: VerifiedTransaction): boolean {
    const state = this.components.state()
    const { key } = this.init
    const own = state.get('witness', toHex(key))
    if (own !== undefined && equalBytes(own.account, transaction.transaction.account)) return false
    return this.#bucketOf(transaction) === 0 && isWasteful(state, key)
  }
}
