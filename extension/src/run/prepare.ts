import type { PekkaClient, Quote, TaskRequest } from '@pekka/node/client'
import { missingRequirements, orNotOffered, type ImageChoice } from '@pekka/node/scan'
import { fetchAddresses, isFetched, type AddressRow } from './addresses.js'

/** What is being made ready: packages that no environment has, or addresses that the bridge fetches from `hosts`. */
export type Preparing = { kind: 'adding'; packages: readonly string[] } | { kind: 'fetching'; hosts: readonly string[] }

export interface Preparations {
  choice: ImageChoice
  /** Packages besides what the code says. */
  add?: readonly string[]
  addresses: readonly AddressRow[]
  /** Ticks that differ from how rows start. */
  chosen: ReadonlyMap<string, boolean>
}

/**
 * Makes ready what cells need beside themselves, before anything is offered or costs. The quote has said that the bridge learns
 * the packages' names and the addresses.
 *
 * @param tell each part, while it is made ready
 * @throws PekkaError LAYER_…, IMAGE_NOT_OFFERED, INPUT_REFUSED, INPUT_UNREACHABLE, INPUT_TOO_BIG
 */
export async function prepare(
  client: Pick<PekkaClient, 'addPackages' | 'fetchInput'>,
  quote: Quote,
  { choice, add = [], addresses, chosen }: Preparations,
  tell: (part: Preparing) => void
): Promise<Pick<TaskRequest, 'layer' | 'inputs'>> {
  const ready: Pick<TaskRequest, 'layer' | 'inputs'> = {}
  const packages = [...missingRequirements(choice), ...add]
  if (packages.length > 0) {
    tell({ kind: 'adding', packages })
    const { digest } = await client
      .addPackages(quote, packages)
      .catch((error: unknown) => Promise.reject(orNotOffered(error, choice)))
    ready.layer = digest
  }
  const fetched = addresses.filter(row => isFetched(row, chosen))
  if (fetched.length > 0) {
    tell({ kind: 'fetching', hosts: [...new Set(fetched.map(({ host }) => host))] })
    ready.inputs = await fetchAddresses(client, fetched, chosen)
  }
  return ready
}
