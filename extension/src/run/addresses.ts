import { MAX_INPUTS, addressIssue, looksSecret, placeInputs, type Input } from '@pekka/node/protocol'
import type { AddressRead } from '@pekka/node/scan'

/** An address that cells read: the bridge can fetch it beforehand, where the user agrees. */
export interface AddressRow {
  /** Stays the same between two looks, as ids of what travels do. */
  id: string
  url: string
  host: string
  /** `stars.csv`, or the whole path where it ends in none. */
  name: string
  /** `line 3`, `cell 2, line 3`. */
  where: string
  /** Whether it starts ticked. */
  ticked: boolean
  /** Why it starts unticked. */
  note: string | null
  /** Why it can't be fetched; null where it may. */
  cannot: string | null
}

/** @param numberOf number of a cell as people count; `many`: more than one cell was chosen, so it is said which */
export function addressRows(
  reads: readonly AddressRead[],
  numberOf: (id: string) => number,
  many: boolean
): AddressRow[] {
  return reads.map(({ url, cell, line }, index) => {
    const parsed = URL.canParse(url) ? new URL(url) : null
    const where = many ? `cell ${numberOf(cell)}, line ${line}` : `line ${line}`
    const path = parsed?.pathname ?? ''
    const isSecret = looksSecret(url)
    return {
      id: `address:${url}`,
      url,
      host: parsed?.host ?? url,
      name: path.split('/').at(-1) || path,
      where,
      ticked: !isSecret,
      note: isSecret ? 'The address looks like it holds a secret' : null,
      cannot:
        index >= MAX_INPUTS
          ? `A run has at most ${MAX_INPUTS} of them.`
          : parsed === null
            ? 'It is no address.'
            : addressIssue(url)
    }
  })
}

export const isFetched = (row: AddressRow, chosen: ReadonlyMap<string, boolean>): boolean =>
  row.cannot === null && (chosen.get(row.id) ?? row.ticked)

/**
 * Has the bridge fetch what the user agreed to, one after the other, before anything is offered.
 * @throws PekkaError INPUT_REFUSED, INPUT_UNREACHABLE, INPUT_TOO_BIG
 */
export async function fetchAddresses(
  client: { fetchInput(url: string, path: string): Promise<Input> },
  rows: readonly AddressRow[],
  chosen: ReadonlyMap<string, boolean>
): Promise<Input[]> {
  const inputs: Input[] = []
  const urls = rows.filter(row => isFetched(row, chosen)).map(({ url }) => url)
  for (const { url, path } of placeInputs(urls)) inputs.push(await client.fetchInput(url, path))
  return inputs
}
