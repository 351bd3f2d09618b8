import { z } from 'zod'
import { policySchema } from '../ledger/account.js'
import { accountViewSchema, ledgerTimeSchema } from './ledger-wire.js'
import { bytes32 } from '../encoding/schema.js'
import { accountRowSchema } from '../ledger/state.js'
import { bodySchema, signatureSchema, transactionSchema } from '../ledger/transaction.js'

/** What the command line asks of the wallet of the same user, over its unix socket: what needs the owner's signature. */

export const partlySignedSchema = z.strictObject({
  transaction: transactionSchema,
  signatures: z.array(signatureSchema).max(16)
})

export const ownerRequestSchema = z.strictObject({ account: bytes32.nullable() })
export const ownerAnswerSchema = z.strictObject({
  view: accountViewSchema,
  /** The account's row as it was proved; null: it couldn't be. */
  row: accountRowSchema.nullable(),
  time: ledgerTimeSchema,
  /** The wallet's key, and the one that a rotation under way names. */
  key: bytes32,
  next: bytes32.nullable()
})
export type OwnerAnswer = z.infer<typeof ownerAnswerSchema>

/** `account` null: the wallet's own. */
export const actRequestSchema = z.strictObject({ body: bodySchema, account: bytes32.nullable() })
/** What became of it: done, or others must sign. */
export const actedSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('applied'), id: bytes32 }),
  partlySignedSchema.extend({ status: z.literal('partial'), policy: policySchema })
])
export const signAnswerSchema = partlySignedSchema.extend({ policy: policySchema })
export const submitRequestSchema = z.strictObject({ parts: z.array(partlySignedSchema).min(1).max(16) })
export const submitAnswerSchema = z.strictObject({ id: bytes32 })
