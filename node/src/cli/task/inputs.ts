import { size, type PekkaClient } from '../../core/client/index.js'
import { MAX_INPUTS, addressIssue, looksSecret, placeInputs, type Input } from '../../core/protocol/index.js'
import { readAddresses, type AddressRead } from '../../core/scan/index.js'
import type { CliContext } from '../context.js'

/** Has the bridge fetch what `--input` names, before anything costs. */
export async function fetchInputs(
  context: CliContext,
  client: PekkaClient,
  wanted: readonly { url: string; path: string }[]
): Promise<Input[]> {
  const inputs: Input[] = []
  for (const { url, path } of wanted) {
    context.say(`Fetching ${url} …`)
    const input = await client.fetchInput(url, path, context.signal)
    context.say(`Fetched: ${path} (${size(input.size)})`)
    inputs.push(input)
  }
  return inputs
}

type Named = { url: string; path: string }

/** Addresses that a program reads, by literal text. */
export const addressesIn = (sources: readonly string[]): AddressRead[] => {
  const cells = sources.map((source, index) => ({ id: String(index + 1), source }))
  return readAddresses(
    cells,
    cells.map(({ id }) => id)
  )
}

/**
 * What becomes of addresses that a program reads, beside those that `--input` names: they are fetched where the user agrees, by
 * `--with-inputs` or by an answer, and never without. The others are said, with what to write.
 *
 * @param ask null where there is nobody to ask
 */
export async function agreedInputs(
  reads: readonly AddressRead[],
  { named, all, ask }: { named: readonly Named[]; all: boolean; ask: (question: string) => Promise<boolean | null> }
): Promise<{ inputs: Named[]; lines: string[] }> {
  const known = new Set(named.map(({ url }) => url))
  const others = reads.filter(({ url }) => !known.has(url))
  const lines: string[] = []
  const wanted = others.filter(({ url, line }) => {
    const issue = addressIssue(url)
    if (issue !== null) lines.push(`Line ${line} reads ${url}. There is no network where it runs. ${issue}`)
    else if (looksSecret(url))
      lines.push(
        `Line ${line} reads ${url}, which looks like it holds a secret: it is fetched only by --input '${url}'.`
      )
    return issue === null && !looksSecret(url)
  })
  const some = wanted.slice(0, MAX_INPUTS - named.length)
  for (const { url } of wanted.slice(some.length)) lines.push(`${url} is not fetched: a run has at most ${MAX_INPUTS}.`)
  if (some.length === 0) return { inputs: [...named], lines }
  const list = some.map(({ url }) => url).join(', ')
  const agreed =
    all ||
    (await ask(
      `The code reads ${list}. There is no network where it runs. Have the bridge fetch ${some.length === 1 ? 'it' : 'them'} beforehand? It and the ${some.length === 1 ? 'server' : 'servers'} learn the ${some.length === 1 ? 'address' : 'addresses'}. [y/N] `
    ))
  if (agreed !== true) {
    const options = some.map(({ url }) => `--input '${url}'`).join(' ')
    lines.push(
      `The code reads ${list}. There is no network where it runs: to have it fetched beforehand, ${options}, or --with-inputs.`
    )
    return { inputs: [...named], lines }
  }
  const taken = new Set(named.map(({ path }) => path))
  const placed = placeInputs(some.map(({ url }) => url)).map(one =>
    taken.has(one.path) ? { ...one, path: `${one.path}-2` } : one
  )
  return { inputs: [...named, ...placed], lines }
}
