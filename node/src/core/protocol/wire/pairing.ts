import { z } from 'zod'
import { encodeCanonical } from '../encoding/encoding.js'
import { BOX_BYTES } from '../task/keys.js'
import { sha256, taggedHash } from '../encoding/hash.js'
import { bytes32, bytes64, bytesUpTo, credits, millis } from '../encoding/schema.js'

/**
 * Pairing of a browser profile (or a CLI) with the wallet (DESIGN §10). Whoever shows the one-time code gets a delegate
 * for its own key and the view key, sealed to its X25519 key; the answer passes Lab's proxy, never a bridge.
 *
 * POST {wallet}/v1/pair, CBOR pairRequestSchema → pairAnswerSchema. JSON problem documents on errors.
 */
export const pairRequestSchema = z.strictObject({
  v: z.literal(1),
  /** H('pekka/pair/v1', code, key, exchange): shows knowledge of the code without sending it to whoever listens. */
  proof: bytes32,
  /** The browser's Ed25519 key, to become a delegate, and its X25519 key for the answer. */
  key: bytes32,
  exchange: bytes32,
  label: z.string().max(64)
})
export type PairRequest = z.infer<typeof pairRequestSchema>

export const pairProof = (code: Uint8Array, key: Uint8Array, exchange: Uint8Array): Uint8Array =>
  taggedHash('pekka/pair/v1', code, key, exchange)

export const pairAnswerSchema = z.strictObject({
  v: z.literal(1),
  network: bytes32,
  account: bytes32,
  /** The grant is final on the ledger when this is answered. */
  delegate: z.strictObject({ cap: credits, perTask: credits, expiry: millis }),
  /** Bridge addresses to try, in order. */
  bridges: z.array(z.string().max(512)),
  /** The bridge's Ed25519 key, so that a page knows with whom it speaks. */
  bridgeKey: bytes32,
  /** View key sealed to `exchange`: ephemeral X25519 key ‖ AES-256-GCM(view key), bound by pairInfo. */
  viewKey: bytesUpTo(BOX_BYTES),
  /** Ed25519 key of the account (first of the policy) and its signature over everything above. */
  signature: bytes64
})
export type PairAnswer = z.infer<typeof pairAnswerSchema>

/** What the account's key signs of a pairing answer. */
export const pairAnswerMessage = (answer: Omit<PairAnswer, 'signature'>): Uint8Array => sha256(encodeCanonical(answer))

/** HKDF info and associated data of the sealed view key. */
export const pairInfo = (
  account: Uint8Array,
  key: Uint8Array,
  exchange: Uint8Array,
  ephemeral: Uint8Array
): Uint8Array => taggedHash('pekka/pair-seal/v1', account, key, exchange, ephemeral)
