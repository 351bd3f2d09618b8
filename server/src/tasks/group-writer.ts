import { PekkaError } from '@pekka/node/protocol'

export type WriteOperation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

/** What takes a batch: `level`. */
export interface BatchTarget {
  batch(operations: WriteOperation[], options: { sync: boolean }): Promise<void>
}

/** Says whether there is room on the disk, and looks anew. */
export interface Room {
  has(): boolean
  look(): Promise<void>
}

/**
 * How long a change that nobody waits for may stay in memory, ms. A short task changes its record four times within some
 * 20 ms; this way it is written once or twice.
 */
const LAZY_MS = 50

/** How often changes that nobody waits for look for room on a full disk, ms. */
const FULL_MS = 1_000

/**
 * Writes many small changes as few batches: what comes while one is written goes into the next, a later change of a key
 * replaces an earlier one, and a batch is forced to the disk once for all in it that asked. Readers {@link peek} first.
 */
export class GroupWriter {
  #pending = new Map<string, WriteOperation>()
  #underWay = new Map<string, WriteOperation>()
  #next: Promise<void> | null = null
  #running: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null

  /**
   * @param failed told when a batch could not be written: the target is no longer to be trusted
   * @param room whether the disk has room; without it nothing is written, and {@link writeLazily} waits
   */
  constructor(
    private readonly target: BatchTarget,
    private readonly failed: (error: unknown) => void = () => undefined,
    private readonly room: Room = { has: () => true, look: () => Promise.resolve() }
  ) {}

  /**
   * Resolves when the changes are on the disk. Changes of one call are written together or not at all.
   * @throws PekkaError INTERNAL, BRIDGE_FULL (then nothing of it is or will be written)
   */
  write(operations: WriteOperation[]): Promise<void> {
    if (!this.room.has()) return Promise.reject(new PekkaError('BRIDGE_FULL'))
    for (const operation of operations) this.#pending.set(operation.key, operation)
    return this.#flushSoon(true)
  }

  /** Writes the changes some time soon; a crash may lose them, in the order in which they came or later ones only. */
  writeLazily(operations: WriteOperation[]): void {
    for (const operation of operations) this.#pending.set(operation.key, operation)
    this.#timer ??= setTimeout(() => void this.#flushLazily(), LAZY_MS)
  }

  async #flushLazily(): Promise<void> {
    this.#timer = null
    await this.room.look()
    if (this.#pending.size === 0) return
    if (this.room.has()) void this.#flushSoon(false).catch(() => undefined)
    else this.#timer ??= setTimeout(() => void this.#flushLazily(), FULL_MS).unref()
  }

  /** The change of a key that isn't written yet: what a reader must see instead of the table's. */
  peek(key: string): WriteOperation | undefined {
    return this.#pending.get(key) ?? this.#underWay.get(key)
  }

  /** Resolves once all that was given is written; on a full disk, once nothing is under way. */
  async settled(): Promise<void> {
    if (this.#pending.size > 0 && this.room.has()) await this.#flushSoon(false)
    await this.#running
  }

  #flushSoon(sync: boolean): Promise<void> {
    if (sync) this.#sync = true
    if (this.#next !== null) return this.#next
    const next = this.#running.then(() => this.#flush())
    this.#next = next
    this.#running = next.catch(() => undefined)
    return next
  }

  #sync = false

  async #flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#underWay = this.#pending
    this.#pending = new Map()
    const sync = this.#sync
    this.#sync = false
    this.#next = null
    try {
      await this.target.batch([...this.#underWay.values()], { sync })
    } catch (cause) {
      this.failed(cause)
      throw new PekkaError('INTERNAL', { id: 'table-write' }, { cause })
    } finally {
      this.#underWay = new Map()
    }
  }
}
