import { z } from 'zod'
import { toHex } from '../encoding/bytes.js'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { bytesUpTo } from '../encoding/schema.js'
import { MAX_TRANSACTION_BYTES } from '../limits.js'

/** Transactions in one batch. */
export const MAX_BATCH_TRANSACTIONS = 256
/** Their bytes, but for a single larger one: some 25 kB carry about a hundred, and cost a message little more than one does. */
export const MAX_BATCH_BYTES = 24_000

/** Where witnesses of a network tell one another of transactions (gossipsub, StrictNoSign). The number is the version of the batch. */
export const transactionsTopic = (network: Uint8Array): string => `/pekka/transactions/1/${toHex(network)}`

/** Signed transactions of clients, canonical CBOR. A message's id is the SHA-256 of its bytes. */
export const transactionBatchSchema = z.strictObject({
  v: z.literal(1),
  transactions: z.array(bytesUpTo(MAX_TRANSACTION_BYTES)).min(1).max(MAX_BATCH_TRANSACTIONS)
})

export const encodeBatch = (transactions: readonly Uint8Array[]): Uint8Array =>
  encodeCanonical({ v: 1, transactions: [...transactions] })

/** @returns null where it isn't one: not canonical, another shape, or too much in it */
export function decodeBatch(bytes: Uint8Array): Uint8Array[] | null {
  try {
    const parsed = transactionBatchSchema.safeParse(decodeCanonical(bytes))
    if (!parsed.success) return null
    const { transactions } = parsed.data
    const size = transactions.reduce((sum, { length }) => sum + length, 0)
    return transactions.length > 1 && size > MAX_BATCH_BYTES ? null : transactions
  } catch {
    return null
  }
}
