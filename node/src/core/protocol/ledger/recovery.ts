import { z } from 'zod'
import { policySchema } from './account.js'
import { bytes32, millis, whole } from '../encoding/schema.js'

/** How an account comes back when its keys are lost: other people's account names new keys, and the owner has time to say no. */

/** Shortest and longest time that the owner has, ms of contract time: a minute, so that it can be tried out, and 90 days. */
export const MIN_RECOVERY_DELAY_MS = 60_000
export const MAX_RECOVERY_DELAY_MS = 90 * 24 * 3_600_000

export const recoverySchema = z.strictObject({
  /** Account of the guardians: its own policy says how many of them must sign. */
  guardians: bytes32,
  delayMs: whole.min(MIN_RECOVERY_DELAY_MS).max(MAX_RECOVERY_DELAY_MS)
})
export type Recovery = z.infer<typeof recoverySchema>

/** A recovery under way: these keys, at this contract time, unless the owner ends it. */
export const recoveringSchema = z.strictObject({ policy: policySchema, at: millis })
export type Recovering = z.infer<typeof recoveringSchema>
