import { z } from 'zod'
import { policySchema } from './account.js'
import { askSchema } from './ask.js'
import { recoveringSchema, recoverySchema } from './recovery.js'
import { bytes32, credits, millis, whole } from '../encoding/schema.js'
import { taskViewSchema } from '../task/task.js'

/** Rows of the ledger's state that a client reads with a proof. All tables: core/ledger/rows.ts. */

/** Table `account`, key = account id in hexadecimal. */
export const accountRowSchema = z.strictObject({
  account: bytes32,
  policy: policySchema,
  balance: credits,
  /** In escrows of its own tasks and in deposits for accounts it opened. */
  locked: credits,
  bond: credits,
  /** Slices of the bond that answer for tasks under way (R22). */
  bondReserved: credits,
  /** Parts of the former bond on their way back, `at` in T, oldest first. */
  unbonding: z.array(z.strictObject({ amount: credits, at: millis })),
  faucetDrawn: credits,
  /** Delegates it has, revoked ones too: their lanes stay. */
  lanes: whole,
  /** Who paid the deposit that opened it, itself where it opened itself; null for accounts of the genesis. */
  opened: z.strictObject({ by: bytes32, deposit: credits }).nullable(),
  /** Bandwidth credit that it had `at` a commit's timestamp (R30); absent: all it can have. */
  bandwidth: z.strictObject({ units: whole, at: millis }).optional(),
  /** Who may bring it back when its keys are lost; absent: nobody. */
  recovery: recoverySchema.optional(),
  recovering: recoveringSchema.optional()
})
export type AccountRow = z.infer<typeof accountRowSchema>

/** Table `ask`, key = ask id in hexadecimal. Deleted once it has expired or is withdrawn. */
export const askRowSchema = z.strictObject({
  ask: askSchema,
  provider: bytes32,
  /** Id of the transaction that published it. */
  transaction: bytes32
})
export type AskRow = z.infer<typeof askRowSchema>

/** Table `task`, key = task id in hexadecimal; deleted at CLOSED. */
export const taskRowSchema = taskViewSchema.extend({
  /** Part of `paid` that is held back until CLOSED. */
  held: credits
})
export type TaskRow = z.infer<typeof taskRowSchema>
