import { randomBytes } from 'node:crypto'
import { Queue, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import PQueue from 'p-queue'
import type { Logger } from 'pino'
import { fromHex, toHex } from '@pekka/node/protocol'
import type { Metrics } from '../metrics.js'
import {
  ADD_SPACING_MS,
  JOB_ATTEMPTS,
  JOB_BACKOFF_MS,
  LOCK_MS,
  MAX_TASKS_PER_JOB,
  QUEUE_NAME,
  QUEUE_PREFIX,
  WORKER_CONCURRENCY
} from './constants.js'
import { checkRedis, connectRedis, type RedisAddress } from './redis.js'

export interface JobQueueComponents {
  /** What a job does for each of its tasks; twice for one does no harm. */
  drive: (task: Uint8Array, signal?: AbortSignal) => Promise<void>
  metrics: Metrics
  log: Logger
}

export interface JobQueueInit {
  redis: RedisAddress
  /** Workers in this process; 0 where others work. */
  workers: number
}

/**
 * BullMQ on Redis. A job carries nothing but ids of tasks: what it means stands in our own table, so a lost or forged job
 * loses or does nothing.
 */
export class JobQueue {
  /** Ids of jobs differ between lives of a bridge, so that one never waits for the locks of its own dead predecessor. */
  readonly #life = randomBytes(4).toString('hex')
  readonly #connections: Redis[] = []
  readonly #adding: Redis
  readonly #queue: Queue
  #workers: Worker[] = []
  readonly #listeners = new Set<() => void>()
  /** Tasks whose job is still to be added, and when the last one was. */
  readonly #coming: { task: string; resolve: (added: boolean) => void }[] = []
  #addedAt = -Infinity
  /** Shared jobs of this life. */
  #shared = 0
  #timer: NodeJS.Timeout | null = null
  /** Jobs hold several tasks: what is bounded is the tasks. */
  readonly #driving: PQueue
  readonly #stopping = new AbortController()

  constructor(
    private readonly components: JobQueueComponents,
    private readonly init: JobQueueInit
  ) {
    this.#driving = new PQueue({ concurrency: WORKER_CONCURRENCY * Math.max(1, init.workers) })
    this.#adding = this.#connect()
    this.#adding.on('ready', () => {
      for (const listener of this.#listeners) listener()
    })
    this.#queue = new Queue(QUEUE_NAME, { connection: this.#adding, prefix: QUEUE_PREFIX, skipWaitingForReady: true })
    this.#queue.on('error', error => this.#unreachable(error))
  }

  get connected(): boolean {
    return this.#adding.status === 'ready'
  }

  /** Redis is (back) there; it may have forgotten everything. */
  onReady(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** @throws PekkaError USAGE for a Redis that is open to everybody */
  async start(): Promise<void> {
    await checkRedis(this.#adding, this.init.redis, this.components.log)
    for (let i = 0; i < this.init.workers; i++) {
      const worker = new Worker(QUEUE_NAME, async (job, _token, signal) => this.#work(tasksOf(job.data), signal), {
        connection: this.#connect(),
        prefix: QUEUE_PREFIX,
        concurrency: WORKER_CONCURRENCY,
        lockDuration: LOCK_MS,
        maxStalledCount: 1,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 }
      })
      worker.on('error', error => this.#unreachable(error))
      worker.on('failed', (job, error) => {
        this.components.log.warn(
          { err: error, tasks: tasksOf(job?.data).map(toHex), tries: job?.attemptsMade },
          'a job failed'
        )
      })
      this.#workers.push(worker)
    }
  }

  /**
   * Has a job for the task added, soon, together with others that come now.
   * @returns false where Redis doesn't answer: the sweeper adds it later
   */
  add(task: Uint8Array): Promise<boolean> {
    if (!this.connected) return Promise.resolve(false)
    return new Promise(resolve => {
      this.#coming.push({ task: toHex(task), resolve })
      if (this.#coming.length >= MAX_TASKS_PER_JOB) return this.#addComing()
      const wait = this.#addedAt + ADD_SPACING_MS - performance.now()
      if (wait <= 0) this.#addComing()
      else this.#timer ??= setTimeout(() => this.#addComing(), wait)
    })
  }

  /**
   * Adds a job of its own for a task that may have lost its job; one that was added so before and is there still stays alone.
   * @returns false where Redis doesn't answer
   */
  addAgain(task: Uint8Array): Promise<boolean> {
    return this.#add([toHex(task)], 'sweep')
  }

  #addComing(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#addedAt = performance.now()
    const coming = this.#coming.splice(0)
    if (coming.length === 0) return
    const tasks = coming.map(({ task }) => task)
    void this.#add(tasks, 'submit').then(added => {
      for (const { resolve } of coming) resolve(added)
    })
  }

  async #add(tasks: string[], why: 'submit' | 'sweep'): Promise<boolean> {
    if (!this.connected) return false
    try {
      await this.#queue.add(
        'drive',
        { tasks },
        {
          // One task's job is found again by its id. A shared one's tasks may come again in other company, and must not be taken for it.
          jobId: tasks.length === 1 ? `${tasks[0]}-${this.#life}` : `${tasks[0]}-${this.#life}-${++this.#shared}`,
          attempts: JOB_ATTEMPTS,
          backoff: { type: 'exponential', delay: JOB_BACKOFF_MS, jitter: 0.5 },
          removeOnComplete: true,
          removeOnFail: true
        }
      )
      this.components.metrics.queueAdds.inc({ why }, tasks.length)
      return true
    } catch (error) {
      this.components.log.warn({ err: error, tasks }, 'a job could not be added')
      return false
    }
  }

  /** All of them, whatever happens to one; then the job is tried again, and those that are done have nothing to do. */
  async #work(tasks: Uint8Array[], signal?: AbortSignal): Promise<void> {
    const { drive } = this.components
    const results = await Promise.allSettled(
      tasks.map(task =>
        this.#driving.add(() => {
          // Who stops waits for what is under way, and not for all that would come after it.
          this.#stopping.signal.throwIfAborted()
          return drive(task, signal)
        })
      )
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    // What waits for its job is on the disk, and the next life begins with adding what has none.
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const { resolve } of this.#coming.splice(0)) resolve(false)
    await Promise.all(this.#workers.map(worker => worker.close(!this.connected)))
    await this.#queue.close().catch(() => undefined)
    for (const connection of this.#connections) connection.disconnect()
  }

  #connect(): Redis {
    const connection = connectRedis(this.init.redis)
    connection.on('error', error => this.#unreachable(error))
    this.#connections.push(connection)
    return connection
  }

  #lastComplaint = 0

  /** Said once in a while, not for each of the tries a second. */
  #unreachable(error: Error): void {
    const now = performance.now()
    if (now - this.#lastComplaint < 10_000 && this.#lastComplaint !== 0) return
    this.#lastComplaint = now
    this.components.log.warn({ err: error }, 'Redis does not answer')
  }
}

/** Whoever can write to Redis can have written it (I6): at most as many ids as ours hold, and nothing else. */
function tasksOf(data: unknown): Uint8Array[] {
  if (typeof data !== 'object' || data === null || !('tasks' in data) || !Array.isArray(data.tasks)) return []
  const names: unknown[] = data.tasks.slice(0, MAX_TASKS_PER_JOB)
  return names.flatMap(name => (typeof name === 'string' && /^[0-9a-f]{64}$/.test(name) ? [fromHex(name)] : []))
}
