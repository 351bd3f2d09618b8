import { z } from 'zod'
import { encodeCanonical } from '../encoding/encoding.js'
import { sha256 } from '../encoding/hash.js'
import { bytes32, credits, millis, whole } from '../encoding/schema.js'
import { OPEN_BODIES } from './bodies.js'

/**
 * An account is a policy: `threshold` of `keys` sign. Its id is the hash of its first policy, so keys rotate and the
 * id stays (DESIGN §5).
 */
export const policySchema = z
  .strictObject({ threshold: whole.min(1).max(16), keys: z.array(bytes32).min(1).max(16) })
  .refine(policy => policy.threshold <= policy.keys.length, 'threshold above the number of keys')
export type Policy = z.infer<typeof policySchema>

export const accountId = (policy: Policy): Uint8Array => sha256(encodeCanonical(policy))

/**
 * What a delegate key may do (R28): spend up to `cap` in all (spent and locked), up to `perTask` a task, with the
 * transaction bodies listed, until `expiry` (compared with the commit's timestamp).
 */
export const delegateSchema = z.strictObject({
  key: bytes32,
  cap: credits,
  perTask: credits,
  bodies: z.array(z.enum(OPEN_BODIES)).max(32),
  expiry: millis
})
export type Delegate = z.infer<typeof delegateSchema>
