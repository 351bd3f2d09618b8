import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import { concat, u32, utf8 } from './bytes.js'

/** SHA-256, 32 bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => nobleSha256(bytes)

/**
 * `H` of PROTOCOL.md: SHA-256 over a domain tag and parts, each preceded by its length, so that no two different lists
 * of parts have the same input.
 */
export const taggedHash = (tag: string, ...parts: Uint8Array[]): Uint8Array => nobleSha256(prefixed(tag, parts))

/** A node of a Merkle tree: SHA-256 of exactly 64 bytes, so that a machine can hash a whole layer of them at once. */
export const hashPair = (left: Uint8Array, right: Uint8Array): Uint8Array => nobleSha256(concat(left, right))

function prefixed(tag: string, parts: Uint8Array[]): Uint8Array {
  const pieces: Uint8Array[] = []
  for (const part of [utf8(tag), ...parts]) pieces.push(u32(part.length), part)
  return concat(...pieces)
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
