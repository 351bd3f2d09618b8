import { z } from 'zod'
import { decodeCanonical, encodeCanonical, millis, toHex, whole, type TransactionOutcome } from '@pekka/node/protocol'
import type { BesideRow, BesideStore } from '@pekka/node/host/storage'

/**
 * What a ledger keeps of commits that aren't here: of those before the snapshot that it began with, or that were pruned. Enough to answer what is
 * sent again, and to show the transactions of live asks.
 */

/** Row beside the ledger with the transaction that published an ask, by its id, hex. */
export const askKey = (id: string): string => `past-ask/${id}`
const outcomeKey = (id: string): string => `past/${id}`

const outcomeSchema = z.tuple([whole, millis, z.string().max(64).nullable()])

/** What became of a transaction of such a commit. */
export interface PastOutcome {
  id: Uint8Array
  index: number
  timestamp: number
  /** null: applied. */
  code: string | null
}

export const pastRow = ({ id, index, timestamp, code }: PastOutcome): BesideRow => ({
  key: outcomeKey(toHex(id)),
  value: encodeCanonical([index, timestamp, code])
})

/** The facts of a failure aren't kept, only its code. */
export async function pastOutcome(store: Pick<BesideStore, 'get'>, id: Uint8Array): Promise<TransactionOutcome | null> {
  const row = await store.get(outcomeKey(toHex(id)))
  if (row === null) return null
  const [index, timestamp, code] = outcomeSchema.parse(decodeCanonical(row))
  const at = { id, index, timestamp }
  return code === null ? { status: 'applied', ...at } : { status: 'failed', ...at, code, data: {} }
}

export const pastAskRow = (id: string, bytes: Uint8Array): BesideRow => ({ key: askKey(id), value: bytes })
