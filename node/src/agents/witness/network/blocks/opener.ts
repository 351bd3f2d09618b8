import { createHash } from 'node:crypto'
import {
  decodeWitnessBlock,
  witnessBlockId,
  witnessBlockMessage,
  type SignedWitnessBlock,
  type Verifier
} from '@pekka/node/protocol'
import { openedBlock, type Member, type OpenedBlock } from '@pekka/node/consensus'
import { verifyTransaction, type VerifiedTransaction } from '@pekka/node/ledger'
import { ByteCache } from './byte-cache.js'
import { OPENED_BLOCKS_BYTES, VERIFIED_BYTES } from '../constants.js'

/**
 * What bytes from a peer are. `unknown`: of an epoch whose committee isn't known here (yet), so nobody has vouched for what it says.
 * `broken`: no honest witness sends this.
 */
export type Opening =
  | { status: 'opened'; block: OpenedBlock }
  | { status: 'old' }
  | { status: 'unknown'; epoch: number; round: number }
  | { status: 'broken' }

export interface OpenerComponents {
  verifier: Verifier
  /** The epoch this witness is in, and the committee of an epoch as far as it is known. */
  epoch: () => number
  membersOf: (epoch: number) => readonly Member[] | undefined
}

/** Each object in memory costs about this much more than its bytes. */
const OBJECT_BYTES = 512

/**
 * Opens blocks: canonical bytes, shape, the author's signature, and every transaction in them verified (V6). What was opened is
 * remembered by its bytes, since the same block comes from several peers and the same transaction in several blocks.
 */
export class Opener {
  readonly #blocks = new ByteCache<Promise<Opening>>(OPENED_BLOCKS_BYTES)
  readonly #transactions = new ByteCache<Promise<VerifiedTransaction>>(VERIFIED_BYTES)

  constructor(private readonly components: OpenerComponents) {}

  async block(bytes: Uint8Array): Promise<Opening> {
    const key = digestOf(bytes)
    const known = this.#blocks.get(key)
    if (known !== undefined) return await known
    const opening = this.#open(bytes)
    this.#blocks.set(key, opening, bytes.length + OBJECT_BYTES)
    const opened = await opening
    // What can't be judged now may be judged later.
    if (opened.status !== 'opened') this.#blocks.delete(key)
    return opened
  }

  /** @throws PekkaError as verifyTransaction */
  async transaction(bytes: Uint8Array): Promise<VerifiedTransaction> {
    const key = digestOf(bytes)
    const known = this.#transactions.get(key)
    if (known !== undefined) return await known
    const verifying = verifyTransaction(bytes, this.components.verifier)
    this.#transactions.set(key, verifying, bytes.length + OBJECT_BYTES)
    try {
      return await verifying
    } catch (error) {
      this.#transactions.delete(key)
      throw error
    }
  }

  /** Whether a transaction is verified already, or being verified. */
  knows(bytes: Uint8Array): boolean {
    return this.#transactions.get(digestOf(bytes)) !== undefined
  }

  /** A transaction that was verified elsewhere in this process. */
  remember(transaction: VerifiedTransaction): void {
    const { bytes } = transaction
    this.#transactions.set(digestOf(bytes), Promise.resolve(transaction), bytes.length + OBJECT_BYTES)
  }

  async #open(bytes: Uint8Array): Promise<Opening> {
    const { verifier, membersOf } = this.components
    try {
      const signed = decodeWitnessBlock(bytes)
      const { block, signature } = signed
      const { epoch, round } = block
      if (epoch < this.components.epoch()) return { status: 'old' }
      const members = membersOf(epoch)
      if (members === undefined) return { status: 'unknown', epoch, round }
      const key = members[block.author]?.key
      const message = witnessBlockMessage(block.network, witnessBlockId(block))
      if (key === undefined || !(await verifier.verify(key, message, signature))) return { status: 'broken' }
      return { status: 'opened', block: await this.#put(signed) }
    } catch {
      return { status: 'broken' }
    }
  }

  async #put(signed: SignedWitnessBlock): Promise<OpenedBlock> {
    const transactions: VerifiedTransaction[] = []
    for (const bytes of signed.block.transactions) transactions.push(await this.transaction(bytes))
    return openedBlock(signed, transactions)
  }
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64')
