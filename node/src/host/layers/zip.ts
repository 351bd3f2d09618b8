import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { Transform, type Readable } from 'node:stream'
import { promisify } from 'node:util'
import { createInflateRaw, crc32, inflateRaw } from 'node:zlib'

/** A zip archive of somebody we don't trust. Read by its central directory; what doesn't agree with it is refused. */

const END_OF_DIRECTORY = 0x06054b50
const DIRECTORY_ENTRY = 0x02014b50
const LOCAL_HEADER = 0x04034b50
const END_BYTES = 22
const LONGEST_COMMENT = 0xffff
const LOCAL_BYTES = 30
const ENTRY_BYTES = 46
/** Directories above this are an attack: 50,000 entries of 200 bytes have 10 MB. */
const MAX_DIRECTORY_BYTES = 32 << 20

const inflate = promisify(inflateRaw)

/** Something is wrong with an archive; the words are for people. */
export class ArchiveError extends Error {}

export interface ZipEntry {
  path: string
  /** Bytes when unpacked. */
  size: number
  executable: boolean
}

interface Stored extends ZipEntry {
  method: number
  crc: number
  compressed: number
  header: number
  start: number
}

export interface ZipLimits {
  files: number
  bytes: number
}

export class ZipArchive {
  readonly #stored: ReadonlyMap<string, Stored>

  private constructor(
    private readonly file: FileHandle,
    stored: Stored[]
  ) {
    this.#stored = new Map(stored.map(entry => [entry.path, entry]))
  }

  /** @throws ArchiveError */
  static async open(file: FileHandle, limits: ZipLimits): Promise<ZipArchive> {
    const { size } = await file.stat()
    const end = await findEnd(file, size)
    const directory = await readAt(file, end.offset, end.bytes)
    const stored = readDirectory(directory, end.count, limits)
    await placeEntries(file, stored, end.offset)
    return new ZipArchive(file, stored)
  }

  entries(): ZipEntry[] {
    return [...this.#stored.values()]
  }

  /** An entry's bytes, checked. @throws ArchiveError */
  async read(path: string, hash?: Hash): Promise<Buffer> {
    const entry = this.#entry(path)
    const raw = await readAt(this.file, entry.start, entry.compressed)
    let bytes = raw
    if (entry.method === 8) {
      bytes = await inflate(raw, { maxOutputLength: Math.max(1, entry.size) }).catch(() => {
        throw new ArchiveError(`${path} can't be unpacked`)
      })
    }
    if (bytes.length !== entry.size || crc32(bytes) !== entry.crc)
      throw new ArchiveError(`${path} is not what the list says`)
    hash?.update(bytes)
    return bytes
  }

  /** An entry as a stream that fails where it is not what the directory says. */
  stream(path: string, hash: Hash = createHash('sha256')): Readable {
    const entry = this.#entry(path)
    const end = entry.start + entry.compressed - 1
    const raw = this.file.createReadStream({ start: entry.start, end, autoClose: false, highWaterMark: 1 << 18 })
    let seen = 0
    let crc = 0
    const check = new Transform({
      transform(chunk: Buffer, _, done) {
        seen += chunk.length
        if (seen > entry.size) return done(new ArchiveError(`${path} is larger than the list says`))
        crc = crc32(chunk, crc)
        hash.update(chunk)
        done(null, chunk)
      },
      flush(done) {
        done(seen === entry.size && crc === entry.crc ? null : new ArchiveError(`${path} is not what the list says`))
      }
    })
    const inflated = entry.method === 8 ? raw.pipe(createInflateRaw()) : raw
    const fail = (): void => void check.destroy(new ArchiveError(`${path} can't be unpacked`))
    raw.on('error', fail)
    inflated.on('error', fail)
    return inflated.pipe(check)
  }

  #entry(path: string): Stored {
    const entry = this.#stored.get(path)
    if (entry === undefined) throw new ArchiveError(`${path} is missing`)
    return entry
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  let at = 0
  while (at < length) {
    const { bytesRead } = await file.read(buffer, at, length - at, position + at)
    if (bytesRead === 0) throw new ArchiveError('it is cut off')
    at += bytesRead
  }
  return buffer
}

async function findEnd(file: FileHandle, size: number): Promise<{ offset: number; bytes: number; count: number }> {
  if (size < END_BYTES) throw new ArchiveError('it is no zip archive')
  const length = Math.min(size, END_BYTES + LONGEST_COMMENT)
  const tail = await readAt(file, size - length, length)
  for (let at = length - END_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== END_OF_DIRECTORY || tail.readUInt16LE(at + 20) !== length - END_BYTES - at) continue
    const count = tail.readUInt16LE(at + 10)
    const bytes = tail.readUInt32LE(at + 12)
    const offset = tail.readUInt32LE(at + 16)
    if (count === 0xffff || offset === 0xffffffff) throw new ArchiveError('it is a zip64 archive')
    if (tail.readUInt32LE(at + 4) !== 0 || tail.readUInt16LE(at + 8) !== count)
      throw new ArchiveError('it is a part of an archive')
    // Nothing between directory and end, nothing before the beginning: one way to read it.
    if (offset + bytes !== size - length + at || bytes > MAX_DIRECTORY_BYTES)
      throw new ArchiveError('its directory is not where it should be')
    return { offset, bytes, count }
  }
  throw new ArchiveError('it is no zip archive')
}

