import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { PekkaError, normalPackageName, type LayerPackage } from '@pekka/node/protocol'
import { eachOf } from './concurrency.js'
import { AT_ONCE_BYTES, MAX_RECORD_BYTES, MAX_UNPACKED_BYTES, MAX_WHEEL_FILES } from './constants.js'
import { ArchiveError, ZipArchive, type ZipEntry } from './zip.js'

/** A file of an unpacked wheel: its place below the site folder. */
export interface SiteFile {
  path: string
  executable: boolean
}

/** What a wheel puts into a site folder. */
export interface WheelContent {
  files: SiteFile[]
  /** Bytes of them. */
  bytes: number
}

interface Part extends ZipEntry {
  /** Where it goes; null: it is checked and left out. */
  place: string | null
}

/** What an interpreter would run by itself at its start. */
const STARTS_BY_ITSELF = /^(?:[^/]+\.pth|(?:site|user)customize(?:\.py|\/.*|\..*\.so))$/

/**
 * Checks a wheel (PEP 427) against its hash and its own list of files, and unpacks it into `folder` where one is given.
 * Nothing of it is run. Left out: what would run by itself at an interpreter's start (`.pth`, sitecustomize), commands,
 * headers and data outside of the site folder, and byte code.
 *
 * @param path the wheel; its bytes have been checked against `expected.hash` already
 * @throws PekkaError LAYER_REFUSED; the signal's reason
 */
export async function unpackWheel(
  path: string,
  expected: Pick<LayerPackage, 'name' | 'file'>,
  folder: string | null,
  signal?: AbortSignal
): Promise<WheelContent> {
  const file = await open(path, 'r')
  try {
    const archive = await ZipArchive.open(file, { files: MAX_WHEEL_FILES, bytes: MAX_UNPACKED_BYTES })
    const info = infoFolder(archive, expected.name)
    await checkVersion(archive, `${info}/WHEEL`)
    const record = await readRecord(archive, info)
    const parts = archive.entries().map(entry => ({ ...entry, place: placeOf(entry.path) }))
    const kept = parts.filter(part => part.place !== null)
    if (new Set(kept.map(part => part.place)).size !== kept.length)
      throw new ArchiveError('two files go to the same place')
    if (folder !== null) await makeFolders(folder, kept)
    await eachOf(parts, async part => {
      signal?.throwIfAborted()
      await takeOut(archive, part, record, folder)
    })
    const files = kept.map(({ place, executable }) => ({ path: place ?? '', executable }))
    return { files, bytes: kept.reduce((sum, { size }) => sum + size, 0) }
  } catch (error) {
    if (error instanceof ArchiveError)
      throw new PekkaError('LAYER_REFUSED', { what: expected.file, issue: error.message }, { cause: error })
    throw error
  } finally {
    await file.close()
  }
}

function infoFolder(archive: ZipArchive, name: string): string {
  const found = new Set<string>()
  for (const { path } of archive.entries()) {
    const top = /^([^/]+\.dist-info)\//.exec(path)?.[1]
    if (top !== undefined) found.add(top)
  }
  const [info] = found
  if (found.size !== 1 || info === undefined) throw new ArchiveError('it has not exactly one .dist-info')
  const named = /^(.+?)-[^-]+\.dist-info$/.exec(info)?.[1] ?? ''
  if (normalPackageName(named) !== name) throw new ArchiveError(`it is the package ${named}`)
  return info
}

async function checkVersion(archive: ZipArchive, path: string): Promise<void> {
  const text = (await archive.read(path)).toString('utf8')
  if (!/^Wheel-Version: 1\.\d+\r?$/m.test(text)) throw new ArchiveError('it is no wheel of version 1')
}

interface Recorded {
  algorithm: string
  digest: string
}

/** What RECORD says of each file but itself and its signatures. */
async function readRecord(archive: ZipArchive, info: string): Promise<Map<string, Recorded>> {
  const own = new Set(['RECORD', 'RECORD.jws', 'RECORD.p7s'].map(name => `${info}/${name}`))
  const size = archive.entries().find(({ path }) => path === `${info}/RECORD`)?.size ?? 0
  if (size > MAX_RECORD_BYTES) throw new ArchiveError('its list of files is too long')
  const record = new Map<string, Recorded>()
  for (const line of (await archive.read(`${info}/RECORD`)).toString('utf8').split(/\r?\n/)) {
    if (line === '') continue
    const match = /^(?:"((?:[^"]|"")+)"|([^",]+)),(?:(sha256|sha384|sha512)=([\w-]+=*))?,\d*$/.exec(line)
    const path = match?.[1]?.replaceAll('""', '"') ?? match?.[2]
    const [algorithm, digest] = [match?.[3], match?.[4]]
    if (path === undefined) throw new ArchiveError('its list of files is damaged')
    if (own.has(path)) continue
    if (algorithm === undefined || digest === undefined) throw new ArchiveError(`${path} has no hash in its list`)
    record.set(path, { algorithm, digest: digest.replace(/=+$/, '') })
  }
  const there = new Set(archive.entries().map(({ path }) => path))
  for (const path of there)
    if (!own.has(path) && !record.has(path)) throw new ArchiveError(`${path} is not in its list`)
  for (const path of record.keys()) if (!there.has(path)) throw new ArchiveError(`${path} of its list is missing`)
  return record
}

/** Where a file goes below the site folder; null where it is left out. */
export function placeOf(path: string): string | null {
  const data = /^[^/]+\.data\/([^/]+)\/(.+)$/.exec(path)
  if (data !== null) {
    const [, kind = '', rest = ''] = data
    return kind === 'purelib' || kind === 'platlib' ? placeOf(rest) : null
  }
  if (/^[^/]+\.data\//.test(path) || STARTS_BY_ITSELF.test(path)) return null
  if (/(?:^|\/)__pycache__\//.test(path) || path.endsWith('.pyc')) return null
  return path
}

async function makeFolders(folder: string, parts: readonly Part[]): Promise<void> {
  const folders = new Set(parts.map(({ place }) => dirname(place ?? '')))
  for (const each of folders) await mkdir(join(folder, each), { recursive: true, mode: 0o755 })
}

async function takeOut(
  archive: ZipArchive,
  { path, size, executable, place }: Part,
  record: ReadonlyMap<string, Recorded>,
  folder: string | null
): Promise<void> {
  const recorded = record.get(path)
  const hash = createHash(recorded?.algorithm ?? 'sha256')
  const to = place === null || folder === null ? null : join(folder, place)
  const mode = executable ? 0o755 : 0o644
  if (size <= AT_ONCE_BYTES) {
    const bytes = await archive.read(path, hash)
    if (to !== null) await writeFile(to, bytes, { mode, flag: 'wx' })
  } else {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
    await pipeline(archive.stream(path, hash), to === null ? nowhere : createWriteStream(to, { mode, flags: 'wx' }))
  }
  if (recorded !== undefined && hash.digest('base64url') !== recorded.digest)
    throw new ArchiveError(`${path} does not have the hash of its list`)
}
