import * as dagCbor from '@ipld/dag-cbor'
import { equalBytes } from './bytes.js'
import { readCbor } from './cbor-reader.js'
import { writeCbor } from './cbor-writer.js'
import { PekkaError } from '../errors.js'

/**
 * The one encoding of everything that is signed or hashed: strict dag-cbor (definite lengths, shortest integers,
 * length-first sorted keys) without floats. Only bytes that encode back to themselves are accepted, so that one meaning
 * has one form (L5 of the threat model).
 */
export function encodeCanonical(value: unknown): Uint8Array {
  const bytes = writeCbor(value, false)
  if (bytes !== null) return bytes
  refuseFloats(value)
  return dagCbor.encode(value)
}

/** @throws PekkaError ENCODING_NOT_CANONICAL when `bytes` is not the canonical form of a value. */
export function decodeCanonical(bytes: Uint8Array): unknown {
  const read = readCbor(bytes)
  if (read?.canonical === true) return read.value
  let value: unknown
  try {
    value = dagCbor.decode(bytes)
    if (equalBytes(encodeCanonical(value), bytes)) return value
  } catch (cause) {
    throw new PekkaError('ENCODING_NOT_CANONICAL', {}, { cause })
  }
  throw new PekkaError('ENCODING_NOT_CANONICAL', {})
}

/**
 * CBOR for what is neither signed nor hashed by its meaning (link messages, batches of events): the same format, floats
 * allowed, no re-encoding check.
 */
export const encodeCbor = (value: unknown): Uint8Array => writeCbor(value, true) ?? dagCbor.encode(value)

/** @throws PekkaError ENCODING_MALFORMED */
export const decodeCbor = (bytes: Uint8Array): unknown => decode(bytes, Infinity)

/** @param views byte strings of so many bytes and more are views into `bytes` */
function decode(bytes: Uint8Array, views: number): unknown {
  const read = readCbor(bytes, views)
  if (read !== null) return read.value
  try {
    return dagCbor.decode(bytes)
  } catch (cause) {
    throw new PekkaError('ENCODING_MALFORMED', {}, { cause })
  }
}

/**
 * As {@link decodeCbor} for bytes that are nobody else's: byte strings of VIEW_BYTES and more are views into `bytes`, so that
 * sealed frames aren't copied once more. `bytes` lives as long as one of them.
 * @throws PekkaError ENCODING_MALFORMED
 */
export const decodeCborInPlace = (bytes: Uint8Array): unknown => decode(bytes, VIEW_BYTES)

/** Smaller byte strings (keys, ids, signatures) are kept for long and must not keep the whole message with them. */
const VIEW_BYTES = 4096

/** Deepest nesting that is read; deeper input is an attack on the stack. */
const MAX_DEPTH = 64

function refuseFloats(value: unknown, depth = 0): void {
  if (depth > MAX_DEPTH) throw new TypeError('nested too deeply')
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new TypeError('floats are not canonical')
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return
  for (const item of Array.isArray(value) ? value : Object.values(value)) refuseFloats(item, depth + 1)
}
