import { z } from 'zod'
import { compareBytes, equalBytes } from '../encoding/bytes.js'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { bytes32, bytesUpTo, whole } from '../encoding/schema.js'
import { PekkaError } from '../errors.js'
import {
  decodeWitnessBlock,
  MAX_BLOCK_BYTES,
  witnessBlockId,
  witnessBlockMessage,
  type SignedWitnessBlock
} from '../ledger/block.js'
import type { Verifier } from '../primitives.js'

/**
 * Evidence that a witness signed two blocks for one round. It says so to anyone: whose key signed both is all that there is to check. Whether that key
 * had a seat in the epoch stands in the committee that a proof names (proof.ts).
 */
export const equivocationSchema = z.strictObject({
  v: z.literal(1),
  /** The block key. */
  key: bytes32,
  /** Two signed blocks, canonical bytes, by ascending id: the id covers a block's transactions, so there is no shorter form. */
  blocks: z.tuple([bytesUpTo(MAX_BLOCK_BYTES), bytesUpTo(MAX_BLOCK_BYTES)])
})
export type EquivocationEvidence = z.infer<typeof equivocationSchema>

/** Largest evidence: two blocks, and the map around them. */
export const MAX_EVIDENCE_BYTES = 2 * MAX_BLOCK_BYTES + 256

/** What evidence shows. */
export const equivocationSummarySchema = z.strictObject({
  key: bytes32,
  epoch: whole,
  round: whole,
  /** Ids of the two blocks, ascending. */
  blocks: z.tuple([bytes32, bytes32])
})
export type EquivocationSummary = z.infer<typeof equivocationSummarySchema>

/** Puts evidence together from two signed blocks in any order. Nothing is checked. */
export function makeEquivocation(key: Uint8Array, one: Uint8Array, other: Uint8Array): Uint8Array {
  const [a, b] = [one, other].map(bytes => ({ bytes, id: witnessBlockId(decodeWitnessBlock(bytes).block) }))
  if (a === undefined || b === undefined) throw new TypeError('evidence takes two blocks')
  const blocks = compareBytes(a.id, b.id) <= 0 ? [a.bytes, b.bytes] : [b.bytes, a.bytes]
  return encodeCanonical({ v: 1, key, blocks })
}

/**
 * What evidence says, without its signatures: for one's own disk, where they were checked before.
 * @throws PekkaError PROOF_INVALID, ENCODING_NOT_CANONICAL, BLOCK_INVALID
 */
export function readEquivocation(bytes: Uint8Array): EquivocationSummary & { signed: readonly SignedWitnessBlock[] } {
  if (bytes.length > MAX_EVIDENCE_BYTES) throw invalid('the evidence is too large')
  const parsed = equivocationSchema.safeParse(decodeCanonical(bytes))
  if (!parsed.success) throw invalid(`the evidence has no ${parsed.error.issues[0]?.path.join('.') ?? 'shape'}`)
  const { key, blocks } = parsed.data
  const [first, second] = [decodeWitnessBlock(blocks[0]), decodeWitnessBlock(blocks[1])]
  const { network, epoch, author, round } = first.block
  const other = second.block
  if (!equalBytes(network, other.network)) throw invalid('the blocks are of two networks')
  if (epoch !== other.epoch || author !== other.author || round !== other.round)
    throw invalid('the blocks stand in two places')
  const ids: [Uint8Array, Uint8Array] = [witnessBlockId(first.block), witnessBlockId(other)]
  if (equalBytes(...ids)) throw invalid('it is the same block twice')
  if (compareBytes(...ids) > 0) throw invalid('the blocks are in the wrong order')
  return { key, epoch, round, blocks: ids, signed: [first, second] }
}

/**
 * Checks evidence: two blocks of one network, epoch, author and round with different ids, both signed with the key that it names.
 * @returns what it shows
 * @throws PekkaError PROOF_INVALID, ENCODING_NOT_CANONICAL, BLOCK_INVALID
 */
export async function verifyEquivocation(
  bytes: Uint8Array,
  network: Uint8Array,
  verifier: Verifier
): Promise<EquivocationSummary> {
  const { signed, ...shown } = readEquivocation(bytes)
  for (const [i, { block, signature }] of signed.entries()) {
    if (!equalBytes(block.network, network)) throw invalid('the blocks are of another network')
    const message = witnessBlockMessage(network, shown.blocks[i] ?? witnessBlockId(block))
    if (!(await verifier.verify(shown.key, message, signature))) throw invalid('a block is not signed with this key')
  }
  return shown
}

const invalid = (issue: string): PekkaError => new PekkaError('PROOF_INVALID', { issue })
