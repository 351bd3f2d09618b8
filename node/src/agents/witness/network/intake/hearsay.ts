import {
  decodeBatch,
  decodeSigned,
  equalBytes,
  isPekkaError,
  type Clock,
  type SignedTransaction
} from '@pekka/node/protocol'
import type { PayloadTransaction } from '@pekka/node/consensus'
import { laneHead, timeView, type Reader, type VerifiedTransaction } from '@pekka/node/ledger'
import type { GossipVerdict } from '@pekka/node/host/network'
import type { LedgerStore } from '@pekka/node/host/storage'
import type { Opener } from '../blocks/opener.js'
import { finalBefore, refuseOldParents } from '../executing.js'
import { Allowances } from './allowances.js'
import type { Guests } from './guests.js'
import type { LaneGate } from './lane-gate.js'

/** An honest witness tells of nothing that expired longer ago than this, by any clock that others may have, ms. */
const EXPIRED_MS = 60_000

export interface HearsayComponents {
  opener: Pick<Opener, 'knows' | 'transaction'>
  guests: Guests
  gate: Pick<LaneGate, 'tryEnter' | 'leave'>
  store: Pick<LedgerStore, 'locate'>
  /** The ledger's state after its last commit. */
  state: () => Reader
  clock: Clock
  monotonic: () => number
  bucketOf: (transaction: VerifiedTransaction) => number
  /** Whether it is left to other witnesses. */
  isSpare: (transaction: VerifiedTransaction) => boolean
  /** Lets these stand by; says how many do. */
  standBy: (told: { transaction: VerifiedTransaction; bucket: number }[]) => Promise<number>
  /** Puts one up for an own block. */
  offer: (transaction: VerifiedTransaction, bucket: number) => Promise<'taken' | 'full'>
  /** The ledger will never take it. */
  unfit: (id: Uint8Array) => void
}

export interface HearsayInit {
  network: Uint8Array
  /** What a peer may cost: a name of its own where it has a seat, STAKED where it has stake, null otherwise. */
  allowance: (peer: string) => string | null
}

/**
 * Transactions that other witnesses tell of: judged before they are passed on, let in as a client's are (R30), and put up when the consensus
 * says that it is this witness's turn.
 *
 * What anybody would refuse is the sender's fault: no batch, another network, long expired, a signature that doesn't hold. What only this
 * witness refuses, by its state or for want of room, isn't; and nothing goes on of which a signature wasn't checked.
 */
export class Hearsay {
  readonly #allowances: Allowances

  constructor(
    private readonly components: HearsayComponents,
    private readonly init: HearsayInit
  ) {
    this.#allowances = new Allowances(components.monotonic)
  }

  async take(message: Uint8Array, from: string): Promise<GossipVerdict> {
    const batch = decodeBatch(message)
    if (batch === null) return 'reject'
    const { opener } = this.components
    const unknown: SignedTransaction[] = []
    for (const bytes of batch) {
      if (opener.knows(bytes)) continue
      const signed = read(bytes)
      if (signed === null || this.#isWrong(signed)) return 'reject'
      unknown.push(signed)
    }
    // One key's check each, and one that some bodies bring along.
    const checks = unknown.reduce((sum, { signatures }) => sum + signatures.length + 1, 0)
    if (!this.#allowances.spend(this.init.allowance(from), checks)) return 'ignore'
    const verified: VerifiedTransaction[] = []
    for (const bytes of batch) {
      const transaction = await opener.transaction(bytes).catch(() => null)
      if (transaction === null || this.#isWrong(transaction)) return 'reject'
      verified.push(transaction)
    }
    const told = await this.#letIn(verified)
    // Whoever passes a batch on answers for it, and others judge it a little later, by other clocks.
    const late = this.components.clock.now() - EXPIRED_MS / 2
    return told > 0 && verified.every(({ transaction: { expiry } }) => expiry >= late) ? 'forward' : 'ignore'
  }

  /** The consensus says that it is this witness's turn: what the ledger still takes is put up for its next block. */
  async standIn(transactions: readonly PayloadTransaction[]): Promise<void> {
    const { gate, store, state, offer, unfit, isSpare, bucketOf } = this.components
    for (const transaction of transactions) {
      // It stays, and is others' turn too.
      if (isSpare(transaction)) continue
      const old = await refuseOldParents(transaction, store, state()).then(
        () => false,
        () => true
      )
      if (old) {
        unfit(transaction.id)
        continue
      }
      const status = gate.tryEnter(transaction, await finalBefore([transaction], store, state()))
      if (status === 'refused') unfit(transaction.id)
      else if (status === 'ready' && (await offer(transaction, bucketOf(transaction))) === 'full') {
        gate.leave(transaction)
      }
    }
  }

  /** What this state can use of them, and has room for. */
  async #letIn(transactions: readonly VerifiedTransaction[]): Promise<number> {
    const { state, clock, guests, bucketOf, standBy } = this.components
    const reader = state()
    const now = Math.max(timeView(reader).timestamp, clock.now())
    const fresh = transactions.filter(({ transaction: { account, key, sequence, expiry } }) => {
      return expiry >= now && sequence >= (laneHead(reader, account, key)?.sequence ?? 0)
    })
    const told = fresh
      .filter(transaction => guests.enter(transaction))
      .map(transaction => ({ transaction, bucket: bucketOf(transaction) }))
    return told.length === 0 ? 0 : await standBy(told)
  }

  #isWrong({ transaction: { network, expiry } }: SignedTransaction): boolean {
    const now = this.components.clock.now()
    return !equalBytes(network, this.init.network) || expiry < now - EXPIRED_MS
  }
}

function read(bytes: Uint8Array): SignedTransaction | null {
  try {
    return decodeSigned(bytes)
  } catch (error) {
    if (isPekkaError(error)) return null
    throw error
  }
}
