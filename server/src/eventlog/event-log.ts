import { mkdir } from 'node:fs/promises'
import { fromUtf8, toHex, utf8 } from '@pekka/node/protocol'
import { IDLE_LOGS } from './constants.js'
import { DirectorySync } from './directory.js'
import type { LogIndex } from './index.js'
import { TaskLog, removeSegments, segmentFiles } from './task-log.js'

interface Open {
  log: Promise<TaskLog>
  users: number
}

export interface EventLogComponents {
  /** Where counts of closed logs are kept, so that a list of tasks opens none. */
  index: LogIndex
}

/** The logs of all tasks under one directory. Each is open once in this process, while somebody uses it. */
export class EventLog {
  /** By name; the ones that were used last stand last. */
  readonly #open = new Map<string, Open>()
  readonly #names: DirectorySync

  private constructor(
    private readonly components: EventLogComponents,
    private readonly directory: string
  ) {
    this.#names = new DirectorySync(directory)
  }

  static async open(components: EventLogComponents, directory: string): Promise<EventLog> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    return new EventLog(components, directory)
  }

  /** Runs `use` with the log of a task; it stays open as long. */
  async use<T>(task: Uint8Array, use: (log: TaskLog) => Promise<T> | T): Promise<T> {
    const { log, release } = await this.acquire(task)
    try {
      return await use(log)
    } finally {
      release()
    }
  }

  /** The log of a task, for who keeps it. `release` must be called once. */
  async acquire(task: Uint8Array): Promise<{ log: TaskLog; release: () => void }> {
    const name = toHex(task)
    for (;;) {
      const entry = this.#open.get(name) ?? this.#opened(name)
      // Before anything is awaited: one without users may be closed meanwhile.
      entry.users++
      this.#open.delete(name)
      this.#open.set(name, entry)
      const log = await entry.log.catch((error: unknown) => {
        entry.users--
        if (this.#open.get(name) === entry) this.#open.delete(name)
        throw error
      })
      if (log.failed === null) return { log, release: this.#releaseOf(entry) }
      // A log that failed (disk full) is read anew: what is on disk counts, not what memory says.
      entry.users--
      if (this.#open.get(name) !== entry) continue
      this.#open.delete(name)
      await log.close().catch(() => undefined)
    }
  }

  /** Entries of a task, without opening its log where the index knows. */
  async end(task: Uint8Array): Promise<number> {
    const name = toHex(task)
    const open = this.#open.get(name)
    if (open !== undefined) return (await open.log).end
    const files = await segmentFiles(this.directory, name)
    if (files.length === 0) return 0
    const known = await this.components.index.get(name)
    const bytes = files.reduce((sum, { size }) => sum + size, 0)
    if (known !== undefined) {
      const [entries, size] = fromUtf8(known).split(' ').map(Number)
      if (size === bytes && entries !== undefined) return entries
    }
    return this.use(task, log => log.end)
  }

  /** Deletes the log of a task (after retention). */
  async remove(task: Uint8Array): Promise<void> {
    const name = toHex(task)
    const open = this.#open.get(name)
    this.#open.delete(name)
    await (await open?.log)?.close()
    await removeSegments(this.directory, name)
    await this.components.index.del(name)
  }

  async close(): Promise<void> {
    const all = [...this.#open]
    this.#open.clear()
    await Promise.all(all.map(([name, { log }]) => this.#close(name, log)))
    await this.#names.close()
  }

  #opened(name: string): Open {
    const entry = { log: TaskLog.open({ directory: this.directory, names: this.#names }, name), users: 0 }
    entry.log.catch(() => undefined)
    return entry
  }

  #releaseOf(entry: Open): () => void {
    let released = false
    return () => {
      if (released) return
      released = true
      entry.users--
      void this.#closeIdle()
    }
  }

  async #closeIdle(): Promise<void> {
    const idle = [...this.#open].filter(([, entry]) => entry.users === 0)
    for (const [name, entry] of idle.slice(0, Math.max(0, idle.length - IDLE_LOGS))) {
      const log = await entry.log.catch(() => null)
      if (entry.users > 0 || this.#open.get(name) !== entry || log?.busy === true) continue
      this.#open.delete(name)
      await this.#close(name, entry.log)
    }
  }

  async #close(name: string, opened: Promise<TaskLog>): Promise<void> {
    const log = await opened.catch(() => null)
    if (log === null) return
    await log.close()
    await this.components.index.put(name, utf8(`${log.end} ${log.bytes}`))
  }
}
