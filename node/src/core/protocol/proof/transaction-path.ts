import { z } from 'zod'
import { u32, u64, utf8 } from '../encoding/bytes.js'
import { PekkaError } from '../errors.js'
import { hashPair, keyInfo, sha256 } from '../encoding/hash.js'
import { bytes32, bytesUpTo, whole } from '../encoding/schema.js'

/**
 * Ordered transactions and what became of them as a Merkle tree of RFC 6962's shape: layer by layer in pairs, an odd last
 * one goes up as it is. A leaf hashes more than 64 bytes and a node exactly 64. No transactions: EMPTY_HASH.
 */

/** Transactions under one root: more than a witness can order between two checkpoints. */
export const MAX_ROOT_TRANSACTIONS = 2 ** 32
const MAX_SIBLINGS = 32

export const orderedTransactionSchema = z.strictObject({
  /** The commit that holds it, and as the how manieth, from 0. */
  index: whole,
  position: whole.max(MAX_ROOT_TRANSACTIONS - 1),
  id: bytes32,
  /** null: applied; else the error it failed with. */
  code: z.string().min(1).max(64).nullable()
})
export type OrderedTransaction = z.infer<typeof orderedTransactionSchema>

/** What a leaf hashes, for whoever has a faster SHA-256 (core/ledger/proofs). */
export const transactionPreimage = ({ index, position, id, code }: OrderedTransaction): Uint8Array =>
  keyInfo('pekka/transaction-leaf/v1', u64(index), u32(position), id, utf8(code ?? ''))

export const transactionLeaf = (ordered: OrderedTransaction): Uint8Array => sha256(transactionPreimage(ordered))

export const transactionPathSchema = z.strictObject({
  /** Number of the leaf among all under the root, from 0. */
  leaf: whole.max(MAX_ROOT_TRANSACTIONS - 1),
  /** From the leaf up, 32 bytes each. */
  siblings: bytesUpTo(MAX_SIBLINGS * 32)
})
export type TransactionPath = z.infer<typeof transactionPathSchema>

const refuse = (issue: string): never => {
  throw new PekkaError('PROOF_INVALID', { issue })
}

/**
 * The root of a tree of `count` leaves in which this one stands where `path` says.
 * @throws PekkaError PROOF_INVALID when the path can't be one in a tree of that size
 */
export function transactionsRootOf(leaf: Uint8Array, count: number, { leaf: number, siblings }: TransactionPath) {
  if (number >= count) refuse('a leaf beyond the last')
  let hash = leaf
  let from = 0
  for (let at = number, last = count - 1; last > 0; at = Math.floor(at / 2), last = Math.floor(last / 2)) {
    // An odd last one of a layer has no sibling.
    if (at === last && at % 2 === 0) continue
    const sibling = siblings.subarray(from, (from += 32))
    if (sibling.length < 32) refuse('there are too few siblings')
    hash = at % 2 === 0 ? hashPair(hash, sibling) : hashPair(sibling, hash)
  }
  if (from !== siblings.length) refuse('there are too many siblings')
  return hash
}
