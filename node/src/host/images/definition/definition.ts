import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PekkaError } from '@pekka/node/protocol'
import { IMAGE_FORMAT } from '../constants.js'

const nameSchema = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/)

const common = {
  format: z.literal(IMAGE_FORMAT),
  name: nameSchema,
  description: z.string(),
  licence: z.string(),
  preload: z.array(z.string().regex(/^[A-Za-z_][\w.]*$/)),
  environment: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()),
  /** Free disk that a build must find, beyond that of the image it extends. */
  buildBytes: z.int().positive()
}

/** image.json of a definition that stands on its own. What each field means is told in docs/images.md. */
export const definitionSchema = z.strictObject({
  ...common,
  python: z.string().regex(/^3\.\d+$/),
  platform: z.string(),
  debian: z.strictObject({
    suite: nameSchema,
    architecture: z.literal('amd64'),
    packages: z.array(z.string().min(1)).min(1)
  })
})

/** image.json of a definition that extends another: everything in it is added to that one. */
const extensionSchema = z.strictObject({
  ...common,
  extends: nameSchema,
  debian: z.strictObject({ packages: z.array(z.string().min(1)) })
})

export interface LockedPackage {
  name: string
  version: string
  /** sha-256 in hex of every file that may be installed, sorted. */
  hashes: string[]
}

export interface DebianPackage {
  name: string
  version: string
}

/** Files of a definition's folder that go into the tree where they are there; what they do is told in docs/images.md. */
export const OPTIONAL_FILES = { startup: 'startup.py', warmup: 'warmup.py' } as const

export interface ImageDefinition extends z.infer<typeof definitionSchema> {
  /** The folder of the definition. */
  folder: string
  /** The image that it extends: all of that one's packages are in this one too, with the same versions and hashes. */
  extends?: string
  /** Text of startup.py: what every interpreter in the image runs first. */
  startup?: string
  /** Text of warmup.py: what is run once in the build to fill caches. */
  warmup?: string
  lockFile: string
  locked: LockedPackage[]
  debianLock: DebianPackage[]
  /** Packages that packages.in asks for, without those that they need. */
  requested: string[]
}

/** Python's normal form of a distribution name (PEP 503). */
export const normalName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-')

