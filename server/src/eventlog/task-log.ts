import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  PekkaError,
  decodeCbor,
  equalBytes,
  type LogEntry,
  type RunHeader,
  type SignedHead
} from '@pekka/node/protocol'
import { isFull } from '../disk.js'
import { MARK_BYTES, RECORD_HEADER_BYTES, SEGMENT_BYTES, TAIL_BYTES } from './constants.js'
import type { DirectorySync } from './directory.js'
import { entryOf, rawEntry, type RawEntry } from './entry.js'
import { RunIndex, type RunState } from './runs.js'
import { Segment } from './segment.js'

interface Pending {
  entries: RawEntry[]
  done: () => void
  failed: (error: unknown) => void
}

export interface TaskLogComponents {
  /** Directory of all logs, and what makes its names durable. */
  directory: string
  names: DirectorySync
}

/**
 * The log of one task: entries numbered from 0 over all attempts and runs, append-only. Entries are written in groups and
 * told to listeners after the write; {@link sync} makes them durable. Not for two owners at once: see EventLog.
 */
export class TaskLog {
  readonly #runs = new RunIndex()
  #segments: Segment[] = []
  #marks: { n: number; segment: number; offset: number }[] = []
  /** Number that the next entry gets, and number up to which all is written. */
  #next = 0
  #written = 0
  #bytes = 0
  #tail: RawEntry[] = []
  #tailBytes = 0
  #queue: Pending[] = []
  #writing: Promise<void> | null = null
  #syncing: Promise<void> | null = null
  #synced = 0
  #named = false
  #error: PekkaError | null = null
  readonly #listeners = new Set<() => void>()

  private constructor(
    private readonly components: TaskLogComponents,
    private readonly name: string
  ) {}

  /** Opens the log of a task, whole or after a crash: a torn last record is cut off. A new task has an empty log. */
  static async open(components: TaskLogComponents, name: string): Promise<TaskLog> {
    const log = new TaskLog(components, name)
    const files = await segmentFiles(components.directory, name)
    for (const [index, { file }] of files.entries()) {
      const segment = await Segment.open(
        join(components.directory, file),
        log.#next,
        index === files.length - 1,
        (payload, offset) => {
          // What this process wrote itself, checked by its sum.
          const entry = decodeCbor(payload) as LogEntry
          log.#runs.add(entry)
          log.#mark(log.#next, index, offset)
          log.#next++
        }
      )
      log.#segments.push(segment)
      log.#bytes += segment.size
    }
    log.#written = log.#next
    log.#synced = log.#next
    // What an earlier process wrote may not have reached the disk: the first sync covers it.
    log.#named = false
    log.#segments.at(-1)?.keepOpen()
    return log
  }

