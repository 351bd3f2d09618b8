import { z } from 'zod'
import { runHeaderSchema, signedHeadSchema, MAX_SEALED_FRAME } from '../task/frames.js'
import { BOX_BYTES } from '../task/keys.js'
import { INLINE_BUNDLE_BYTES, MAX_BLOB_BYTES, MAX_TRANSACTION_BYTES } from '../limits.js'
import { taggedHash } from '../encoding/hash.js'
import { bytes32, bytes64, bytesUpTo, slug, whole } from '../encoding/schema.js'
import { sessionCellSchema, sessionInterruptSchema } from '../task/session-cells.js'
import { storedSchema, taskViewSchema } from '../task/task.js'

/**
 * `/pekka/link/1`: the standing stream that a provider dials to a bridge (DESIGN §4). CBOR messages, each at most
 * {@link MAX_LINK_MESSAGE} bytes. The provider's peer id is proved by libp2p, its account by `hello`.
 */
export const LINK_PROTOCOL = '/pekka/link/1'
/** `/pekka/blob/1`: one request, one answer a stream, for bundles and blobs too large for a message. */
export const BLOB_PROTOCOL = '/pekka/blob/1'
/** `/pekka/join/1`: a provider with a code from `pekka invite` asks a bridge for what it needs to join. */
export const JOIN_PROTOCOL = '/pekka/join/1'
/** A batch of frames or an inline bundle with its offer fits. */
export const MAX_LINK_MESSAGE = 2 << 20

const run = { task: bytes32, attempt: whole, run: whole }

/** provider → bridge */
export const providerMessageSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('hello'),
    v: z.literal(1),
    network: bytes32,
    provider: bytes32,
    name: slug,
    /** Signed by the agent delegate over helloMessage (network, bridge's nonce, peer key): account vouches for peer. */
    key: bytes32,
    signature: bytes64,
    /** Runs whose frames the provider still holds; the bridge answers with an `ack` each. */
    resume: z.array(z.strictObject({ ...run, count: whole })).max(10_000)
  }),
  /** Stands before a run's first frames; repeated ones are ignored. */
  z.strictObject({ kind: z.literal('run'), header: runHeaderSchema }),
  /** Sealed frames from `index` on, in order. */
  z.strictObject({
    kind: z.literal('frames'),
    ...run,
    index: whole,
    frames: z.array(bytesUpTo(MAX_SEALED_FRAME)).min(1).max(1024)
  }),
  z.strictObject({ kind: z.literal('head'), head: signedHeadSchema }),
  /** A sealed blob follows on a stream of BLOB_PROTOCOL; frames that name it come after the bridge's `have`. */
  z.strictObject({ kind: z.literal('want'), task: bytes32, hash: bytes32 }),
  z.strictObject({ kind: z.literal('declined'), task: bytes32, reason: z.string().max(64) }),
  /** A kept machine has this many of its session's later cells (R33): when the link comes up, and after each. The next may come. */
  z.strictObject({ kind: z.literal('cells'), ...run, count: whole }),
  z.strictObject({ kind: z.literal('ping'), n: whole })
])
export type ProviderMessage = z.infer<typeof providerMessageSchema>

/** bridge → provider */
export const bridgeMessageSchema = z.discriminatedUnion('kind', [
  /** First message of a link: what `hello` must sign. */
  z.strictObject({ kind: z.literal('challenge'), v: z.literal(1), network: bytes32, bridge: bytes32, nonce: bytes32 }),
  z.strictObject({ kind: z.literal('welcome'), witnesses: z.array(z.string().max(512)).max(64) }),
  /** An offer that names this provider is final (or about to be). `box` is there once window k is open. */
  z.strictObject({
    kind: z.literal('notice'),
    task: bytes32,
    /** Signed offer transaction. */
    transaction: bytesUpTo(MAX_TRANSACTION_BYTES),
    candidate: whole,
    final: z.boolean(),
    box: bytesUpTo(BOX_BYTES).nullable(),
    /** Small bundles come along. */
    bundle: bytesUpTo(INLINE_BUNDLE_BYTES).nullable()
  }),
  z.strictObject({ kind: z.literal('box'), task: bytes32, box: bytesUpTo(BOX_BYTES) }),
  /** Frames up to `count` are durably stored; `stored` is the bridge's signature for the receipt (R8). */
  z.strictObject({ kind: z.literal('ack'), ...run, count: whole, stored: storedSchema.nullable() }),
  z.strictObject({ kind: z.literal('have'), task: bytes32, hash: bytes32 }),
  /** A later cell of a session (R33); null: its sealed bytes are a blob of the task. */
  z.strictObject({
    kind: z.literal('cell'),
    cell: sessionCellSchema,
    sealed: bytesUpTo(INLINE_BUNDLE_BYTES).nullable()
  }),
  /** The cell of a session is to stop; may come more than once. */
  z.strictObject({ kind: z.literal('interrupt'), interrupt: sessionInterruptSchema }),
  /** The task changed on the ledger (accepted by another, cancelled, settled, closed). */
  z.strictObject({ kind: z.literal('state'), task: taskViewSchema }),
  z.strictObject({ kind: z.literal('refused'), code: z.string().max(64), issue: z.string().max(512) }),
  z.strictObject({ kind: z.literal('pong'), n: whole })
])
export type BridgeMessage = z.infer<typeof bridgeMessageSchema>

/** BLOB_PROTOCOL: `get` is answered by the bytes or by `missing`; `put` sends them and is answered by `stored`. */
export const blobRequestSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('get'), task: bytes32, hash: bytes32 }),
  z.strictObject({ kind: z.literal('put'), task: bytes32, hash: bytes32, size: whole.max(MAX_BLOB_BYTES) })
])
export type BlobRequest = z.infer<typeof blobRequestSchema>
export const blobAnswerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('bytes'), size: whole }),
  z.strictObject({ kind: z.literal('missing') }),
  z.strictObject({ kind: z.literal('stored') }),
  z.strictObject({ kind: z.literal('refused'), code: z.string().max(64) })
])
export type BlobAnswer = z.infer<typeof blobAnswerSchema>
/** Bytes of a blob follow its answer or request as raw messages of at most this size. */
export const BLOB_CHUNK = 256 * 1024

/** What `hello` signs: the agent's key vouches for the peer on this link, once (the nonce is the bridge's). */
export const helloMessage = (
  network: Uint8Array,
  bridge: Uint8Array,
  nonce: Uint8Array,
  peerKey: Uint8Array,
  provider: Uint8Array
): Uint8Array => taggedHash('pekka/hello/v1', network, bridge, nonce, peerKey, provider)

/** JOIN_PROTOCOL: the code is shown by `pekka invite`; it is used once and lives ten minutes. */
export const joinRequestSchema = z.strictObject({
  v: z.literal(1),
  code: z.string().min(16).max(128),
  provider: bytes32,
  name: slug
})
export type JoinRequest = z.infer<typeof joinRequestSchema>
export const joinAnswerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('welcome'),
    network: bytes32,
    genesis: bytesUpTo(1 << 20),
    bridges: z.array(z.string()),
    witnesses: z.array(z.string())
  }),
  z.strictObject({ kind: z.literal('refused'), code: z.string().max(64) })
])
export type JoinAnswer = z.infer<typeof joinAnswerSchema>