/** The package that a line of packages.in asks for, without its version. */
export const requestedName = (line: string): string => normalName(line.replace(/[\s=<>!~;[].*$/, ''))

/** Lines of packages.in, without comments. */
export function parseInput(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.replace(/#.*/, '').trim())
    .filter(line => line !== '')
}

/**
 * Reads a lock made by `uv pip compile --generate-hashes`.
 *
 * Throws an `Error` for anything that is not one exact version with at least one sha-256: such a line would let an index decide what
 * is installed.
 */
export function parseLock(text: string): LockedPackage[] {
  return text
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map(line => line.replace(/(^|\s)#.*/, '').trim())
    .filter(line => line !== '')
    .map(line => {
      const found = /^([A-Za-z0-9][\w.-]*)==([\w.+!-]+)((?:\s+--hash=sha256:[0-9a-f]{64})+)$/.exec(line)
      const [, name, version, hashes] = found ?? []
      if (name === undefined || version === undefined || hashes === undefined) {
        throw new Error(`not an exact version with sha-256 hashes: ${line.slice(0, 120)}`)
      }
      return {
        name: normalName(name),
        version,
        hashes: [...hashes.matchAll(/sha256:([0-9a-f]{64})/g)].map(m => String(m[1])).sort()
      }
    })
}

/** Reads debian.lock: `name=version`, one a line. Throws an `Error` for anything else. */
export function parseDebianLock(text: string): DebianPackage[] {
  return parseInput(text).map(line => {
    const [, name, version] = /^([a-z0-9][a-z0-9.+-]+)=([\w.+:~-]+)$/.exec(line) ?? []
    if (name === undefined || version === undefined) throw new Error(`not "name=version": ${line}`)
    return { name, version }
  })
}

/**
 * Reads image.json; of one that extends another the two are merged. Throws an `Error`.
 *
 * @param folder of the definition; that of the other stands beside it
 */
export async function readManifest(
  folder: string
): Promise<z.infer<typeof definitionSchema> & { extends: string | undefined }> {
  const read = async (at: string): Promise<unknown> => JSON.parse(await readFile(join(at, 'image.json'), 'utf8'))
  const json = await read(folder)
  const isExtension = typeof json === 'object' && json !== null && 'extends' in json
  if (!isExtension) return { ...definitionSchema.parse(json), extends: undefined }
  const own = extensionSchema.parse(json)
  // One level only: what an image shares with another must be plain to see.
  const base = definitionSchema.parse(await read(join(folder, '..', own.extends)))
  return {
    ...base,
    ...own,
    debian: { ...base.debian, packages: [...base.debian.packages, ...own.debian.packages] },
    preload: [...base.preload, ...own.preload],
    environment: { ...base.environment, ...own.environment }
  }
}

/** Throws an `Error` where a lock lacks something of the lock it extends: the layer could not be shared then. */
function checkShared<T extends { name: string }>(own: readonly T[], base: readonly T[], baseName: string): void {
  const byName = new Map(own.map(one => [one.name, JSON.stringify(one)]))
  const other = base.find(one => byName.get(one.name) !== JSON.stringify(one))
  if (other !== undefined) throw new Error(`its lock has another ${other.name} than ${baseName}; lock it again`)
}

/** Reads the definition `name` below the folder `definitions`. Throws IMAGE_UNKNOWN, IMAGE_DEFINITION_INVALID. */
export async function readDefinition(definitions: string, name: string): Promise<ImageDefinition> {
  const known = await definitionNames(definitions)
  if (!known.includes(name)) throw new PekkaError('IMAGE_UNKNOWN', { image: name, known: known.join(', ') })
  const folder = join(definitions, name)
  const lockFile = join(folder, 'requirements.lock')
  try {
    const parsed = await readManifest(folder)
    if (parsed.name !== name) throw new Error(`image.json names "${parsed.name}"`)
    const { locked, debianLock } = await readLocks(folder)
    if (parsed.extends !== undefined) {
      const base = await readLocks(join(definitions, parsed.extends))
      checkShared(locked, base.locked, parsed.extends)
      checkShared(debianLock, base.debianLock, parsed.extends)
    }
    const input = await readFile(join(folder, 'packages.in'), 'utf8')
    const [startup, warmup] = await Promise.all(
      Object.values(OPTIONAL_FILES).map(file => readFile(join(folder, file), 'utf8').catch(() => undefined))
    )
    return {
      ...parsed,
      folder,
      lockFile,
      locked,
      debianLock,
      requested: parseInput(input).map(requestedName),
      startup,
      warmup
    }
  } catch (error) {
    throw new PekkaError(
      'IMAGE_DEFINITION_INVALID',
      { image: name, issue: error instanceof Error ? error.message : String(error) },
      { cause: error }
    )
  }
}

const readLocks = async (folder: string): Promise<{ locked: LockedPackage[]; debianLock: DebianPackage[] }> => ({
  locked: parseLock(await readFile(join(folder, 'requirements.lock'), 'utf8')),
  debianLock: parseDebianLock(await readFile(join(folder, 'debian.lock'), 'utf8'))
})

/** Names of all definitions: the folders that have an image.json, sorted. */
export async function definitionNames(definitions: string): Promise<string[]> {
  const entries = await readdir(definitions, { withFileTypes: true })
  const names = await Promise.all(
    entries
      .filter(entry => entry.isDirectory())
      .map(async entry =>
        (await readdir(join(definitions, entry.name))).includes('image.json') ? entry.name : undefined
      )
  )
  return names.filter(name => name !== undefined).sort()
}
