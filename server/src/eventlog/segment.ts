import { open, type FileHandle } from 'node:fs/promises'
import { PAGE_BYTES, RECORD_HEADER_BYTES, WRITE_BATCH } from './constants.js'
import { readRecord, recordHeader } from './record.js'

/** One file of a log: records that are appended, read by position and, after a crash, cut back to the last whole one. */
export class Segment {
  /** Bytes that are written. */
  size = 0
  #handle: FileHandle | null = null
  #used = 0

  private constructor(
    readonly path: string,
    /** Number of the first entry in it. */
    readonly first: number
  ) {}

  /**
   * Reads all records. Bytes after the last whole record are a torn write and are cut off if `repair` is set (the log's
   * last file); else they are damage.
   */
  static async open(
    path: string,
    first: number,
    repair: boolean,
    visit: (payload: Uint8Array, offset: number) => void
  ): Promise<Segment> {
    const segment = new Segment(path, first)
    const handle = await segment.#acquire()
    try {
      const { size } = await handle.stat()
      segment.size = size
      let offset = 0
      for await (const record of segment.records(0)) {
        visit(record.payload, record.offset)
        offset = record.offset + RECORD_HEADER_BYTES + record.payload.length
      }
      if (offset < size) {
        if (!repair) throw new Error(`the log ${path} is damaged at ${offset}`)
        await handle.truncate(offset)
        await handle.datasync()
        segment.size = offset
      }
    } finally {
      await segment.#release()
    }
    return segment
  }

  static create(path: string, first: number): Segment {
    return new Segment(path, first)
  }

  /** Appends records, each of the pieces of its payload, with as few system calls as their number allows. */
  async append(payloads: Uint8Array[][]): Promise<void> {
    const handle = await this.#acquire()
    try {
      const pieces = payloads.flatMap(payload => [recordHeader(payload), ...payload])
      for (let at = 0; at < pieces.length; at += WRITE_BATCH) {
        const batch = pieces.slice(at, at + WRITE_BATCH)
        const wanted = batch.reduce((sum, piece) => sum + piece.length, 0)
        const { bytesWritten } = await handle.writev(batch)
        // A short write is what a full disk looks like; the repair at the next opening cuts it off.
        if (bytesWritten !== wanted) throw Object.assign(new Error('short write'), { code: 'ENOSPC' })
        this.size += bytesWritten
      }
    } finally {
      await this.#release()
    }
  }

  async sync(): Promise<void> {
    const handle = await this.#acquire()
    try {
      await handle.datasync()
    } finally {
      await this.#release()
    }
  }

  /** Whole records from `offset` (a record's start) to what was written when it is called. Payloads are the caller's. */
  async *records(offset: number): AsyncGenerator<{ payload: Uint8Array; offset: number }> {
    const handle = await this.#acquire()
    const end = this.size
    try {
      let at = offset
      while (at < end) {
        const chunk = Buffer.allocUnsafeSlow(Math.min(PAGE_BYTES, end - at))
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, at)
        const bytes = chunk.subarray(0, bytesRead)
        let used = 0
        for (;;) {
          const payload = readRecord(bytes, used)
          if (payload === 'damaged') return
          if (payload === null) break
          yield { payload, offset: at + used }
          used += RECORD_HEADER_BYTES + payload.length
        }
        if (used === 0) return
        at += used
      }
    } finally {
      await this.#release()
    }
  }

  /** Closes the file when nobody is using it; it opens again by itself. */
  async close(): Promise<void> {
    this.#keep = false
    if (this.#used === 0) await this.#shut()
  }

  /** Keeps the file open between uses (the log's last one). */
  keepOpen(): void {
    this.#keep = true
  }

  #keep = false
  #opening: Promise<FileHandle> | null = null

  async #acquire(): Promise<FileHandle> {
    this.#used++
    try {
      if (this.#handle !== null) return this.#handle
      this.#opening ??= open(this.path, 'a+', 0o600)
      this.#handle = await this.#opening
      this.#opening = null
      return this.#handle
    } catch (error) {
      this.#used--
      this.#opening = null
      throw error
    }
  }

  async #release(): Promise<void> {
    this.#used--
    if (this.#used === 0 && !this.#keep) await this.#shut()
  }

  async #shut(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    await handle?.close()
  }
}
