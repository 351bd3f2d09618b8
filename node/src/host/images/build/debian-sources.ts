import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** One source of Debian packages, in the fields of the deb822 form. */
export interface DebianSource {
  uris: string[]
  suites: string[]
  components: string[]
  /** Everything else the host says of it: Signed-By, Trusted, Check-Valid-Until … */
  options: Record<string, string>
}

/** Where Debian keeps its key ring; Debian's package debian-archive-keyring on other systems. */
const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Reads a `.sources` file. Sources that are switched off or hold no binary packages are left out. */
export function parseDeb822(text: string): DebianSource[] {
  const sources: DebianSource[] = []
  const plain = text.replace(/^#.*\n?/gm, '')
  for (const stanza of plain.split(/\n\s*\n/)) {
    const fields: Record<string, string> = {}
    let last = ''
    for (const line of stanza.split('\n')) {
      const [, key, value] = /^([A-Za-z-]+):\s*(.*)$/.exec(line) ?? []
      if (key !== undefined && value !== undefined) {
        last = key.toLowerCase()
        fields[last] = value
      } else if (/^\s/.test(line) && last !== '') fields[last] = `${fields[last] ?? ''}\n${line}`
    }
    const {
      types = '',
      uris = '',
      suites = '',
      components = '',
      enabled = 'yes',
      architectures: _,
      ...options
    } = fields
    if (words(types).includes('deb') && !['no', 'false'].includes(enabled)) {
      sources.push({ uris: words(uris), suites: words(suites), components: words(components), options })
    }
  }
  return sources
}

/** Reads a `sources.list` file in the one-line form. */
export function parseOneLine(text: string): DebianSource[] {
  const sources: DebianSource[] = []
  for (const line of text.split('\n')) {
    const [, bracket = '', rest] = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?([^#]+)/.exec(line) ?? []
    if (rest === undefined) continue
    const [uri, suite, ...components] = words(rest)
    if (uri === undefined || suite === undefined) continue
    const pairs = words(bracket)
      .map(pair => pair.split('=', 2))
      .filter(([key]) => key !== 'arch')
    const options = Object.fromEntries(
      pairs.map(([key = '', value = '']) => [key.toLowerCase(), value.replaceAll(',', ' ')])
    )
    sources.push({ uris: [uri], suites: [suite], components, options })
  }
  return sources
}

/**
 * The host's own Debian mirrors, turned to `suite`. Only Debian's archives are taken (suites of Debian with the component `main`), never
 * those of third parties. `mirror` replaces them all, e.g. on a system that is not Debian.
 *
 * Empty where neither is there.
 */
export function debianSources(host: readonly DebianSource[], suite: string, mirror?: string): DebianSource[] {
  const signed = { 'signed-by': DEBIAN_KEYRING }
  if (mirror !== undefined) {
    return [{ uris: [mirror], suites: [suite, `${suite}-updates`], components: ['main'], options: signed }]
  }
  const debian = host.filter(source => source.components.includes('main'))
  const exact = debian
    .map(source => ({ ...source, suites: source.suites.filter(one => isOfSuite(one, suite)), components: ['main'] }))
    .filter(source => source.suites.length > 0)
  if (exact.some(source => source.suites.includes(suite))) return exact
  // Another release of Debian: its mirrors hold the suite as well.
  const mirrors = debian.flatMap(source =>
    source.uris.map(uri => ({ uri: uri.replace(/\/$/, ''), options: source.options }))
  )
  const archive = mirrors.filter(({ uri }) => uri.endsWith('/debian'))
  const security = mirrors.filter(({ uri }) => uri.endsWith('/debian-security'))
  return [
    ...archive.slice(0, 1).map(({ uri }) => ({
      uris: [uri],
      suites: [suite, `${suite}-updates`],
      components: ['main'],
      options: signed
    })),
    ...security
      .slice(0, 1)
      .map(({ uri }) => ({ uris: [uri], suites: [`${suite}-security`], components: ['main'], options: signed }))
  ]
}

/** A `.sources` file. */
export function formatDeb822(sources: readonly DebianSource[]): string {
  return sources
    .map(source =>
      [
        'Types: deb',
        `URIs: ${source.uris.join(' ')}`,
        `Suites: ${source.suites.join(' ')}`,
        `Components: ${source.components.join(' ')}`,
        ...Object.entries(source.options).map(([key, value]) => `${key}: ${value}`)
      ].join('\n')
    )
    .join('\n\n')
    .concat('\n')
}

/** All sources the host's apt knows. */
export async function hostSources(folder = '/etc/apt'): Promise<DebianSource[]> {
  const parts = join(folder, 'sources.list.d')
  const names = await readdir(parts).catch(() => [])
  const files = [join(folder, 'sources.list'), ...names.sort().map(name => join(parts, name))]
  const sources = await Promise.all(
    files.map(async file => {
      const text = await readFile(file, 'utf8').catch(() => '')
      if (file.endsWith('.sources')) return parseDeb822(text)
      return file.endsWith('.list') ? parseOneLine(text) : []
    })
  )
  return sources.flat()
}

const isOfSuite = (name: string, suite: string): boolean =>
  [suite, `${suite}-updates`, `${suite}-security`, `${suite}/updates`].includes(name)

const words = (text: string): string[] => text.split(/\s+/).filter(word => word !== '')
