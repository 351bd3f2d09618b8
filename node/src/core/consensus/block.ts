import {
  encodeWitnessBlock,
  epochGenesisId,
  toHex,
  witnessBlockId,
  type BlockReference,
  type SignedTransaction,
  type SignedWitnessBlock,
  type WitnessBlock
} from '../protocol/index.js'

/** A block's id as text: what maps are keyed by. */
export type BlockKey = string

/** A transaction whose bytes, shape and signatures were checked before (core/ledger's VerifiedTransaction has this form). */
export interface PayloadTransaction extends SignedTransaction {
  readonly id: Uint8Array
  readonly bytes: Uint8Array
}

/** A reference with its id as text. */
export interface Link {
  readonly author: number
  readonly round: number
  readonly key: BlockKey
}

/** A block whose bytes, shape, signature and transactions hold. Whether it fits its parents is decided on acceptance. */
export interface OpenedBlock {
  readonly block: WitnessBlock
  readonly id: Uint8Array
  readonly key: BlockKey
  /** Signed canonical bytes, as sent and stored. */
  readonly bytes: Uint8Array
  readonly parents: readonly Link[]
  readonly weak: readonly Link[]
  readonly transactions: readonly PayloadTransaction[]
}

const linkOf = ({ author, round, id }: BlockReference): Link => ({ author, round, key: toHex(id) })

/** Puts together what was opened. The caller has verified signature and transactions. */
export function openedBlock(signed: SignedWitnessBlock, transactions: readonly PayloadTransaction[]): OpenedBlock {
  const { block } = signed
  const id = witnessBlockId(block)
  return {
    block,
    id,
    key: toHex(id),
    bytes: encodeWitnessBlock(signed),
    parents: block.parents.map(linkOf),
    weak: block.weak.map(linkOf),
    transactions
  }
}

export const referenceTo = ({ block: { author, round }, id }: OpenedBlock): BlockReference => ({ author, round, id })

/** Round 0 of an epoch, by author. */
export const genesisReferences = (
  network: Uint8Array,
  epoch: number,
  history: Uint8Array,
  authors: number
): BlockReference[] =>
  Array.from({ length: authors }, (_, author) => ({
    author,
    round: 0,
    id: epochGenesisId(network, epoch, history, author)
  }))
