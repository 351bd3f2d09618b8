import { z } from 'zod'
import {
  bytes32,
  bytes64,
  bytesUpTo,
  checkpointSchema,
  committeeSchema,
  decodeCanonical,
  encodeCanonical,
  MAX_CERTIFICATE_BYTES,
  certificateSchema,
  whole,
  type Certificate,
  type Checkpoint,
  type CommitteeMembers
} from '@pekka/node/protocol'

/** The topic of notes about checkpoints, over `/pekka/witness/1`. */
export const CHECKPOINT_TOPIC = 'checkpoint'

/** Certificates in one answer, and their bytes: a note has 64 KiB. */
export const MAX_CERTIFICATES = 64
export const MAX_CERTIFICATES_BYTES = 56 << 10

const noteSchema = z.discriminatedUnion('type', [
  /** The sender has come to this checkpoint, and signs it. */
  z.strictObject({ type: z.literal('signature'), index: whole, digest: bytes32, signature: bytes64 }),
  /** The sender lacks certificates of checkpoints after this commit. */
  z.strictObject({ type: z.literal('want'), after: z.number().int().min(-1) }),
  /** Certificates, ascending. */
  z.strictObject({
    type: z.literal('certificates'),
    certificates: z.array(bytesUpTo(MAX_CERTIFICATE_BYTES)).max(MAX_CERTIFICATES)
  })
])
export type CheckpointNote = z.infer<typeof noteSchema>

export const encodeNote = (note: CheckpointNote): Uint8Array => encodeCanonical(note)

/** null: no witness says this. */
export function decodeNote(bytes: Uint8Array): CheckpointNote | null {
  try {
    return noteSchema.parse(decodeCanonical(bytes))
  } catch {
    return null
  }
}

const madeSchema = z.strictObject({
  checkpoint: checkpointSchema,
  members: committeeSchema,
  next: committeeSchema.nullable()
})
/** A checkpoint as this witness came to it, with the committee that signs it and the next one. Stored with its commit. */
export interface MadeCheckpoint {
  checkpoint: Checkpoint
  members: CommitteeMembers
  next: CommitteeMembers | null
}

export const encodeMade = (made: MadeCheckpoint): Uint8Array => encodeCanonical(made)
export const decodeMade = (bytes: Uint8Array): MadeCheckpoint => madeSchema.parse(decodeCanonical(bytes))

const stepSchema = z.strictObject({ certificate: certificateSchema, next: committeeSchema })
/** What leads from one epoch's committee to the next one's. */
export interface EpochStep {
  certificate: Certificate
  next: CommitteeMembers
}

export const encodeStep = (step: EpochStep): Uint8Array => encodeCanonical(step)
export const decodeStep = (bytes: Uint8Array): EpochStep => stepSchema.parse(decodeCanonical(bytes))