  /** Entries that are written, and bytes on disk. */
  get end(): number {
    return this.#written
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whether somebody listens or something is still to be written. */
  get busy(): boolean {
    return this.#listeners.size > 0 || this.#writing !== null || this.#syncing !== null || this.#queue.length > 0
  }

  run(run: { attempt: number; run: number }): RunState | undefined {
    return this.#runs.get(run)
  }

  runs(): RunState[] {
    return this.#runs.all()
  }

  /** Called after entries were written, and when the log has {@link failed}. @returns what ends it */
  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Starts a run; a header that is there already changes nothing. One of another provider takes the run's number over: whose
   * the attempt is, the caller has asked the ledger.
   */
  async appendRun(header: RunHeader): Promise<void> {
    const known = this.#runs.get(header)
    if (known !== undefined && equalBytes(known.header.provider, header.provider)) return
    await this.#append([{ n: this.#next, kind: 'run', header }])
  }

  /**
   * Appends frames from `index` on, less those that are there already, so that a resend doubles nothing.
   * @throws PekkaError FRAME_GAP, BRIDGE_FULL
   */
  async appendFrames(run: { attempt: number; run: number }, index: number, frames: Uint8Array[]): Promise<void> {
    const state = this.#runs.get(run)
    if (state === undefined || index > state.count) throw new PekkaError('FRAME_GAP')
    const known = state.count - index
    const fresh = frames.slice(known)
    const entries = fresh.map((sealed, i): LogEntry => {
      const { attempt, run: number } = run
      return { n: this.#next + i, kind: 'frame', attempt, run: number, index: index + known + i, sealed }
    })
    if (entries.length > 0) await this.#append(entries)
  }

  /** @throws PekkaError FRAME_GAP, HEAD_MISMATCH (what was signed isn't the chain over the frames that came) */
  async appendHead(head: SignedHead): Promise<void> {
    const signed = this.#runs.get(head)?.signed
    if (signed !== null && signed !== undefined && signed.count >= head.count) return
    await this.#append([{ n: this.#next, kind: 'head', head }])
  }

  /** Entries from `from` on, at least one (if there is one), at most about `maxBytes` and `maxEntries`. */
  async read(from: number, maxBytes: number, maxEntries = Infinity): Promise<RawEntry[]> {
    return this.readTail(from, maxBytes, maxEntries) ?? (await this.#readDisk(from, maxBytes, maxEntries))
  }

  /** As {@link read}, from memory; null where it must be read from disk. */
  readTail(from: number, maxBytes: number, maxEntries = Infinity): RawEntry[] | null {
    if (from >= this.#written) return []
    const first = this.#tail[0]
    if (first === undefined || from < first.n) return null
    const page = new Page(maxBytes, maxEntries)
    for (let i = from - first.n; i < this.#tail.length; i++) {
      const entry = this.#tail[i]
      if (entry === undefined || !page.add(entry)) break
    }
    return page.entries
  }

  /** About how many bytes follow entry `n` (to within the distance of two marks). */
  bytesAfter(n: number): number {
    const mark = this.#markBefore(n)
    if (mark === undefined) return 0
    let before = mark.offset
    for (let i = 0; i < mark.segment; i++) before += this.#segments[i]?.size ?? 0
    return Math.max(0, this.#bytes - before)
  }

  /** Resolves once all that was written before the call is on the disk; callers share the system calls. */
  async sync(): Promise<void> {
    const wanted = this.#written
    while (this.#synced < wanted || !this.#named) {
      this.#syncing ??= this.#syncOnce().finally(() => (this.#syncing = null))
      await this.#syncing
    }
  }

  /** Writes what is left, makes it durable and closes the files. */
  async close(): Promise<void> {
    while (this.#writing !== null) await this.#writing
    if (this.#error === null && this.#segments.length > 0 && this.#synced < this.#written) await this.sync()
    for (const segment of this.#segments) await segment.close()
  }

  /** The error that ended this log; it must be opened anew. */
  get failed(): PekkaError | null {
    return this.#error
  }

  #append(entries: LogEntry[]): Promise<void> {
    if (this.#error !== null) return Promise.reject(this.#error)
    const raw: RawEntry[] = []
    for (const entry of entries) {
      this.#runs.add(entry)
      raw.push(rawEntry(entry))
    }
    this.#next += entries.length
    return new Promise((done, failed) => {
      this.#queue.push({ entries: raw, done, failed })
      this.#writing ??= this.#write().finally(() => (this.#writing = null))
    })
  }

  async #write(): Promise<void> {
    // One turn later, so that what arrives together is written together.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0)
      const entries = group.flatMap(pending => pending.entries)
      try {
        await this.#writeGroup(entries)
      } catch (cause) {
        this.#error = writeError(cause)
        for (const pending of [...group, ...this.#queue.splice(0)]) pending.failed(this.#error)
        for (const listener of [...this.#listeners]) listener()
        return
      }
      for (const pending of group) pending.done()
      for (const listener of [...this.#listeners]) listener()
    }
  }

  async #writeGroup(entries: RawEntry[]): Promise<void> {
    const segment = await this.#currentSegment()
    const index = this.#segments.length - 1
    const before = segment.size
    let offset = before
    await segment.append(entries.map(entry => entry.pieces))
    this.#bytes += segment.size - before
    for (const entry of entries) {
      this.#mark(entry.n, index, offset)
      offset += RECORD_HEADER_BYTES + entry.size
      this.#tail.push(entry)
      this.#tailBytes += entry.size
    }
    this.#written += entries.length
    this.#trimTail()
  }

  #trimTail(): void {
    let drop = 0
    while (this.#tailBytes > TAIL_BYTES && drop < this.#tail.length) this.#tailBytes -= this.#tail[drop++]?.size ?? 0
    if (drop > 0) this.#tail.splice(0, drop)
  }

  async #currentSegment(): Promise<Segment> {
    const last = this.#segments.at(-1)
    if (last !== undefined && last.size < SEGMENT_BYTES) return last
    if (last !== undefined) {
      await last.sync()
      await last.close()
    }
    const file = segmentFile(this.name, this.#segments.length)
    const segment = Segment.create(join(this.components.directory, file), this.#written)
    segment.keepOpen()
    this.#segments.push(segment)
    this.#named = false
    return segment
  }

  async #syncOnce(): Promise<void> {
    const covered = this.#written
    const segment = this.#segments.at(-1)
    const names = this.#named ? Promise.resolve() : this.components.names.sync()
    await Promise.all([segment?.sync(), names])
    if (segment === this.#segments.at(-1)) {
      this.#named = true
      this.#synced = Math.max(this.#synced, covered)
    }
  }

  #mark(n: number, segment: number, offset: number): void {
    const last = this.#marks.at(-1)
    if (last === undefined || last.segment !== segment || offset - last.offset >= MARK_BYTES)
      this.#marks.push({ n, segment, offset })
  }

  async #readDisk(from: number, maxBytes: number, maxEntries: number): Promise<RawEntry[]> {
    const page = new Page(maxBytes, maxEntries)
    const mark = this.#markBefore(from)
    if (mark === undefined) return page.entries
    let { n, offset } = mark
    for (let index = mark.segment; index < this.#segments.length; index++, offset = 0) {
      const segment = this.#segments[index]
      if (segment === undefined) break
      for await (const { payload } of segment.records(offset)) {
        if (n >= this.#written) return page.entries
        if (n >= from && !page.add(entryOf(n, [payload]))) return page.entries
        n++
      }
    }
    return page.entries
  }

  #markBefore(n: number) {
    let low = 0
    let high = this.#marks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#marks[middle]?.n ?? 0) <= n) low = middle
      else high = middle - 1
    }
    return this.#marks[low]
  }
}

/** Collects entries until one more would be too much; the first always fits. */
class Page {
  readonly entries: RawEntry[] = []
  #bytes = 0

  constructor(
    private readonly maxBytes: number,
    private readonly maxEntries: number
  ) {}

  add(entry: RawEntry): boolean {
    if (this.entries.length >= this.maxEntries) return false
    if (this.entries.length > 0 && this.#bytes + entry.size > this.maxBytes) return false
    this.entries.push(entry)
    this.#bytes += entry.size
    return true
  }
}

const segmentFile = (name: string, index: number): string => `${name}.${index.toString().padStart(6, '0')}.log`

/** Files of a task's log in order, with their sizes. */
export async function segmentFiles(directory: string, name: string): Promise<{ file: string; size: number }[]> {
  const files: { file: string; size: number }[] = []
  for (;;) {
    const file = segmentFile(name, files.length)
    try {
      files.push({ file, size: (await stat(join(directory, file))).size })
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return files
      throw error
    }
  }
}

export async function removeSegments(directory: string, name: string): Promise<void> {
  // The last first, so that a crash in between leaves no gap.
  for (const { file } of (await segmentFiles(directory, name)).reverse())
    await rm(join(directory, file), { force: true })
}

function writeError(cause: unknown): PekkaError {
  if (isFull(cause)) return new PekkaError('BRIDGE_FULL', {}, { cause })
  return new PekkaError('INTERNAL', { id: 'log-write' }, { cause })
}
