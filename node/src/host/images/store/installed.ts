import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ENVIRONMENT_PATH } from '../constants.js'
import { normalName } from '../definition/definition.js'

/** A distribution as its wheel installed it. */
export interface InstalledPackage {
  /** Normal form. */
  name: string
  version: string
  /** As the package states it: an SPDX expression, else its licence field, else its classifiers; `not stated` where there is none. */
  licence: string
  /** Paths of its files below site-packages; those outside are left out. */
  files: string[]
}

/**
 * Top-level names that wheels leave in site-packages by mistake. Taking `tests` or `docs` for a package would answer an import of the
 * user's own module with somebody else's.
 */
const STRAY = new Set(
  (
    'benchmark benchmarks bin book build ci conftest dev dist doc docs example examples include lib licenses notebooks samples scripts setup ' +
    'share src test testing tests tools typings util utils wheelhouse'
  ).split(' ')
)

/** Levels of a namespace package that are looked into: `a.b.c`. */
const NAMESPACE_LEVELS = 3

/** Where the packages of an environment stand. */
export const siteOf = (environment: string, python: string): string =>
  join(environment, `lib/python${python}/site-packages`)

/** Where the packages of a tree stand. */
export const sitePackages = (root: string, python: string): string => siteOf(join(root, ENVIRONMENT_PATH), python)

/** The distributions in a site-packages folder, by name. Throws an `Error` where one lacks its list of files. */
export async function readInstalled(site: string): Promise<InstalledPackage[]> {
  const infos = (await readdir(site)).filter(entry => entry.endsWith('.dist-info'))
  const found = await Promise.all(
    infos.map(async info => {
      const [metadata, record] = await Promise.all(
        ['METADATA', 'RECORD'].map(file => readFile(join(site, info, file), 'utf8'))
      )
      const fields = headerOf(metadata ?? '')
      return {
        name: normalName(fields('Name')[0] ?? info),
        version: fields('Version')[0] ?? '',
        licence: licenceOf(fields),
        files: (record ?? '')
          .split('\n')
          .map(recordPath)
          .filter(path => path !== '' && !path.startsWith('../') && !path.startsWith('/'))
      }
    })
  )
  return found.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * What can be imported, and which distribution it comes from: top-level modules; of a namespace package (a folder without `__init__`)
 * the modules inside it, as `google.protobuf`, for the name before the dot belongs to nobody. Private and stray names are left out.
 */
export function modulesOf(packages: readonly InstalledPackage[]): Map<string, string> {
  const regular = new Set<string>()
  for (const { files } of packages) {
    for (const file of files) {
      const [, folder] = /^(.*)\/__init__\.(?:py|[\w-]*\.?so)$/.exec(file) ?? []
      if (folder !== undefined) regular.add(folder)
    }
  }
  const names = new Set(packages.map(one => one.name))
  const owners = new Map<string, Map<string, number>>()
  for (const { name, files } of packages) {
    for (const file of files) {
      const found = moduleOf(file, regular)
      if (found === undefined) continue
      const [top = ''] = found.split('.')
      // A namespace that bears the name of a distribution here is that one's: `pymatgen`, but not `google`.
      const module = names.has(normalName(top)) ? top : found
      if (STRAY.has(top) && normalName(top) !== name) continue
      const claims = owners.get(module) ?? new Map<string, number>()
      claims.set(name, (claims.get(name) ?? 0) + 1)
      owners.set(module, claims)
    }
  }
  return new Map(
    [...owners]
      .map(([module, claims]): [string, string] => [module, ownerOf(module, claims)])
      .sort(([a], [b]) => (a < b ? -1 : 1))
  )
}

/**
 * Removes files in stray folders that several packages brought: which one's is there would hang on the order in which they were installed.
 * Resolves with their paths. Files that only one package brought stay: some packages do import from a folder named `testing`.
 */
export async function removeStray(site: string): Promise<string[]> {
  const seen = new Set<string>()
  const shared = new Set<string>()
  for (const { files } of await readInstalled(site)) {
    for (const file of new Set(files)) {
      if (!STRAY.has(file.split('/')[0] ?? '')) continue
      if (seen.has(file)) shared.add(file)
      seen.add(file)
    }
  }
  await Promise.all([...shared].map(file => rm(join(site, file), { force: true })))
  return [...shared].sort()
}

/** The dotted name that a file makes importable, undefined where it makes none. */
function moduleOf(file: string, regular: ReadonlySet<string>): string | undefined {
  if (!/\.(py|so)$/.test(file)) return undefined
  const parts = file.split('/')
  const names: string[] = []
  for (const [level, part] of parts.entries()) {
    const isFile = level === parts.length - 1
    const name = isFile ? (part.split('.')[0] ?? '') : part
    // private, or a folder of data: `numpy.libs`, `x-1.0.data`
    if (!/^[A-Za-z]\w*$/.test(name)) return undefined
    names.push(name)
    if (isFile || regular.has(parts.slice(0, level + 1).join('/'))) return names.join('.')
    if (level + 1 >= NAMESPACE_LEVELS) return undefined
  }
  return undefined
}

/** Of several that share a module: the one that bears its name, else the one with most of its files, else the first by name. */
function ownerOf(module: string, claims: ReadonlyMap<string, number>): string {
  const same = [...claims.keys()].find(name => name === normalName(module))
  if (same !== undefined) return same
  const [[first = ''] = []] = [...claims].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  return first
}

/** Path of a line of RECORD, which is CSV: a path with a comma or a quote stands in quotes. */
function recordPath(line: string): string {
  const quoted = /^"((?:[^"]|"")*)"/.exec(line)?.[1]
  return quoted === undefined ? (line.split(',')[0] ?? '') : quoted.replaceAll('""', '"')
}

type Fields = (name: string) => string[]

/** The fields of METADATA's head; the description after it may hold anything. */
function headerOf(metadata: string): Fields {
  const [head = ''] = metadata.split(/\r?\n\r?\n/)
  const lines = head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)
  return name => lines.filter(line => line.startsWith(`${name}: `)).map(line => line.slice(name.length + 2).trim())
}

/** Longer than this, a licence field holds the licence's text and not its name. */
const LICENCE_NAME = 80

function licenceOf(fields: Fields): string {
  const [expression] = fields('License-Expression')
  if (expression !== undefined) return expression
  const classifiers = fields('Classifier')
    .filter(line => line.startsWith('License :: '))
    .map(line => line.split(' :: ').at(-1) ?? '')
    .filter(name => name !== 'OSI Approved')
  const [named] = fields('License')
  const isName = named !== undefined && named.length <= LICENCE_NAME && !/^(unknown|none|see |license)/i.test(named)
  if (isName) return named
  return classifiers.length > 0 ? classifiers.join(', ') : 'not stated'
}
