import { statfs } from 'node:fs/promises'
import type { Logger } from 'pino'
import { PekkaError } from '@pekka/node/protocol'
import type { Metrics } from './metrics.js'

/** How often free space is looked at, ms: less than the fastest link fills of the smallest step between two uses. */
const LOOK_MS = 1_000

/**
 * After a write failed for want of space, free space isn't believed for so long, ms: a quota doesn't show in it, so trying is the
 * only way to find out.
 */
const DISTRUST_MS = 5_000

/**
 * What disk space is used for, and which share of the reserve must be free for it: new work stops first, then output of what
 * runs (providers keep it), at last the table of tasks. So that the table, which a failed write would break, never meets a full
 * disk that we filled ourselves.
 */
const SHARES = { intake: 1, output: 1 / 2, table: 1 / 4 } as const
export type DiskUse = keyof typeof SHARES

export interface DiskSpaceComponents {
  metrics: Metrics
  log: Logger
}

export interface DiskSpaceInit {
  /** A directory on the disk. */
  path: string
  /** Bytes that stay free. */
  reserve: number
}

/** Knows how much room the bridge's disk has, so that it stops taking what it couldn't keep. */
export class DiskSpace {
  #free = Infinity
  #looking: Promise<void> | null = null
  #distrustedUntil = 0
  #timer: NodeJS.Timeout | null = null
  readonly #waiting = new Set<() => void>()

  constructor(
    private readonly components: DiskSpaceComponents,
    private readonly init: DiskSpaceInit
  ) {}

  /** Looks, and goes on looking. @throws PekkaError DISK_FULL where not even the table could be written */
  async start(): Promise<void> {
    await this.look()
    const { path, reserve } = this.init
    if (!this.has('table'))
      throw new PekkaError('DISK_FULL', { need: Math.ceil(reserve * SHARES.table), have: this.#free, path })
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  /** Looks now; with others who do so at the same moment. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = null))
    return this.#looking
  }

  async #look(): Promise<void> {
    const had = this.has('intake')
    try {
      const { bavail, bsize } = await statfs(this.init.path)
      this.#free = bavail * bsize
    } catch (error) {
      this.components.log.warn({ err: error }, 'free disk space cannot be read')
      return
    }
    this.components.metrics.diskFree.set(this.#free)
    const facts = { free: this.#free, reserve: this.init.reserve }
    if (had && !this.has('intake')) this.components.log.warn(facts, 'the disk is full: no new tasks are taken')
    if (!had && this.has('intake')) this.components.log.info(facts, 'the disk has room again')
    if (!this.has('output')) return
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  has(use: DiskUse): boolean {
    if (use !== 'table' && this.#distrustedUntil > performance.now()) return false
    return this.#free >= this.init.reserve * SHARES[use]
  }

  /** Looks, since what another process wrote a moment ago counts too. @throws PekkaError BRIDGE_FULL */
  async require(use: DiskUse): Promise<void> {
    await this.look()
    if (!this.has(use)) throw new PekkaError('BRIDGE_FULL')
  }

  /** A write failed for want of space, whatever was read before. */
  ranOut(): void {
    if (this.#distrustedUntil <= performance.now())
      this.components.log.warn({ free: this.#free }, 'a write found the disk full')
    this.#distrustedUntil = performance.now() + DISTRUST_MS
  }

  /** Calls back once, when there is room for output. @returns what takes it back */
  onRoom(listener: () => void): () => void {
    this.#waiting.add(listener)
    return () => this.#waiting.delete(listener)
  }
}

/** Whether an error of the file system says that there is no room. */
export const isFull = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
