import { z } from 'zod'
import { u32, u64 } from '../encoding/bytes.js'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { PekkaError } from '../errors.js'
import { sha256, taggedHash } from '../encoding/hash.js'
import { MAX_TRANSACTION_BYTES } from '../limits.js'
import { bytes32, bytes64, bytesUpTo, millis, whole } from '../encoding/schema.js'

/** Blocks of witnesses: the vertices of the DAG that vote and order. Transactions are ordered by them and never vote. */

/** Most members of a committee; a genesis can't name more. */
export const MAX_WITNESSES = 100
/** Older blocks that one block may bring into the order beside its parents. 16 take in a witness that was late for a while. */
export const MAX_WEAK_REFERENCES = 16
/** Transactions in one block. At 10 blocks a second this is over 10,000 a second from one witness, above what one can verify. */
export const MAX_BLOCK_TRANSACTIONS = 1024
/** Bytes of the transactions in one block. Four of the largest transactions fit; 20 such blocks a round are 20 MiB. */
export const MAX_BLOCK_PAYLOAD = 1 << 20
/** Commits that one block votes on. More than a block can see finished since the last one, unless its witness was far behind. */
export const MAX_COMMIT_VOTES = 16
/** Largest signed block: its payload, and 100 references, weak ones and votes of some 80 bytes each. */
export const MAX_BLOCK_BYTES = MAX_BLOCK_PAYLOAD + (64 << 10)

/** Names a block: whose, which round, and the SHA-256 of its canonical bytes without the signature. */
export const blockReferenceSchema = z.strictObject({
  /** Index in the epoch's committee. */
  author: whole.max(MAX_WITNESSES - 1),
  round: whole,
  id: bytes32
})
export type BlockReference = z.infer<typeof blockReferenceSchema>

/** "After commit `index` my history and state are these": Q of them certify a commit. `digest`: {@link commitVoteDigest}. */
export const commitVoteSchema = z.strictObject({ index: whole, digest: bytes32 })
export type CommitVote = z.infer<typeof commitVoteSchema>

/** A witness's block. What else must hold of it, given its parents, are rules V1 to V8 (core/consensus/validity.ts). */
export const witnessBlockSchema = z.strictObject({
  v: z.literal(1),
  network: bytes32,
  epoch: whole,
  /** Index in the epoch's committee. */
  author: whole.max(MAX_WITNESSES - 1),
  /** From 1; round 0 are the epoch's first references, which nobody signs. */
  round: whole.min(1),
  /** The author's clock, ms; never before a parent's. */
  timestamp: millis,
  /** Blocks of the round before, the author's own first, then by author: these are votes. */
  parents: z.array(blockReferenceSchema).min(1).max(MAX_WITNESSES),
  /** Older blocks that aren't in the history yet; never votes. */
  weak: z.array(blockReferenceSchema).max(MAX_WEAK_REFERENCES),
  /** Signed transactions, canonical bytes. */
  transactions: z.array(bytesUpTo(MAX_TRANSACTION_BYTES)).max(MAX_BLOCK_TRANSACTIONS),
  votes: z.array(commitVoteSchema).max(MAX_COMMIT_VOTES),
  /** The author's hash chain, opened one link further for this round (R26). */
  reveal: bytes32
})
export type WitnessBlock = z.infer<typeof witnessBlockSchema>

export const signedWitnessBlockSchema = z.strictObject({ block: witnessBlockSchema, signature: bytes64 })
export type SignedWitnessBlock = z.infer<typeof signedWitnessBlockSchema>

export const witnessBlockId = (block: WitnessBlock): Uint8Array => sha256(encodeCanonical(block))

/** What the author signs: the network and the id of the canonical bytes. */
export const witnessBlockMessage = (network: Uint8Array, id: Uint8Array): Uint8Array =>
  taggedHash('pekka/witness-block/v1', network, id)

export const encodeWitnessBlock = ({ block, signature }: SignedWitnessBlock): Uint8Array =>
  encodeCanonical({ block, signature })

/**
 * Reads canonical bytes. Neither the signature nor any rule that needs other blocks is checked here.
 * @throws PekkaError ENCODING_NOT_CANONICAL, BLOCK_INVALID
 */
export function decodeWitnessBlock(bytes: Uint8Array): SignedWitnessBlock {
  if (bytes.length > MAX_BLOCK_BYTES) throw new PekkaError('BLOCK_INVALID', { rule: 'size' })
  const parsed = signedWitnessBlockSchema.safeParse(decodeCanonical(bytes))
  if (!parsed.success)
    throw new PekkaError('BLOCK_INVALID', { rule: `shape ${parsed.error.issues[0]?.path.join('.')}` })
  const payload = parsed.data.block.transactions.reduce((sum, transaction) => sum + transaction.length, 0)
  if (payload > MAX_BLOCK_PAYLOAD) throw new PekkaError('BLOCK_INVALID', { rule: 'size' })
  return parsed.data
}

/** Round 0 of an epoch: one reference for each author, bound to the network's history up to there. Nobody signs them. */
export const epochGenesisId = (network: Uint8Array, epoch: number, history: Uint8Array, author: number): Uint8Array =>
  taggedHash('pekka/epoch-genesis/v1', network, u64(epoch), history, u32(author))

/** One commit of the DAG, as its chained digest covers it. */
export const commitCoreSchema = z.strictObject({
  index: whole,
  epoch: whole,
  leader: blockReferenceSchema,
  /** Ids of the blocks that it brings into the order, in that order. The leader's is the last one. */
  blocks: z.array(bytes32),
  timestamp: millis,
  /** R_i of R26. */
  randomness: bytes32
})
export type CommitCore = z.infer<typeof commitCoreSchema>

/** Digest of the history up to and with a commit. The first commit's `previous` is the network's id. */
export const commitDigest = (previous: Uint8Array, core: CommitCore): Uint8Array =>
  taggedHash('pekka/commit/v1', previous, encodeCanonical(core))

/** What commit votes name: the history, and what executing it came to (the ledger's header and state). */
export const commitVoteDigest = (history: Uint8Array, state: Uint8Array): Uint8Array =>
  taggedHash('pekka/commit-vote/v1', history, state)
