import { z } from 'zod'
import { bytes32, credits, decodeCanonical, encodeCanonical, millis, whole } from '@pekka/node/protocol'
import type { CommitRecord, EpochStart } from '@pekka/node/consensus'

/** What a witness keeps of its consensus beside the ledger: canonical bytes, read back through these schemas. */

const memberSchema = z.strictObject({ key: bytes32, stake: credits, tip: bytes32 })

const beaconSchema = z.strictObject({
  value: bytes32,
  waiting: z.array(
    z.strictObject({ index: whole, epoch: whole, round: whole, leaders: z.array(z.string()), stake: whole })
  )
})

const commitRecordSchema = z.strictObject({
  index: whole,
  epoch: whole,
  leaderRound: whole,
  next: z.strictObject({ round: whole, offset: whole }),
  gcRound: z.number().int(),
  digest: bytes32,
  timestamp: millis,
  beacon: beaconSchema,
  blocks: z.array(z.strictObject({ key: z.string(), author: whole, round: whole, timestamp: millis }))
})

const epochStartSchema = z.strictObject({
  epoch: whole,
  members: z.array(memberSchema),
  nextMembers: z.array(memberSchema).nullable(),
  firstIndex: whole,
  history: bytes32,
  timestamp: millis,
  beacon: beaconSchema
})

const electedSchema = z.strictObject({ epoch: whole, members: z.array(memberSchema) })

/** What executing the last commit came to. */
const executedSchema = z.strictObject({ index: whole, state: bytes32, elected: electedSchema.nullable() })
export type Executed = z.infer<typeof executedSchema>

export const encodeRecord = (record: CommitRecord): Uint8Array => encodeCanonical(record)
export const decodeRecord = (bytes: Uint8Array): CommitRecord => commitRecordSchema.parse(decodeCanonical(bytes))

export const encodeEpochStart = (start: EpochStart): Uint8Array => encodeCanonical(start)
export const decodeEpochStart = (bytes: Uint8Array): EpochStart => epochStartSchema.parse(decodeCanonical(bytes))

export const encodeExecuted = (executed: Executed): Uint8Array => encodeCanonical(executed)
export const decodeExecuted = (bytes: Uint8Array): Executed => executedSchema.parse(decodeCanonical(bytes))
