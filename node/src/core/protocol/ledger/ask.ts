import { z } from 'zod'
import { imageRefSchema, resourcesSchema } from './image.js'
import { holdPrice } from '../task/session.js'
import { bytes16, bytes32, credits, millis, slug, whole } from '../encoding/schema.js'

/**
 * A provider's published price: what it runs, on what, for how much, and the X25519 key (KEM) that task keys are boxed
 * to. The key lives at most 24 h and is deleted then (R3).
 */
export const askSchema = z
  .strictObject({
    ask: bytes32,
    /** The ask's id is objectId(account, nonce). */
    nonce: bytes16,
    image: imageRefSchema,
    /** Digest of the built tree, without caches and byte code; EXACT comparison needs equal ones. */
    contentDigest: bytes32,
    resources: resourcesSchema,
    /** Tasks at a time. */
    concurrency: whole.min(1).max(1024),
    /** Micro-credits a second of wall time, 1 or more. */
    pricePerSecond: credits.refine(price => price >= 1n, 'a price is at least 1'),
    /** Micro-credits a second that a kept machine waits (R33); null: keeps none. */
    holdPricePerSecond: holdPrice,
    /** Micro-credits per GiB of bundle and output; charged with a later part. */
    pricePerGiB: credits,
    /** Isolation level 1–4 (DESIGN §7) and runtime, as the provider's start-up proof found it. */
    isolation: whole.min(1).max(4),
    runtime: slug,
    /** CPU class: results are compared within one. */
    cpuClass: z.string().max(64),
    kemKey: bytes32,
    /** Neither may be more than 24 h ahead. */
    kemExpiry: millis,
    expiry: millis
  })
  .refine(
    ({ pricePerSecond, holdPricePerSecond }) => holdPricePerSecond === null || holdPricePerSecond <= pricePerSecond,
    'waiting costs no more than running'
  )
export type Ask = z.infer<typeof askSchema>

/** KEM keys and asks live at most this long (R3), ms. */
export const MAX_ASK_LIFE_MS = 86_400_000
