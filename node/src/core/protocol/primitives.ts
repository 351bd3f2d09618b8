/**
 * The primitives that differ between Node and the browser. Each has one implementation for Node (`host/crypto`) and one
 * for the browser (`extension/src/crypto`); both pass one conformance suite with shared vectors (docs/vectors).
 */

import type { Hasher } from './encoding/hash.js'

/** Bytes of an AES-256-GCM tag that stand at the end of what `seal` returns. */
export const TAG_BYTES = 16
/** Bytes of a nonce of AES-256-GCM. */
export const NONCE_BYTES = 12

/** AES-256-GCM (NIST SP 800-38D). A key seals any nonce once; who makes the nonce answers for that (R5). */
export interface Aead {
  /** `key` 32 bytes, `nonce` 12 bytes. Returns ciphertext ‖ 16-byte tag. */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated: Uint8Array): Promise<Uint8Array>
  /** @throws PekkaError SEAL_BROKEN when the tag does not match. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Promise<Uint8Array>
}

/** X25519 (RFC 7748). */
export interface Agreement {
  /** A fresh pair of 32-byte keys. */
  generate(): Promise<{ publicKey: Uint8Array; privateKey: Uint8Array }>
  /** The public half of a 32-byte private key. */
  publicKey(privateKey: Uint8Array): Promise<Uint8Array>
  /** The shared 32 bytes. @throws PekkaError KEY_REFUSED when the result is all zero (a low-order point). */
  agree(privateKey: Uint8Array, publicKey: Uint8Array): Promise<Uint8Array>
}

/** An Ed25519 signing key that need not be readable (non-extractable in a browser). */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** 64 bytes over `message` (RFC 8032, pure Ed25519). */
  sign(message: Uint8Array): Promise<Uint8Array>
}

/** Verifies by the one strict rule (see signature.ts): byte pre-check, then cofactorless verification. Never throws. */
export interface Verifier {
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>
}

/** Cryptographic randomness. */
export interface Random {
  bytes(length: number): Uint8Array
}

/** Wall-clock time, ms since 1970. */
export interface Clock {
  now(): number
}

/** Derives task secrets from the account's view key, which itself need not be readable (R6). */
export interface ViewKey {
  /** HKDF-SHA-256(view key, salt empty, info), 32 bytes. */
  derive(info: Uint8Array): Promise<Uint8Array>
}

/** All of them together, as components of a client or an agent. */
export interface Primitives {
  aead: Aead
  agreement: Agreement
  verifier: Verifier
  random: Random
  /** SHA-256 of large data, where it is faster than `sha256` or leaves the thread free meanwhile. */
  hash?: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>
  /** The same, piece by piece. */
  hasher?: () => Hasher
}
