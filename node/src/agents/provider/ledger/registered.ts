import { PekkaError, isPekkaError, toHex, type ImageRow } from '@pekka/node/protocol'
import type { Ware } from './asks.js'
import type { RegistryRows } from './registry-rows.js'

/** What the network's registrars say of what this machine sells. */

/** Why something isn't sold, for the log and its reader. */
export type Unsold = ReadonlyMap<Ware, string>

/**
 * Wares that nobody may buy here: their image was retired, or its digest stands for another name. Where the registry says nothing of an
 * image, its name is for the network's list, which buyers look at.
 */
export async function unsoldOf(
  registry: Pick<RegistryRows, 'of'>,
  wares: readonly Ware[],
  signal: AbortSignal
): Promise<Unsold> {
  if (wares.length === 0) return new Map()
  const rows = await registry.of(
    wares.map(({ image }) => image.digest),
    signal
  )
  const unsold = new Map<Ware, string>()
  for (const ware of wares) {
    const row = rows.get(toHex(ware.image.digest))
    const reason = row === undefined ? null : reasonOf(ware, row)
    if (reason !== null) unsold.set(ware, reason)
  }
  return unsold
}

function reasonOf({ image }: Ware, { record, retired }: ImageRow): string | null {
  if (retired !== null) return new PekkaError('IMAGE_RETIRED', { image: image.name, reason: retired.reason }).message
  if (record !== null && record.content.name !== image.name)
    return `The network knows this digest as ${record.content.name}.`
  return null
}

/** Whether the ledger refused a price because its image was retired, the moment before. */
export const isRetired = (error: unknown): boolean => isPekkaError(error) && error.code === 'IMAGE_RETIRED'
