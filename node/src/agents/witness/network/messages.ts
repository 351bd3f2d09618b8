import { z } from 'zod'
import { bytes32, bytes64, bytesUpTo, MAX_BLOCK_BYTES, taggedHash, utf8, whole } from '@pekka/node/protocol'
import { MAX_ANSWER_BLOCKS, MAX_REQUEST_IDS } from '@pekka/node/consensus'

/** Longest name of a note, and its bytes. */
const MAX_TOPIC = 32
const MAX_NOTE_BYTES = 64 << 10

/** What witnesses say to one another over `/pekka/witness/1`; CBOR. The first message of each side is its `hello`. */
export const witnessMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    v: z.literal(1),
    network: bytes32,
    /** Block key, and its signature over {@link helloMessage}: which peer id speaks for it. null: an observer. */
    key: bytes32.nullable(),
    signature: bytes64.nullable(),
    /** Index of the sender's last commit, −1 before the first: whoever has just started compares. */
    commit: z.number().int().min(-1)
  }),
  /** Blocks as they were signed. `answer`: they answer a `fetch-rounds`. */
  z.strictObject({
    type: z.literal('blocks'),
    blocks: z.array(bytesUpTo(MAX_BLOCK_BYTES)).max(MAX_ANSWER_BLOCKS),
    answer: z.boolean()
  }),
  /** Blocks of this author (a block key) come earlier over other links. */
  z.strictObject({ type: z.literal('spare'), author: bytes32 }),
  z.strictObject({ type: z.literal('fetch'), keys: z.array(bytes32).max(MAX_REQUEST_IDS) }),
  z.strictObject({ type: z.literal('fetch-rounds'), epoch: whole, from: whole, count: whole.max(1_024) }),
  /** What other parts of the witness tell one another, by topic. */
  z.strictObject({ type: z.literal('note'), topic: z.string().max(MAX_TOPIC), bytes: bytesUpTo(MAX_NOTE_BYTES) }),
  z.strictObject({ type: z.literal('ping') })
])
export type WitnessMessage = z.infer<typeof witnessMessageSchema>

/** What a block key signs to let a peer speak for it. The handshake has proven the peer id, so it can't be used by another. */
export const helloMessage = (network: Uint8Array, peer: string): Uint8Array =>
  taggedHash('pekka/witness-link/v1', network, utf8(peer))
