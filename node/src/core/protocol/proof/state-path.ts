import { z } from 'zod'
import { concat, equalBytes, utf8 } from '../encoding/bytes.js'
import { PekkaError } from '../errors.js'
import { hashPair, keyInfo, sha256, taggedHash } from '../encoding/hash.js'
import { bytes32, bytesUpTo, whole } from '../encoding/schema.js'

/**
 * The state as a compact sparse Merkle tree. A row stands at the path that the bits of its key give, most significant
 * first, but only as deep as it takes to be alone; a subtree with one row is that row's leaf, one without any is
 * {@link EMPTY_HASH}. A leaf hashes more than 64 bytes and a node exactly 64, so neither can pass for the other.
 */

/** Bits of a key: no path is longer. */
export const MAX_PATH_DEPTH = 256
/** Hash of a subtree without rows. No input is known that hashes to it. */
export const EMPTY_HASH = new Uint8Array(32)

/** Key of a row in the tree. `key` is the row's key in its table, as core/ledger/rows.ts writes it. */
export const stateKey = (table: string, key: string): Uint8Array => sha256(stateKeyPreimage(table, key))

/** What a key hashes, for whoever has a faster SHA-256 (core/ledger/proofs). */
export const stateKeyPreimage = (table: string, key: string): Uint8Array =>
  keyInfo('pekka/state-key/v1', utf8(table), utf8(key))

/** Digest of a row's canonical bytes. */
export const stateValue = (row: Uint8Array): Uint8Array => sha256(row)

export const stateLeaf = (key: Uint8Array, value: Uint8Array): Uint8Array =>
  taggedHash('pekka/state-leaf/v1', key, value)

/** Bit `depth` of a key, counted from its first byte's most significant bit: which way the path goes there. */
export const bitOf = (key: Uint8Array, depth: number): number => ((key[depth >>> 3] ?? 0) >>> (7 - (depth & 7))) & 1

/** What leads from a row, or from where it would be, up to the root. One path has one form; every other is refused. */
export const statePathSchema = z.strictObject({
  /** Nodes above: how many siblings there are. */
  depth: whole.max(MAX_PATH_DEPTH),
  /** Bit i, counted as in a key: the sibling below the node at depth i is empty. ⌈depth/8⌉ bytes, the rest of the bits 0. */
  empty: bytesUpTo(MAX_PATH_DEPTH / 8),
  /** The other siblings from the root down, 32 bytes each. */
  siblings: bytesUpTo(MAX_PATH_DEPTH * 32),
  /** Shows an absence where another row is alone at the end of the path; null where nothing is. */
  other: z.strictObject({ key: bytes32, value: bytes32 }).nullable()
})
export type StatePath = z.infer<typeof statePathSchema>

const refuse = (issue: string): never => {
  throw new PekkaError('PROOF_INVALID', { issue })
}

/**
 * The root of the tree in which the row with this key has the digest `value` (null: in which there is no such row).
 * @throws PekkaError PROOF_INVALID when the path has not its one form
 */
export function stateRootOf(key: Uint8Array, value: Uint8Array | null, path: StatePath): Uint8Array {
  const siblings = siblingsOf(path)
  let hash = endOfPath(key, value, path)
  for (let depth = path.depth - 1; depth >= 0; depth--) {
    const sibling = siblings[depth] ?? EMPTY_HASH
    hash = bitOf(key, depth) === 0 ? hashPair(hash, sibling) : hashPair(sibling, hash)
  }
  return hash
}

function endOfPath(key: Uint8Array, value: Uint8Array | null, { depth, other }: StatePath): Uint8Array {
  if (value !== null) {
    if (other !== null) refuse('a path to a row names another row')
    return stateLeaf(key, value)
  }
  if (other === null) return EMPTY_HASH
  if (equalBytes(other.key, key)) refuse('the row that is absent is there')
  for (let at = 0; at < depth; at++) if (bitOf(other.key, at) !== bitOf(key, at)) refuse('another row is elsewhere')
  return stateLeaf(other.key, other.value)
}

/** One sibling for each depth, from the root down. */
function siblingsOf({ depth, empty, siblings }: StatePath): Uint8Array[] {
  if (empty.length !== Math.ceil(depth / 8)) refuse('the marks of empty siblings have another length')
  for (let at = depth; at < empty.length * 8; at++) if (bitOf(empty, at) === 1) refuse('a mark below the path')
  const out: Uint8Array[] = []
  let from = 0
  for (let at = 0; at < depth; at++) {
    if (bitOf(empty, at) === 1) out.push(EMPTY_HASH)
    else out.push(siblings.subarray(from, (from += 32)))
  }
  if (from !== siblings.length) refuse('there are too many or too few siblings')
  // Alone under its node a row, or nothing, would stand one level higher.
  if (depth > 0 && bitOf(empty, depth - 1) === 1) refuse('the path is longer than the tree')
  if (out.some((sibling, at) => bitOf(empty, at) === 0 && equalBytes(sibling, EMPTY_HASH))) {
    refuse('an empty sibling is not marked')
  }
  return out
}

/** Puts a path into its one form. `siblings`: from the root down, {@link EMPTY_HASH} where there is nothing. */
export function makeStatePath(siblings: readonly Uint8Array[], other: StatePath['other']): StatePath {
  const empty = new Uint8Array(Math.ceil(siblings.length / 8))
  const present: Uint8Array[] = []
  for (const [depth, sibling] of siblings.entries()) {
    if (equalBytes(sibling, EMPTY_HASH)) empty[depth >>> 3] = (empty[depth >>> 3] ?? 0) | (128 >>> (depth & 7))
    else present.push(sibling)
  }
  return { depth: siblings.length, empty, siblings: concat(...present), other }
}
