import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, link, mkdir, readFile, rename, rm, utimes, writeFile, copyFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { PekkaError, equalBytes, toHex, type LayerPackage } from '@pekka/node/protocol'
import { eachOf } from './concurrency.js'
import { IN_USE_MS, KEPT_BYTES, MAX_LAYER_UNPACKED_BYTES } from './constants.js'
import { openFiles, openFolders } from './modes.js'
import { makeRoom } from './room.js'
import { unpackWheel, type SiteFile } from './wheel.js'

/** Brings a wheel's bytes to `path`. They are checked afterwards. */
export type FetchWheel = (wheel: LayerPackage, path: string) => Promise<void>

export interface UnpackedWheel {
  folder: string
  files: SiteFile[]
  bytes: number
}

export interface WheelStoreInit {
  folder: string
  /** Bytes of unpacked wheels that are kept. Default KEPT_BYTES. */
  maxBytes?: number
}

const listSchema = z.strictObject({
  files: z.array(z.strictObject({ path: z.string(), executable: z.boolean() })),
  bytes: z.number()
})

/**
 * Unpacked wheels by hash, on this machine's disk. A folder is there whole or not at all: it is made under another name
 * and renamed. Those that were not used for longest go when there are too many.
 */
export class WheelStore {
  readonly #under = new Map<string, Promise<UnpackedWheel>>()
  #opened: Promise<void> | null = null

  constructor(private readonly init: WheelStoreInit) {}

  /** What a killed process left half-made goes. */
  open(): Promise<void> {
    this.#opened ??= (async () => {
      await mkdir(this.#wheels, { recursive: true, mode: 0o755 })
      await rm(this.#drafts, { recursive: true, force: true })
      await mkdir(this.#drafts, { mode: 0o700 })
    })()
    return this.#opened
  }

  /**
   * All wheels of a layer, unpacked. Those that aren't here are fetched, each once, whoever asks; a fetch goes on when
   * the one who asked first has gone.
   * @throws PekkaError LAYER_REFUSED, BLOB_MISMATCH, LAYER_TOO_LARGE; what `fetch` throws
   */
  async ensure(packages: readonly LayerPackage[], fetch: FetchWheel): Promise<UnpackedWheel[]> {
    await this.open()
    const wheels = await Promise.all(packages.map(wheel => this.#ensure(wheel, fetch)))
    const size = wheels.reduce((sum, { bytes }) => sum + bytes, 0)
    if (size > MAX_LAYER_UNPACKED_BYTES)
      throw new PekkaError('LAYER_TOO_LARGE', { size, max: MAX_LAYER_UNPACKED_BYTES })
    return wheels
  }

  #ensure(wheel: LayerPackage, fetch: FetchWheel): Promise<UnpackedWheel> {
    const name = toHex(wheel.hash)
    const under = this.#under.get(name)
    if (under !== undefined) return under
    const made = this.#find(name).then(found => found ?? this.#make(name, wheel, fetch))
    this.#under.set(name, made)
    const done = (): void => void this.#under.delete(name)
    made.then(done, done)
    return made
  }

  async #find(name: string): Promise<UnpackedWheel | null> {
    const folder = join(this.#wheels, name)
    try {
      const list = listSchema.parse(JSON.parse(await readFile(join(folder, 'list.json'), 'utf8')))
      const now = new Date()
      await utimes(folder, now, now)
      return { folder: join(folder, 'site'), ...list }
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
      await rm(folder, { recursive: true, force: true })
      return null
    }
  }

  async #make(name: string, wheel: LayerPackage, fetch: FetchWheel): Promise<UnpackedWheel> {
    await makeRoom(this.#wheels, { maxBytes: this.init.maxBytes ?? KEPT_BYTES, inUseMs: IN_USE_MS, bytesOf })
    const draft = join(this.#drafts, randomBytes(8).toString('hex'))
    const site = join(draft, 'site')
    await mkdir(site, { recursive: true, mode: 0o755 })
    try {
      const file = join(draft, 'wheel')
      await fetch(wheel, file)
      await checkHash(file, wheel)
      const list = await unpackWheel(file, wheel, site)
      await rm(file)
      await writeFile(join(draft, 'list.json'), JSON.stringify(list))
      await openFiles(site, list.files)
      await chmod(draft, 0o755)
      const folder = join(this.#wheels, name)
      await rename(draft, folder)
      return { folder: join(folder, 'site'), ...list }
    } catch (error) {
      await rm(draft, { recursive: true, force: true })
      throw diskFull(error, this.init.folder)
    }
  }

  get #wheels(): string {
    return join(this.init.folder, 'wheels')
  }

  get #drafts(): string {
    return join(this.init.folder, 'drafts')
  }
}

/** Bytes of an unpacked wheel, from its list. */
const bytesOf = async (folder: string): Promise<number> => {
  const text = await readFile(join(folder, 'list.json'), 'utf8').catch(() => '')
  return Number(/"bytes":(\d+)\}$/.exec(text)?.[1] ?? 0)
}

/** @throws PekkaError BLOB_MISMATCH */
export async function checkHash(path: string, { hash, size }: Pick<LayerPackage, 'hash' | 'size'>): Promise<void> {
  const hasher = createHash('sha256')
  let seen = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    seen += chunk.length
    hasher.update(chunk)
  }
  if (seen !== size || !equalBytes(new Uint8Array(hasher.digest()), hash)) throw new PekkaError('BLOB_MISMATCH')
}

/**
 * Puts wheels together as one site folder: hard links, so that it takes no room and the files are as read-only as the
 * mount they are seen through. Where two wheels have one file, that of the first stays.
 */
export async function linkSite(wheels: readonly UnpackedWheel[], folder: string): Promise<void> {
  const places = new Map<string, string>()
  for (const { folder: from, files } of wheels)
    for (const { path } of files) if (!places.has(path)) places.set(path, join(from, path))
  const folders = new Set([...places.keys()].map(path => dirname(path)))
  await mkdir(folder, { recursive: true, mode: 0o755 })
  for (const each of folders) await mkdir(join(folder, each), { recursive: true, mode: 0o755 })
  await openFolders(folder, [...places.keys()])
  await eachOf([...places], ([path, from]) => linkFile(from, join(folder, path)))
}

/** A hard link, or a copy where the file system has none. */
export async function linkFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM') throw error
    await copyFile(from, to)
  }
}

const diskFull = (error: unknown, path: string): unknown => {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new PekkaError('DISK_FULL', { need: 0, have: 0, path }, { cause: error })
    : error
}