function readDirectory(directory: Buffer, count: number, limits: ZipLimits): Stored[] {
  if (count > limits.files) throw new ArchiveError(`it has more than ${limits.files} files`)
  const entries: Stored[] = []
  let at = 0
  let bytes = 0
  for (let i = 0; i < count; i++) {
    if (at + ENTRY_BYTES > directory.length || directory.readUInt32LE(at) !== DIRECTORY_ENTRY)
      throw new ArchiveError('its directory is damaged')
    const nameBytes = directory.readUInt16LE(at + 28)
    const next = at + ENTRY_BYTES + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
    if (next > directory.length) throw new ArchiveError('its directory is damaged')
    const name = nameOf(directory.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes))
    const entry = {
      path: name,
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      compressed: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      header: directory.readUInt32LE(at + 42),
      executable: false,
      start: 0
    }
    if ((directory.readUInt16LE(at + 8) & 1) !== 0) throw new ArchiveError(`${name} is encrypted`)
    // Made on Unix: the mode of the file, which must be a plain one.
    const mode = directory[at + 5] === 3 ? directory.readUInt32LE(at + 38) >>> 16 : 0
    const kind = mode & 0o170000
    if (kind !== 0 && kind !== 0o100000 && kind !== 0o040000) throw new ArchiveError(`${name} is a link or a device`)
    at = next
    bytes += entry.size
    if (bytes > limits.bytes) throw new ArchiveError(`it unpacks to more than ${limits.bytes} bytes`)
    if (name.endsWith('/')) {
      if (entry.size > 0) throw new ArchiveError(`${name} is a folder with content`)
      checkPath(name.slice(0, -1))
      continue
    }
    checkPath(name)
    if (entry.method !== 0 && entry.method !== 8) throw new ArchiveError(`${name} is packed in an unusual way`)
    if (entry.method === 0 && entry.size !== entry.compressed) throw new ArchiveError(`${name} has two sizes`)
    entries.push({ ...entry, executable: (mode & 0o111) !== 0 })
  }
  if (at !== directory.length) throw new ArchiveError('its directory is damaged')
  refuseClashes(entries)
  return entries
}

function nameOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ArchiveError('a name is no text')
  }
}

/** A place inside the folder that it is unpacked into, on every system. */
function checkPath(path: string): void {
  const segments = path.split('/')
  const unsafe = /[\u0000-\u001f\u007f\\:]/.test(path)
  const outside = segments.some(name => name === '' || name === '.' || name === '..' || Buffer.byteLength(name) > 255)
  if (unsafe || outside || path.length > 1024 || segments.length > 32)
    throw new ArchiveError(`${JSON.stringify(path.slice(0, 100))} is no place for a file`)
}

function refuseClashes(entries: readonly Stored[]): void {
  const files = new Set(entries.map(({ path }) => path))
  if (files.size !== entries.length) throw new ArchiveError('two files have one name')
  for (const path of files) {
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1))
      if (files.has(path.slice(0, at))) throw new ArchiveError(`${path.slice(0, at)} is a file and a folder`)
  }
}

/** Finds each entry's bytes by its local header, which must agree; no two entries share bytes. */
async function placeEntries(file: FileHandle, entries: readonly Stored[], end: number): Promise<void> {
  const ordered = [...entries].sort((a, b) => a.header - b.header)
  let free = 0
  for (const entry of ordered) {
    if (entry.header < free || entry.header + LOCAL_BYTES > end) throw new ArchiveError('its entries overlap')
    const header = await readAt(file, entry.header, LOCAL_BYTES)
    if (header.readUInt32LE(0) !== LOCAL_HEADER || header.readUInt16LE(8) !== entry.method)
      throw new ArchiveError(`${entry.path} is not where the list says`)
    const nameBytes = header.readUInt16LE(26)
    const name = await readAt(file, entry.header + LOCAL_BYTES, nameBytes)
    if (name.toString('utf8') !== entry.path) throw new ArchiveError(`${entry.path} has two names`)
    entry.start = entry.header + LOCAL_BYTES + nameBytes + header.readUInt16LE(28)
    free = entry.start + entry.compressed
    if (free > end) throw new ArchiveError('its entries overlap')
  }
}
