import { z } from 'zod'
import type { Policy } from './account.js'
import { equalBytes, toHex } from '../encoding/bytes.js'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { PekkaError } from '../errors.js'
import { taggedHash } from '../encoding/hash.js'
import { imageRefSchema } from './image.js'
import type { Signer, Verifier } from '../primitives.js'
import { bytes32, bytes64, millis } from '../encoding/schema.js'

/** Images of one network: some releases of a dozen. */
export const MAX_LISTED_IMAGES = 512
/** Bytes of a signed list; each image takes some 60. */
export const MAX_IMAGE_LIST_BYTES = 64 << 10

/** What a name stands for on one network. A digest that isn't listed under its name is not used. */
export const imageListSchema = z.strictObject({
  kind: z.literal('pekka/image-list'),
  v: z.literal(1),
  network: bytes32,
  /** When it was made, ms since 1970: a reader takes none that is older than what it has seen. */
  madeAt: millis,
  images: z.array(imageRefSchema).max(MAX_LISTED_IMAGES)
})
export type ImageList = z.infer<typeof imageListSchema>

export const signedImageListSchema = z.strictObject({
  list: imageListSchema,
  signatures: z.array(z.strictObject({ key: bytes32, signature: bytes64 })).max(16)
})
export type SignedImageList = z.infer<typeof signedImageListSchema>

/** Who may say what the images of a network are: stands in its genesis. */
export type ImageSigners = Policy

/** What each of the signers signs. */
export const imageListMessage = (list: ImageList): Uint8Array =>
  taggedHash('pekka/image-list/v1', list.network, encodeCanonical({ ...list, images: sorted(list.images) }))

/** By name, then digest: one list has one form. */
const sorted = (images: ImageList['images']): ImageList['images'] =>
  images
    .map(image => ({ image, key: `${image.name} ${toHex(image.digest)}` }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ image }) => image)

/** The list with signatures, as it is handed on. */
export async function signImageList(list: ImageList, signers: readonly Signer[]): Promise<Uint8Array> {
  const message = imageListMessage(list)
  const signatures = await Promise.all(
    signers.map(async signer => ({ key: signer.publicKey, signature: await signer.sign(message) }))
  )
  return encodeCanonical({ list: { ...list, images: sorted(list.images) }, signatures })
}

const refuse = (issue: string): never => {
  throw new PekkaError('IMAGE_LIST_INVALID', { issue })
}

/**
 * The list, where as many of the trusted keys have signed it as must. A signature that doesn't hold, or is of another key, refuses the
 * whole, so that it has no part that nobody looked at.
 * @throws PekkaError IMAGE_LIST_INVALID
 */
export async function verifyImageList(
  bytes: Uint8Array,
  trust: { network: Uint8Array; signers: ImageSigners },
  verifier: Verifier
): Promise<ImageList> {
  const { list, signatures } = readSigned(bytes)
  if (!equalBytes(list.network, trust.network)) refuse('it is of another network')
  const { keys, threshold } = trust.signers
  const signed = new Set(signatures.map(({ key }) => toHex(key)))
  if (signed.size !== signatures.length) refuse('one key has signed it twice')
  if (signatures.some(({ key }) => !keys.some(known => equalBytes(known, key)))) refuse('another key has signed it')
  const message = imageListMessage(list)
  const held = await Promise.all(signatures.map(({ key, signature }) => verifier.verify(key, message, signature)))
  if (held.includes(false)) refuse('a signature does not hold')
  if (signed.size < threshold) refuse('too few have signed it')
  return list
}

function readSigned(bytes: Uint8Array): SignedImageList {
  if (bytes.length > MAX_IMAGE_LIST_BYTES) refuse('it is too large')
  try {
    return signedImageListSchema.parse(decodeCanonical(bytes))
  } catch {
    return refuse('it has a wrong shape')
  }
}
