import { z } from 'zod'
import { bytes32, millis, slug, whole } from '../encoding/schema.js'

/** The ledger's registry of images: what its registrars say of a digest, k of n. */

/** Locks of one image: its Python locks and those of what it extends. */
export const MAX_IMAGE_LOCKS = 8
/** Characters of the reason why an image isn't to be used any more. */
export const MAX_RETIRE_REASON = 200

/** What a digest stands for. Registrars approve all of it or nothing. */
export const imageContentSchema = z.strictObject({
  name: slug,
  /** Of the tree of files that a build of this definition gives. */
  contentDigest: bytes32,
  /** SHA-256 of each lock, in the order of the definition. */
  locks: z.array(bytes32).max(MAX_IMAGE_LOCKS)
})
export type ImageContent = z.infer<typeof imageContentSchema>

/** A sentence for people: one line, nothing that a terminal would act on. */
export const retireReasonSchema = z
  .string()
  .min(1)
  .max(MAX_RETIRE_REASON)
  .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+$/, 'one line of plain text')

export const IMAGE_STATES = ['proposed', 'approved', 'retired'] as const

/** Table `image`, key = digest in hexadecimal. It stays for ever: an approved digest keeps its meaning, a retired one stays retired. */
export const imageRowSchema = z.strictObject({
  digest: bytes32,
  state: z.enum(IMAGE_STATES),
  /** While it is proposed: what it may stand for, and who says so. A registrar stands in at most one. */
  proposals: z.array(z.strictObject({ content: imageContentSchema, by: z.array(bytes32).min(1).max(16) })).max(16),
  /** What enough of them approved, and the timestamp of that commit. */
  record: z.strictObject({ content: imageContentSchema, by: z.array(bytes32).min(1).max(16), at: millis }).nullable(),
  /** Who wants it retired, and why. */
  against: z.array(z.strictObject({ registrar: bytes32, reason: retireReasonSchema })).max(16),
  /** The reason of the registrar who decided it. */
  retired: z.strictObject({ reason: retireReasonSchema, at: millis }).nullable()
})
export type ImageRow = z.infer<typeof imageRowSchema>

/** Table `registry`, one row: whose accounts approve images, from the genesis. Absent: this network registers none. */
export const registryRowSchema = z.strictObject({
  threshold: whole.min(1).max(16),
  /** Accounts, ascending by id. */
  registrars: z.array(bytes32).min(1).max(16)
})
export type RegistryRow = z.infer<typeof registryRowSchema>
