import { z } from 'zod'
import { fromBase64, fromHex, toBase64, toHex } from './bytes.js'

/** Building blocks of the schemas: at every border bytes become one of these once, and are trusted inside. */

/** Credits are counted in whole micro-credits: 1 credit = 1,000,000. */
export type Credits = bigint
/** Milliseconds since 1970, or a duration in ms where the name says so. */
export type Millis = number
/** 32 bytes of SHA-256. */
export type Digest = Uint8Array

export const CREDIT = 1_000_000n
/** Largest amount a field may hold; sums of 2^20 of them still fit 64 bits. */
export const MAX_CREDITS = 1n << 43n

/** A plain amount as people read it: `10`, `0.50`, `0.0012`. Never rounded. */
export function creditsText(amount: bigint): string {
  const digits = amount.toString().padStart(7, '0')
  const [whole, part] = [digits.slice(0, -6), digits.slice(-6).replace(/0+$/, '')]
  return part === '' ? whole : `${whole}.${part.padEnd(2, '0')}`
}

/**
 * The same schema with a shorter way for what it takes: most fields of everything that comes in are ids, numbers and money, and zod's
 * general way through checks, unions and transforms takes ten times as long as looking at them. Whatever `read` doesn't take is
 * left to the schema, which alone refuses and says why.
 * @param read the schema's output; undefined: not seen at a glance
 */
function quick<S extends z.ZodType>(schema: S, read: (value: unknown) => z.output<S> | undefined): S {
  const { run } = schema._zod
  schema._zod.run = (payload, context) => {
    const value = context.direction === 'backward' ? undefined : read(payload.value)
    if (value === undefined) return run(payload, context)
    payload.value = value
    return payload
  }
  return schema
}

const bytesOf = (length: number) => {
  const read = (value: unknown) => (value instanceof Uint8Array && value.length === length ? value : undefined)
  return quick(
    z.custom<Uint8Array>(value => read(value) !== undefined, `expected ${length} bytes`),
    read
  )
}

export const bytes16 = bytesOf(16)
export const bytes32 = bytesOf(32)
export const bytes64 = bytesOf(64)
/** Any byte string up to `max` bytes. */
export const bytesUpTo = (max: number) => {
  const read = (value: unknown) => (value instanceof Uint8Array && value.length <= max ? value : undefined)
  return quick(
    z.custom<Uint8Array>(value => read(value) !== undefined, `expected at most ${max} bytes`),
    read
  )
}

const asWhole = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** A whole number that fits a double exactly. */
export const whole = quick(z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER), asWhole)
export const millis = whole
/** dag-cbor gives small integers as `number`, large ones as `bigint`; inside, money is always bigint. */
export const credits = quick(
  z
    .union([whole, z.bigint()])
    .transform(value => BigInt(value))
    .refine(value => value >= 0n && value <= MAX_CREDITS, 'amount out of range'),
  value => {
    const amount = typeof value === 'bigint' ? value : asWhole(value)
    return amount !== undefined && amount >= 0 && amount <= MAX_CREDITS ? BigInt(amount) : undefined
  }
)

/** Lower-case names: images, providers. */
export const slug = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/)

// ---- the same things in JSON (HTTP, CLI --json): ids as hex, bytes as base64, credits as decimal text

export const hex32 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .transform(text => fromHex(text))
export const base64 = (maxBytes: number) =>
  z
    .string()
    .max(Math.ceil(maxBytes / 3) * 4)
    .transform((text, context) => {
      try {
        return fromBase64(text)
      } catch {
        context.addIssue({ code: 'custom', message: 'not base64' })
        return z.NEVER
      }
    })
export const decimalCredits = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,15})$/)
  .transform(text => BigInt(text))

/** A value of ours as plain JSON: bytes as hex (32) or base64, bigint as decimal text. */
export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return value.length === 32 ? toHex(value) : toBase64(value)
  if (Array.isArray(value)) return value.map(toJson)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]))
  }
  return value
}
