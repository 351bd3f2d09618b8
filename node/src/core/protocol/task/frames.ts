import { z } from 'zod'
import { concat, u32, u64 } from '../encoding/bytes.js'
import { decodeCbor, encodeCbor } from '../encoding/encoding.js'
import { PekkaError } from '../errors.js'
import { taskEventSchema, type TaskEvent } from './events.js'
import { sha256, taggedHash } from '../encoding/hash.js'
import { counterNonce, runBytes, type RunBinding } from './keys.js'
import { FRAME_SIZES } from '../limits.js'
import { manifestEnvelopeSchema, type ManifestEnvelope } from './manifest.js'
import { TAG_BYTES, type Aead, type Signer, type Verifier } from '../primitives.js'
import { bytes32, bytes64, whole } from '../encoding/schema.js'

/**
 * Output of a run: frames, sealed to the client, numbered from 0 and chained (R5, R7).
 *
 * The run's header stands before frame 0: it carries the run's X25519 key in clear and is signed by the provider's
 * agent. `head(n)` is the hash over the header and the first n frames.
 */

export const runHeaderSchema = z.strictObject({
  v: z.literal(1),
  network: bytes32,
  task: bytes32,
  attempt: whole,
  run: whole.min(1),
  provider: bytes32,
  /** X25519 key of this run (R5). */
  runKey: bytes32,
  /** The provider's clock, ms. */
  startedAt: whole,
  /** The agent delegate that signs, and its signature over runHeaderMessage. */
  key: bytes32,
  signature: bytes64
})
export type RunHeader = z.infer<typeof runHeaderSchema>

const headerHash = (header: Omit<RunHeader, 'signature'>): Uint8Array =>
  taggedHash('pekka/run/v1', ...runBytes(header), header.provider, header.runKey, u64(header.startedAt), header.key)

export async function signRunHeader(header: Omit<RunHeader, 'key' | 'signature'>, signer: Signer): Promise<RunHeader> {
  const full = { ...header, key: signer.publicKey }
  return { ...full, signature: await signer.sign(headerHash(full)) }
}

export const verifyRunHeader = (header: RunHeader, verifier: Verifier): Promise<boolean> =>
  verifier.verify(header.key, headerHash(header), header.signature)

/** head(0). */
export const firstHead = (header: RunHeader): Uint8Array => headerHash(header)

/** head(index + 1) from head(index) and the sealed bytes of frame `index`. */
export const nextHead = (head: Uint8Array, index: number, sealed: Uint8Array): Uint8Array =>
  chainHead(head, index, sha256(sealed))

/** As {@link nextHead}, for who has the SHA-256 of the sealed bytes already (natively: the pure one is ten times slower). */
export const chainHead = (head: Uint8Array, index: number, sealedHash: Uint8Array): Uint8Array =>
  taggedHash('pekka/frame/v1', head, u64(index), sealedHash)

/** The provider's word that its first `count` frames hash to `head`. Two for one count prove a fork (R7). */
export const signedHeadSchema = z.strictObject({
  task: bytes32,
  attempt: whole,
  run: whole,
  count: whole,
  head: bytes32,
  key: bytes32,
  signature: bytes64
})
export type SignedHead = z.infer<typeof signedHeadSchema>

const headMessage = (network: Uint8Array, h: Omit<SignedHead, 'key' | 'signature'>): Uint8Array =>
  taggedHash('pekka/head/v1', network, h.task, u32(h.attempt), u32(h.run), u64(h.count), h.head)

export async function signHead(
  network: Uint8Array,
  head: Omit<SignedHead, 'key' | 'signature'>,
  signer: Signer
): Promise<SignedHead> {
  return { ...head, key: signer.publicKey, signature: await signer.sign(headMessage(network, head)) }
}

export const verifyHead = (network: Uint8Array, head: SignedHead, verifier: Verifier): Promise<boolean> =>
  verifier.verify(head.key, headMessage(network, head), head.signature)

/** What the bridge signs when a run's first `count` frames are on its disk (R8). */
export const storedMessage = (
  network: Uint8Array,
  h: { task: Uint8Array; attempt: number; run: number; count: number; head: Uint8Array }
): Uint8Array => taggedHash('pekka/stored/v1', network, h.task, u32(h.attempt), u32(h.run), u64(h.count), h.head)

// ---- content

/** Plaintext of a frame: a batch of events; the last frame of a finished run also carries the manifest's envelope. */
export interface FrameContent {
  events: TaskEvent[]
  manifest: ManifestEnvelope | null
}

