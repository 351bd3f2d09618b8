import { z } from 'zod'
import { equalBytes, utf8 } from '../encoding/bytes.js'
import { PekkaError } from '../errors.js'
import { keyInfo, sha256, taggedHash } from '../encoding/hash.js'
import { MAX_BLOB_BYTES } from '../limits.js'
import { padme } from '../encoding/padme.js'
import { NONCE_BYTES, type Aead, type ViewKey } from '../primitives.js'
import { bytes32, bytesUpTo, whole } from '../encoding/schema.js'

/**
 * Values and files that travel with a task, and those that come back (DESIGN §6). Small ones stand in the sealed bundle.
 * Large ones are cut into parts, each sealed once under a key that follows from the view key and the part's own hash, so
 * that the same data has the same sealed bytes and is sent once; the keys stand in the bundle.
 */

/** Plaintext of one part. A browser seals it in one piece; 16 MiB is a second at 128 Mbit/s. */
export const PART_BYTES = 16 << 20
/** Content up to this size stands in the bundle, where it costs no request of its own. */
export const INLINE_CONTENT_BYTES = 64 << 10
/** All inline content of a bundle; above, small content becomes parts too, so that a thousand values stay one request. */
export const INLINE_TOTAL_BYTES = 8 << 20
/** All that travels with one task: what a sandbox's disk holds by default. */
export const MAX_TRAVEL_BYTES = 2048 * (1 << 20)
/** All that comes back from one task besides its output: files and values. */
export const MAX_RETURN_BYTES = 1024 * (1 << 20)
/** Files that travel, and files that come back. */
export const MAX_FILES = 1000
/** Values that travel. A selection that needs more is told so. */
export const MAX_VALUES = 10_000
/** Names that come back: each has a line in the output's last frames. */
export const MAX_RETURNS = 1000
/** Parts of all content of one task. */
export const MAX_PARTS = 2048
const MAX_PARTS_OF_ONE = MAX_TRAVEL_BYTES / PART_BYTES

// ---- paths

const MAX_PATH = 1024
const MAX_SEGMENTS = 16
const MAX_SEGMENT_BYTES = 255
// Control characters, and what Windows or a shell would read as something else.
const UNSAFE = /[\u0000-\u001f\u007f\\:]/

/**
 * Whether `path` may be a file's place below a working directory: relative, no `.` or `..`, no control characters, no
 * backslash or colon (another system's separators), at most 16 segments. Both ends check it, whoever made the path.
 */
export function isTravelPath(path: string): boolean {
  if (path.length === 0 || path.length > MAX_PATH || UNSAFE.test(path) || /\p{Surrogate}/u.test(path)) return false
  const segments = path.split('/')
  return (
    segments.length <= MAX_SEGMENTS &&
    segments.every(name => name !== '' && name !== '.' && name !== '..' && utf8(name).length <= MAX_SEGMENT_BYTES)
  )
}

/** Whether two of the paths are the same file, or one is a folder of the other, also where a disk ignores case. */
export function collide(paths: readonly string[]): boolean {
  const files = new Set(paths.map(path => path.normalize('NFC').toLowerCase()))
  if (files.size !== paths.length) return true
  for (const path of files) {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1))
      if (files.has(path.slice(0, at))) return true
  }
  return false
}

const travelPath = z.string().max(MAX_PATH).refine(isTravelPath, 'not a path below the working directory')

// ---- content

/** One sealed part: hash and size of the sealed bytes, and the key that opens it. */
export const sealedPartSchema = z.strictObject({ hash: bytes32, size: whole.max(MAX_BLOB_BYTES), key: bytes32 })
export type SealedPart = z.infer<typeof sealedPartSchema>

export const contentSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('inline'), bytes: bytesUpTo(INLINE_CONTENT_BYTES) }),
  z.strictObject({ kind: z.literal('sealed'), parts: z.array(sealedPartSchema).min(1).max(MAX_PARTS_OF_ONE) })
])
export type Content = z.infer<typeof contentSchema>

/** A file that travels: it stands at `path` below the working directory before the program begins. */
export const travelFileSchema = z.strictObject({
  path: travelPath,
  size: whole.max(MAX_TRAVEL_BYTES),
  /** Whether it may be executed; no other bit of its mode travels. */
  executable: z.boolean(),
  content: contentSchema
})
export type TravelFile = z.infer<typeof travelFileSchema>

/**
 * How a value is written. Towards the provider any of them; back from it only {@link SAFE_CODECS}, because the others run
 * code when they are read.
 */
