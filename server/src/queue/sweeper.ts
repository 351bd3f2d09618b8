import type { Logger } from 'pino'
import { fromHex, type Clock, type LedgerAccess } from '@pekka/node/protocol'
import type { DiskSpace } from '../disk.js'
import type { BlobStore, EventLog } from '../eventlog/index.js'
import type { LedgerMirror } from '../ledger/index.js'
import type { Metrics } from '../metrics.js'
import type { BlobRefs, TaskRecord, TaskStore } from '../tasks/index.js'
import { ORPHAN_BLOB_MS, SWEEP_BATCH, SWEEP_MS, SWEEP_PATIENCE_MS } from './constants.js'
import { mayHaveMoved, type TaskDriver } from './driver.js'
import type { JobQueue } from './job-queue.js'

export interface SweeperComponents {
  store: TaskStore
  refs: BlobRefs
  queue: JobQueue
  driver: TaskDriver
  ledger: LedgerAccess
  mirror: LedgerMirror
  logs: EventLog
  blobs: BlobStore
  disk: Pick<DiskSpace, 'look'>
  clock: Clock
  metrics: Metrics
  log: Logger
}

export interface SweeperInit {
  /** How often it looks, ms. */
  interval?: number
  /** How long an ended task stays, ms, and how long the ledger takes to close one (W of PROTOCOL §9): the longer one counts. */
  retention: number
  contestMs: number
}

/**
 * Compares what is off the ledger with our table, so that nothing a crash swallowed stays behind: tasks without a job get
 * one, views that must have moved are read again, and what has been kept long enough is deleted.
 */
export class Sweeper {
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> | null = null

  constructor(
    private readonly components: SweeperComponents,
    private readonly init: SweeperInit
  ) {}

  start(): void {
    this.#timer = setInterval(() => void this.sweep(), this.init.interval ?? SWEEP_MS)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#running
  }

  /** Looks now; one look at a time. */
  sweep(): Promise<void> {
    this.#running ??= this.#sweep()
      .catch(error => this.components.log.warn({ err: error }, 'the sweeper was interrupted'))
      .finally(() => (this.#running = null))
    return this.#running
  }

  async #sweep(): Promise<void> {
    const { store, mirror } = this.components
    const open = store.open()
    this.components.metrics.tasksOpen.set(open.length)
    await this.addMissing(SWEEP_PATIENCE_MS)
    if (mirror.connected) {
      for (const record of open) {
        if (record.view === null || !mayHaveMoved(record.view, mirror.now.contractTime)) continue
        const view = await this.components.ledger.task(record.task)
        if (view !== null) await this.components.driver.see(view)
      }
    }
    const now = this.components.clock.now()
    const keep = Math.max(this.init.retention, this.init.contestMs)
    // What it lets go of is written, too.
    await this.components.disk.look()
    for (const record of await store.endedBefore(now - keep, SWEEP_BATCH))
      if (await this.#isClosed(record)) await this.#remove(record)
    for await (const { owner, hash } of this.components.blobs.all(now - ORPHAN_BLOB_MS)) {
      if (await this.components.refs.used(owner, hash)) continue
      await this.components.blobs.remove(fromHex(owner), fromHex(hash))
    }
  }

  /** Gives every task that still waits for the ledger a job; those that have one of their own keep it. */
  async addMissing(patience: number): Promise<void> {
    const before = this.components.clock.now() - patience
    for (const record of this.components.store.open()) {
      if (record.bridge !== 'queued' || record.submittedAt > before) continue
      if (!(await this.components.queue.addAgain(record.task))) return
    }
  }

  /** Until then a contest may need what is here (R8), however long the ledger stood still. */
  async #isClosed({ task, view }: TaskRecord): Promise<boolean> {
    if (view === null || view.state === 'closed') return true
    const now = await this.components.ledger.task(task)
    if (now !== null) await this.components.driver.see(now)
    return now === null || now.state === 'closed'
  }

  async #remove(record: TaskRecord): Promise<void> {
    await this.components.logs.remove(record.task)
    for (const hash of await this.components.refs.release(record.account, record.task))
      await this.components.blobs.remove(record.account, hash)
    await this.components.store.remove(record)
  }
}
