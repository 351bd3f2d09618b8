import { z } from 'zod'
import { auctionRowSchema } from './auction.js'
import { MAX_TRANSACTION_BYTES } from '../limits.js'
import { commitHeaderSchema } from './parameters.js'
import { bytes32, bytesUpTo, millis, whole } from '../encoding/schema.js'
import { taskViewSchema } from '../task/task.js'

/** What became of a transaction. A failed one used its sequence all the same (R27); a refused one never entered. */
export const outcomeSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('applied'), id: bytes32, index: whole, timestamp: millis }),
  z.strictObject({
    status: z.literal('failed'),
    id: bytes32,
    index: whole,
    timestamp: millis,
    code: z.string(),
    data: z.record(z.string(), z.string())
  }),
  /** Not ordered: unknown parent, wrong network, bad signature, expired… */
  z.strictObject({
    status: z.literal('refused'),
    id: bytes32,
    code: z.string(),
    data: z.record(z.string(), z.string())
  })
])
export type TransactionOutcome = z.infer<typeof outcomeSchema>

/** One commit as followers get it: what was ordered, what became of it, and every task that changed. */
export const commitViewSchema = z.strictObject({
  header: commitHeaderSchema,
  transactions: z.array(z.strictObject({ bytes: bytesUpTo(MAX_TRANSACTION_BYTES), outcome: outcomeSchema })),
  tasks: z.array(taskViewSchema),
  /** Auctions that changed (R31); absent where none did. */
  auctions: z.array(auctionRowSchema).optional(),
  /** Asks that were published or ended. */
  asks: z.array(bytes32),
  /** Accounts whose money or lanes changed. */
  accounts: z.array(bytes32)
})
export type CommitView = z.infer<typeof commitViewSchema>
