import {
  PekkaError,
  equalBytes,
  isPekkaError,
  type HistoryPage,
  type HistoryQuery,
  type ImageRow,
  type LedgerAccess
} from '@pekka/node/protocol'
import type { Ware } from './asks.js'

/** What the network's registrars say of what this machine sells. */

/** Rows that are read at a time. */
const PAGE = 200

/** Why something isn't sold, for the log and its reader. */
export type Unsold = ReadonlyMap<Ware, string>

/**
 * Wares that nobody may buy here: their image was retired, or its digest stands for another name. Where the registry says nothing of an
 * image, its name is for the network's list, which buyers look at.
 */
export async function unsoldOf(
  ledger: Pick<LedgerAccess, 'history'>,
  wares: readonly Ware[],
  signal: AbortSignal
): Promise<Unsold> {
  if (wares.length === 0) return new Map()
  const rows = await allRows(ledger, signal)
  const unsold = new Map<Ware, string>()
  for (const ware of wares) {
    const row = rows.find(({ digest }) => equalBytes(digest, ware.image.digest))
    const reason = row === undefined ? null : reasonOf(ware, row)
    if (reason !== null) unsold.set(ware, reason)
  }
  return unsold
}

async function allRows(ledger: Pick<LedgerAccess, 'history'>, signal: AbortSignal): Promise<ImageRow[]> {
  const rows: ImageRow[] = []
  let after: Uint8Array | null = null
  do {
    const query: HistoryQuery<'images'> = { name: null, after, count: PAGE }
    const page: HistoryPage<'images'> = await ledger.history({ kind: 'images', query }, signal)
    rows.push(...page.images)
    after = page.next
  } while (after !== null)
  return rows
}

function reasonOf({ image }: Ware, { record, retired }: ImageRow): string | null {
  if (retired !== null) return new PekkaError('IMAGE_RETIRED', { image: image.name, reason: retired.reason }).message
  if (record !== null && record.content.name !== image.name)
    return `The network knows this digest as ${record.content.name}.`
  return null
}

/** Whether the ledger refused a price because its image was retired, the moment before. */
export const isRetired = (error: unknown): boolean => isPekkaError(error) && error.code === 'IMAGE_RETIRED'
