import { open, readFile, rename, writeFile, type FileHandle } from 'node:fs/promises'
import { PekkaError, decodeCbor, encodeCbor, runHeaderSchema, toHex, u32, type RunHeader } from '@pekka/node/protocol'

/** Bytes of recently written frames kept in memory, so that sending them needs no read. Four acknowledgement windows. */
const CACHE_BYTES = 4 << 20

/**
 * The sealed output of one run on disk, append-only: the header, then the frames, each after its length (u32, big-endian). What
 * `append` has resolved for survives the end of this process; `sync` makes it survive the machine's.
 */
export class RunFile {
  /** Where frame i begins (its length), and where the next one will. */
  readonly #offsets: number[]
  readonly #cache = new Map<number, Uint8Array>()
  #cached = 0
  #oldestCached = 0
  #waiting: { frames: Uint8Array[]; done: () => void; failed: (error: unknown) => void }[] = []
  #writing: Promise<void> | null = null
  #count = 0
  #broken: unknown = null

  private constructor(
    private readonly handle: FileHandle,
    readonly path: string,
    readonly header: RunHeader,
    offsets: number[]
  ) {
    this.#offsets = offsets
    this.#count = offsets.length - 1
    this.#oldestCached = this.#count
  }

  /** Begins a run's file. */
  static async create(path: string, header: RunHeader): Promise<RunFile> {
    const handle = await open(path, 'wx+', 0o600)
    const bytes = encodeCbor(header)
    await handle.write(Buffer.concat([u32(bytes.length), bytes]), 0, null, 0)
    return new RunFile(handle, path, header, [4 + bytes.length])
  }

  /**
   * Opens a run's file after a restart. A frame that was being written when the process ended is cut off: it was never sent.
   * @throws PekkaError ENCODING_MALFORMED
   */
  static async open(path: string): Promise<RunFile> {
    const bytes = await readFile(path)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const headerEnd = bytes.length < 4 ? Infinity : 4 + view.getUint32(0)
    const parsed = headerEnd > bytes.length ? null : runHeaderSchema.safeParse(decodeCbor(bytes.subarray(4, headerEnd)))
    if (parsed === null || !parsed.success) throw new PekkaError('ENCODING_MALFORMED', {})
    const offsets = [headerEnd]
    for (let at = headerEnd; at + 4 <= bytes.length;) {
      at += 4 + view.getUint32(at)
      if (at > bytes.length) break
      offsets.push(at)
    }
    const handle = await open(path, 'r+')
    await handle.truncate(offsets.at(-1))
    return new RunFile(handle, path, parsed.data, offsets)
  }

  /** Frames that are on disk. */
  get count(): number {
    return this.#count
  }

  /** Bytes on disk from frame `from` on. */
  bytesFrom(from: number): number {
    return (this.#offsets[this.#count] ?? 0) - (this.#offsets[Math.min(from, this.#count)] ?? 0)
  }

  /** Size of frame `index` with its prefix. */
  sizeOf(index: number): number {
    return (this.#offsets[index + 1] ?? 0) - (this.#offsets[index] ?? 0)
  }

  /** Appends frames; resolves when they are written. Calls that come meanwhile are written together (group commit). */
  append(frames: Uint8Array[]): Promise<void> {
    if (this.#broken !== null) return Promise.reject(this.#broken)
    return new Promise((done, failed) => {
      this.#waiting.push({ frames, done, failed })
      this.#writing ??= this.#write()
    })
  }

  /** At most `maxFrames` frames from `from` on, as long as they have at most `maxBytes` together; at least one if there is one. */
  async read(from: number, maxFrames: number, maxBytes: number): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = []
    let bytes = 0
    for (let index = from; index < this.#count && frames.length < maxFrames; index++) {
      const size = this.sizeOf(index) - 4
      if (frames.length > 0 && bytes + size > maxBytes) break
      frames.push(this.#cache.get(index) ?? (await this.#readOne(index, size)))
      bytes += size
    }
    return frames
  }

  /** Everything on disk reaches the disk itself. */
  async sync(): Promise<void> {
    await this.#writing
    await this.handle.datasync()
  }

  async close(): Promise<void> {
    await this.#writing?.catch(() => {})
    await this.handle.close()
    this.#cache.clear()
  }

  /** Keeps a sealed blob beside the frames. */
  async putBlob(hash: Uint8Array, sealed: Uint8Array): Promise<void> {
    const file = this.#blobPath(hash)
    await writeFile(`${file}.new`, sealed, { mode: 0o600 })
    await rename(`${file}.new`, file)
  }

  async readBlob(hash: Uint8Array): Promise<Uint8Array> {
    return await readFile(this.#blobPath(hash))
  }

  #blobPath(hash: Uint8Array): string {
    return `${this.path}.${toHex(hash)}.blob`
  }

  async #readOne(index: number, size: number): Promise<Uint8Array> {
    const frame = new Uint8Array(size)
    const at = (this.#offsets[index] ?? 0) + 4
    const { bytesRead } = await this.handle.read(frame, 0, size, at)
    if (bytesRead !== size) throw new PekkaError('ENCODING_MALFORMED', {})
    return frame
  }

  async #write(): Promise<void> {
    // Let what is appended in this turn come along.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      const frames = group.flatMap(one => one.frames)
      let at = this.#offsets.at(-1) ?? 0
      const start = at
      const parts = frames.flatMap(frame => [u32(frame.length), frame])
      try {
        await writeAll(this.handle, parts, start)
      } catch (error) {
        // Half a group may be on disk; nothing of it counts, and nothing may come behind it.
        this.#broken = error
        for (const one of [...group, ...this.#waiting]) one.failed(error)
        this.#waiting = []
        break
      }
      for (const frame of frames) {
        at += 4 + frame.length
        this.#offsets.push(at)
        this.#keep(this.#count++, frame)
      }
      for (const one of group) one.done()
    }
    this.#writing = null
  }

  #keep(index: number, frame: Uint8Array): void {
    this.#cache.set(index, frame)
    this.#cached += frame.length
    while (this.#cached > CACHE_BYTES) {
      this.#cached -= this.#cache.get(this.#oldestCached)?.length ?? 0
      this.#cache.delete(this.#oldestCached++)
    }
  }
}

async function writeAll(handle: FileHandle, parts: Uint8Array[], position: number): Promise<void> {
  const total = parts.reduce((sum, part) => sum + part.length, 0)
  const { bytesWritten } = await handle.writev(parts, position)
  if (bytesWritten === total) return
  // A full disk writes less than it was given before it says so.
  const rest = Buffer.concat(parts).subarray(bytesWritten)
  await handle.writeFile(rest)
}
