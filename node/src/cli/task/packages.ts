import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { size, type PekkaClient, type Quote } from '../../core/client/index.js'
import { PekkaError, parseRequirement, type LayerAnswer } from '../../core/protocol/index.js'
import { isAdded, listed, requirementText, type ImageChoice } from '../../core/scan/index.js'
import type { CliContext } from '../context.js'
import { askYes } from './ask.js'

/** `--with MODULE=PACKAGE` answers a question of the scan; anything else names a package. */
const isAnswer = (text: string): boolean => /^[\p{L}_][\p{L}\p{N}_]*=[^=]/u.test(text)

/** Distributions that the user wrote behind `--with`, also as the answer to a question. */
export const namesIn = (given: readonly string[] = []): ReadonlySet<string> =>
  new Set(given.map(text => parseRequirement(isAnswer(text) ? text.slice(text.indexOf('=') + 1) : text).name))

/** Packages that `--with` names. @throws PekkaError REQUIREMENT_REFUSED */
export const namedPackages = (given: readonly string[] = []) =>
  given.filter(text => !isAnswer(text)).map(text => parseRequirement(text))

/**
 * What the chosen image lacks, as requirements: what the code can't do without, and what the user named.
 * @throws PekkaError REQUIREMENT_REFUSED
 */
export function requirementsOf({ missing }: ImageChoice, given: readonly string[] = []): string[] {
  const named = namedPackages(given)
  const names = new Set(named.map(({ name }) => name))
  const needed = missing.filter(one => isAdded(one) && !names.has(one.distribution))
  const found = needed.map(one => parseRequirement(requirementText(one)).text)
  return [...new Set([...found, ...named.map(({ text }) => text)])]
}

/**
 * Has the bridge add packages, once the user knows that it learns their names. Null where nothing is missing.
 * @throws PekkaError PACKAGE_MISSING where the user doesn't want it, LAYER_…
 */
export async function addPackages(
  context: CliContext,
  client: PekkaClient,
  quoteOf: () => Promise<Quote>,
  requirements: readonly string[],
  /** What the user wrote, who so agreed to tell it. */
  { named }: { named: ReadonlySet<string> }
): Promise<Uint8Array | null> {
  if (requirements.length === 0) return null
  const quote = await quoteOf()
  if (!(await mayTell(context, client, requirements, named)))
    throw new PekkaError('PACKAGE_MISSING', { packages: listed([...requirements]), image: quote.image })
  context.say(`Adding ${listed([...requirements])} …`)
  const layer = await client.addPackages(quote, requirements, context.signal)
  for (const line of describeLayer(layer, quote.image)) context.say(line)
  return layer.digest
}

/** What was added, for people. */
export function describeLayer({ mode, packages, present, size: bytes }: LayerAnswer, image: string): string[] {
  const lines = present.map(({ name, version }) => `${name} ${version} is in ${image} already.`)
  if (packages.length === 0) return lines
  const shown = packages.slice(0, 8).map(({ name, version }) => `${name} ${version}`)
  const more = packages.length > 8 ? ` and ${packages.length - 8} more` : ''
  lines.push(`Added: ${shown.join(', ')}${more} (${size(bytes)})`)
  if (mode === 'instead')
    lines.push(
      `They don't go with the versions in ${image}, so that they replace these; nothing waits with them loaded.`
    )
  return lines
}

/**
 * Who names a package agrees by it that the bridge learns that name, and a bridge on this computer tells nobody but the package index.
 * Of the names that the code has, the user is asked, once.
 */
async function mayTell(
  context: CliContext,
  client: PekkaClient,
  requirements: readonly string[],
  named: ReadonlySet<string>
): Promise<boolean> {
  const { hostname } = new URL(client.http.base)
  const inferred = requirements.filter(text => !named.has(parseRequirement(text).name))
  if (inferred.length === 0 || hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.'))
    return true
  const file = join(context.home, 'wallet', 'package-names.json')
  const known = await readFile(file, 'utf8').catch(() => '')
  if (known.includes(JSON.stringify(client.http.base))) return true
  const question = `${listed(inferred)} would be looked up by the bridge at ${hostname}, which so learns the names. Go on, now and later? [y/N] `
  if ((await askYes(context, question)) !== true) return false
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeFile(file, `${known}${JSON.stringify(client.http.base)}\n`, { mode: 0o600 })
  return true
}