/**
 * A batch too large for one frame is cut: every piece but the last has `more` set, and the reader joins them before
 * decoding. Piece layout: 1 byte flags (bit 0: more), u32 length, bytes, zero padding up to a size of FRAME_SIZES.
 */
export const FRAME_OVERHEAD = 5
const LARGEST = FRAME_SIZES.at(-1) ?? 0

/** Plaintexts of the frames that carry `content`, padded; seal each with {@link sealFrame} in order. */
export function encodeFrames(content: FrameContent): Uint8Array[] {
  const bytes = encodeCbor(content)
  const room = LARGEST - FRAME_OVERHEAD
  const frames: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += room) {
    const piece = bytes.subarray(at, at + room)
    const size = FRAME_SIZES.find(step => step >= piece.length + FRAME_OVERHEAD) ?? LARGEST
    const frame = new Uint8Array(size)
    frame[0] = at + room < bytes.length ? 1 : 0
    frame.set(u32(piece.length), 1)
    frame.set(piece, FRAME_OVERHEAD)
    frames.push(frame)
  }
  return frames
}

/** Bytes of a batch that are joined at most; a provider that cuts more is misbehaving. Script text is 64 MiB at most. */
const MAX_JOINED = 80 << 20

/** Joins pieces and decodes batches, in order. One per run. */
export class FrameReader {
  #pieces: Uint8Array[] = []
  #size = 0

  /** @returns the batch that `plaintext` completes, or null. @throws PekkaError ENCODING_MALFORMED */
  read(plaintext: Uint8Array): FrameContent | null {
    const length =
      plaintext.length < FRAME_OVERHEAD ? -1 : new DataView(plaintext.buffer, plaintext.byteOffset).getUint32(1)
    if (length < 0 || length > plaintext.length - FRAME_OVERHEAD) throw new PekkaError('ENCODING_MALFORMED')
    this.#size += length
    if (this.#size > MAX_JOINED) throw new PekkaError('ENCODING_MALFORMED')
    this.#pieces.push(plaintext.slice(FRAME_OVERHEAD, FRAME_OVERHEAD + length))
    if (((plaintext[0] ?? 0) & 1) === 1) return null
    const bytes = concat(...this.#pieces)
    this.#pieces = []
    this.#size = 0
    const parsed = frameContentSchema.safeParse(decodeCbor(bytes))
    if (!parsed.success) throw new PekkaError('ENCODING_MALFORMED', {}, { cause: parsed.error })
    return parsed.data
  }
}

const frameContentSchema = z.object({
  events: z.array(taskEventSchema).max(100_000),
  manifest: manifestEnvelopeSchema.nullable()
})

// ---- sealing

const frameAssociated = (binding: RunBinding, index: number): Uint8Array =>
  taggedHash('pekka/frame-aad/v1', ...runBytes(binding), u64(index))

export const sealFrame = (
  aead: Aead,
  key: Uint8Array,
  binding: RunBinding,
  index: number,
  plaintext: Uint8Array
): Promise<Uint8Array> => aead.seal(key, counterNonce(index), plaintext, frameAssociated(binding, index))

export const openFrame = (
  aead: Aead,
  key: Uint8Array,
  binding: RunBinding,
  index: number,
  sealed: Uint8Array
): Promise<Uint8Array> => aead.open(key, counterNonce(index), sealed, frameAssociated(binding, index))

const blobAssociated = (binding: RunBinding, n: number): Uint8Array =>
  taggedHash('pekka/blob-aad/v1', ...runBytes(binding), u32(n))

/** Seals the n-th blob of a run; its key (runKeys().blob(n)) serves this one sealing. */
export const sealBlob = (
  aead: Aead,
  key: Uint8Array,
  binding: RunBinding,
  n: number,
  plaintext: Uint8Array
): Promise<Uint8Array> => aead.seal(key, counterNonce(0), plaintext, blobAssociated(binding, n))

export const openBlob = (
  aead: Aead,
  key: Uint8Array,
  binding: RunBinding,
  n: number,
  sealed: Uint8Array
): Promise<Uint8Array> => aead.open(key, counterNonce(0), sealed, blobAssociated(binding, n))

/** Largest sealed frame. */
export const MAX_SEALED_FRAME = LARGEST + TAG_BYTES

/** Hash of everything a run sent, for logs and tests: the chain without keeping the frames. */
export function chainOf(header: RunHeader, frames: Iterable<Uint8Array>): { count: number; head: Uint8Array } {
  let head = firstHead(header)
  let count = 0
  for (const sealed of frames) head = nextHead(head, count++, sealed)
  return { count, head }
}