export const CODECS = ['json', 'npy', 'arrow', 'frame', 'text', 'png', 'module', 'source', 'pickle'] as const
export type Codec = (typeof CODECS)[number]
/** What may come back from a provider. Nothing of a provider is ever unpickled or executed. */
export const SAFE_CODECS = ['json', 'npy', 'arrow', 'frame', 'text', 'png'] as const satisfies readonly Codec[]
export type SafeCodec = (typeof SAFE_CODECS)[number]

/** A Python name that an assignment can bind. */
const valueName = z
  .string()
  .max(256)
  .regex(/^[\p{L}_][\p{L}\p{N}_]*$/u)

/** A value that travels: bound to `name` before the first cell, in the order of the list. */
export const travelValueSchema = z.strictObject({
  name: valueName,
  codec: z.enum(CODECS),
  size: whole.max(MAX_TRAVEL_BYTES),
  /** What people call its kind: `DataFrame, 3 columns`. */
  type: z.string().max(256),
  /** `3.11` where it can be read by this Python alone. */
  python: z.string().max(16).nullable(),
  content: contentSchema
})
export type TravelValue = z.infer<typeof travelValueSchema>

/** Names whose values are to come back when the program has ended; each larger than `maxBytes` stays as a handle. */
export const returnsSchema = z.strictObject({
  names: z.array(valueName).max(MAX_RETURNS),
  maxBytes: whole.max(MAX_RETURN_BYTES)
})
export type Returns = z.infer<typeof returnsSchema>

/** Every sealed part of what travels, in order. */
export const partsOf = (travels: readonly { content: Content }[]): SealedPart[] =>
  travels.flatMap(({ content }) => (content.kind === 'sealed' ? content.parts : []))

/** What is wrong with the sizes and paths of what travels, as a whole; null where nothing is. */
export function travelIssue(files: readonly TravelFile[], values: readonly TravelValue[]): string | null {
  const all = [...files, ...values]
  if (all.reduce((sum, { size }) => sum + size, 0) > MAX_TRAVEL_BYTES) return 'more data travels than a machine takes'
  if (partsOf(all).length > MAX_PARTS) return 'what travels has too many parts'
  if (collide(files.map(({ path }) => path))) return 'two files have one path'
  for (const { size, content } of all) {
    if (content.kind === 'inline' && content.bytes.length !== size) return 'a size is not that of its content'
    if (content.kind === 'sealed' && Math.max(1, Math.ceil(size / PART_BYTES)) !== content.parts.length)
      return 'a size does not fit its parts'
  }
  return null
}

// ---- sealing

const CONTENT_TAG = utf8('content')
const contentAssociated = taggedHash('pekka/content/v1')
const ZERO_NONCE = new Uint8Array(NONCE_BYTES)

/** HKDF(view key, hash of the part): serves this one plaintext, so it seals once however often it is used (R5, R6). */
export const contentKey = (view: ViewKey, plainHash: Uint8Array): Promise<Uint8Array> =>
  view.derive(keyInfo('pekka/view/v1', CONTENT_TAG, plainHash))

/**
 * Seals one part: its length, the bytes and zero padding by Padmé (R37). The same bytes give the same result.
 *
 * @param hash SHA-256, where a native one is at hand
 */
export async function sealPart(
  aead: Aead,
  view: ViewKey,
  plain: Uint8Array,
  hash: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array> = sha256
): Promise<{ part: SealedPart; sealed: Uint8Array }> {
  if (plain.length > PART_BYTES) throw new PekkaError('INTERNAL', { id: 'part too large' })
  const key = await contentKey(view, await hash(plain))
  const padded = new Uint8Array(padme(plain.length + 4))
  new DataView(padded.buffer).setUint32(0, plain.length)
  padded.set(plain, 4)
  const sealed = await aead.seal(key, ZERO_NONCE, padded, contentAssociated)
  return { part: { hash: await hash(sealed), size: sealed.length, key }, sealed }
}

/**
 * Opens one part and checks that it is the one named.
 *
 * @throws PekkaError BLOB_MISMATCH, SEAL_BROKEN, BUNDLE_REFUSED where its length is wrong
 */
export async function openPart(
  aead: Aead,
  { hash, size, key }: SealedPart,
  sealed: Uint8Array,
  hashOf: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array> = sha256
): Promise<Uint8Array> {
  if (sealed.length !== size || !equalBytes(await hashOf(sealed), hash)) throw new PekkaError('BLOB_MISMATCH')
  const padded = await aead.open(key, ZERO_NONCE, sealed, contentAssociated)
  const length = padded.length < 4 ? -1 : new DataView(padded.buffer, padded.byteOffset).getUint32(0)
  if (length < 0 || length > padded.length - 4)
    throw new PekkaError('BUNDLE_REFUSED', { issue: 'a part has a wrong length' })
  return padded.subarray(4, 4 + length)
}
