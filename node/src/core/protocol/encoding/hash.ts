import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import { concat, u32, utf8 } from './bytes.js'

type Sha256 = (bytes: Uint8Array) => Uint8Array

/** The portable one until a machine brings its own. */
let hash: Sha256 = nobleSha256

/**
 * From now on SHA-256 is computed by this machine's own code (host/crypto), which takes a fifth of the portable one's time. Both
 * give the same 32 bytes, as one conformance test says; so nothing but speed depends on whether and when this was called.
 */
export function useSha256(own: Sha256): void {
  hash = own
}

/** SHA-256, 32 bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => hash(bytes)

/**
 * `H` of PROTOCOL.md: SHA-256 over a domain tag and parts, each preceded by its length, so that no two different lists
 * of parts have the same input.
 */
export const taggedHash = (tag: string, ...parts: Uint8Array[]): Uint8Array => hash(prefixed(tag, parts))

/** A node of a Merkle tree: SHA-256 of exactly 64 bytes, so that a machine can hash a whole layer of them at once. */
export const hashPair = (left: Uint8Array, right: Uint8Array): Uint8Array => hash(concat(left, right))

/** Tags with their lengths: some dozens, all of them ours. */
const tags = new Map<string, Uint8Array>()

function prefixedTag(tag: string): Uint8Array {
  const known = tags.get(tag)
  if (known !== undefined) return known
  const bytes = utf8(tag)
  const made = concat(u32(bytes.length), bytes)
  tags.set(tag, made)
  return made
}

function prefixed(tag: string, parts: readonly Uint8Array[]): Uint8Array {
  const head = prefixedTag(tag)
  let length = head.length
  for (const part of parts) length += 4 + part.length
  const out = new Uint8Array(length)
  out.set(head)
  let at = head.length
  for (const part of parts) {
    out[at++] = part.length >>> 24
    out[at++] = part.length >>> 16
    out[at++] = part.length >>> 8
    out[at++] = part.length
    out.set(part, at)
    at += part.length
  }
  return out
}

/** An incremental SHA-256. */
export interface Hasher {
  update(bytes: Uint8Array): Hasher
  digest(): Uint8Array
}

export const createHasher = (): Hasher => nobleSha256.create()

/** HKDF-SHA-256 (RFC 5869) with an empty salt. `info` binds the key to its use. */
export const deriveKey = (secret: Uint8Array, info: Uint8Array, length = 32): Uint8Array =>
  hkdf(nobleSha256, secret, undefined, info, length)

/** HKDF info from a tag and parts, length-prefixed as in {@link taggedHash}. */
export const keyInfo = (tag: string, ...parts: Uint8Array[]): Uint8Array => prefixed(tag, parts)
