import { z } from 'zod'
import { decodeCanonical, encodeCanonical, millis, toHex, whole, type TransactionOutcome } from '@pekka/node/protocol'
import type { BesideRange, BesideRow, BesideStore } from '@pekka/node/host/storage'

/**
 * What a ledger keeps of commits that aren't here: of those before the snapshot that it began with, or that were pruned. Enough to answer what is
 * sent again, and to show the transactions of live asks.
 */

/** Row beside the ledger with the transaction that published an ask, by its id, hex. */
export const askKey = (id: string): string => `past-ask/${id}`
/** All of those. */
export const PAST_ASK_KEYS: BesideRange = { gte: 'past-ask/', lt: 'past-ask/\uffff' }
/** Row with what became of a transaction, by its id, hex. */
export const pastKey = (id: string): string => `past/${id}`

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
  key: pastKey(toHex(id)),
  value: encodeCanonical([index, timestamp, code])
})

/** The facts of a failure aren't kept, only its code. */
export async function pastOutcome(store: Pick<BesideStore, 'get'>, id: Uint8Array): Promise<TransactionOutcome | null> {
  const row = await store.get(pastKey(toHex(id)))
  if (row === null) return null
  const [index, timestamp, code] = outcomeSchema.parse(decodeCanonical(row))
  const at = { id, index, timestamp }
  return code === null ? { status: 'applied', ...at } : { status: 'failed', ...at, code, data: {} }
}

export const pastAskRow = (id: string, bytes: Uint8Array): BesideRow => ({ key: askKey(id), value: bytes })

/** What is kept until a time: a transaction's outcome while it could be ordered, a closed task's view. */
export type Ending = 'outcome' | 'closed'

const END = 'past-end/'
const TIME_DIGITS = 16
const timeKey = (at: number): string => END + at.toString().padStart(TIME_DIGITS, '0')

/** Notes that something of an id, hex, goes once the ledger's timestamp is after `at`, ms. */
export const endRow = (at: number, kind: Ending, id: string, value: Uint8Array = new Uint8Array()): BesideRow => ({
  key: `${timeKey(at)}/${kind}/${id}`,
  value
})

/** Rows of what was to be kept until before `now`, oldest first. */
export const endsBefore = (now: number, limit: number): BesideRange => ({ gte: END, lt: timeKey(now), limit })

export function endingOf(key: string): { kind: Ending; id: string } {
  const [, , kind, id = ''] = key.split('/')
  return { kind: kind === 'closed' ? 'closed' : 'outcome', id }
}
