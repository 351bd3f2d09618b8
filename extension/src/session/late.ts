import type { AddressRead, ImageChoice } from '@pekka/node/scan'
import { isAdded, requirementText } from '@pekka/node/scan'
import { keptSentences } from '../scan/index.js'

/** What a kept machine was given when it began; nothing is added to it any more. */
export interface BeganWith {
  /** Requirements (PEP 508) that its environment lacked. */
  packages: readonly string[]
  /** Addresses that were fetched for it; null: not known, as after the page was loaded anew. */
  addresses: readonly string[] | null
}

/** What cells ask for that came after their machine had begun, in sentences. */
export function lateSentences(
  { image, missing }: Pick<ImageChoice, 'image' | 'missing'>,
  reads: readonly AddressRead[],
  { packages, addresses }: BeganWith
): string[] {
  const late = missing.filter(one => isAdded(one) && !packages.includes(requirementText(one)))
  const unfetched = addresses === null ? [] : reads.map(({ url }) => url).filter(url => !addresses.includes(url))
  return [
    ...keptSentences({ image, missing: late }),
    ...[...new Set(unfetched)].map(
      url => `${url} was not fetched for this machine. It has what was fetched when it began.`
    )
  ]
}
