import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PekkaError } from '@pekka/node/protocol'
import { IMAGE_FORMAT } from './constants.js'

const nameSchema = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/)

/** image.json of a definition. What each field means is told in docs/images.md. */
export const definitionSchema = z.strictObject({
  format: z.literal(IMAGE_FORMAT),
  name: nameSchema,
  description: z.string(),
  licence: z.string(),
  python: z.string().regex(/^3\.\d+$/),
  platform: z.string(),
  debian: z.strictObject({
    suite: nameSchema,
    architecture: z.literal('amd64'),
    packages: z.array(z.string().min(1)).min(1)
  }),
  preload: z.array(z.string().regex(/^[A-Za-z_][\w.]*$/)),
  environment: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()),
  buildBytes: z.int().positive()
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

export interface ImageDefinition extends z.infer<typeof definitionSchema> {
  /** The folder of the definition. */
  folder: string
  python: string
  lockFile: string
  locked: LockedPackage[]
  debianLock: DebianPackage[]
  /** Packages that packages.in asks for, without those that they need. */
  requested: string[]
}

/** Python's normal form of a distribution name (PEP 503). */
export const normalName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-')

/** Names of packages.in, without comments. */
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

/** Reads the definition `name` below the folder `definitions`. Throws IMAGE_UNKNOWN, IMAGE_DEFINITION_INVALID. */
export async function readDefinition(definitions: string, name: string): Promise<ImageDefinition> {
  const known = await definitionNames(definitions)
  if (!known.includes(name)) throw new PekkaError('IMAGE_UNKNOWN', { image: name, known: known.join(', ') })
  const folder = join(definitions, name)
  const lockFile = join(folder, 'requirements.lock')
  try {
    const [definition, input, lock, debianLock] = await Promise.all(
      ['image.json', 'packages.in', 'requirements.lock', 'debian.lock'].map(file =>
        readFile(join(folder, file), 'utf8')
      )
    )
    const parsed = definitionSchema.parse(JSON.parse(definition ?? ''))
    if (parsed.name !== name) throw new Error(`image.json names "${parsed.name}"`)
    return {
      ...parsed,
      folder,
      lockFile,
      locked: parseLock(lock ?? ''),
      debianLock: parseDebianLock(debianLock ?? ''),
      requested: parseInput(input ?? '').map(normalName)
    }
  } catch (error) {
    throw new PekkaError(
      'IMAGE_DEFINITION_INVALID',
      { image: name, issue: error instanceof Error ? error.message : String(error) },
      { cause: error }
    )
  }
}

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
