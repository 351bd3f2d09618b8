import { randomBytes } from 'node:crypto'
import { Queue, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { fromHex, toHex } from '@pekka/node/protocol'
import type { Metrics } from '../metrics.js'
import { JOB_ATTEMPTS, JOB_BACKOFF_MS, LOCK_MS, QUEUE_NAME, QUEUE_PREFIX, WORKER_CONCURRENCY } from './constants.js'
import { checkRedis, connectRedis, type RedisAddress } from './redis.js'

export interface JobQueueComponents {
  /** What a job does. */
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
 * BullMQ on Redis. A job carries nothing but a task's id: what it means stands in our own table, so a lost or forged job
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

  constructor(
    private readonly components: JobQueueComponents,
    private readonly init: JobQueueInit
  ) {
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
      const worker = new Worker(
        QUEUE_NAME,
        async (job, _token, signal) => {
          const task = taskOf(job.data)
          if (task !== null) await this.components.drive(task, signal)
        },
        {
          connection: this.#connect(),
          prefix: QUEUE_PREFIX,
          concurrency: WORKER_CONCURRENCY,
          lockDuration: LOCK_MS,
          maxStalledCount: 1,
          removeOnComplete: { count: 0 },
          removeOnFail: { count: 0 }
        }
      )
      worker.on('error', error => this.#unreachable(error))
      worker.on('failed', (job, error) => {
        this.components.log.warn({ err: error, task: taskText(job?.data), tries: job?.attemptsMade }, 'a job failed')
      })
      this.#workers.push(worker)
    }
  }

  /**
   * Adds a task's job; one that is there already stays alone.
   * @returns false where Redis doesn't answer: the sweeper adds it later
   */
  async add(task: Uint8Array, why: 'submit' | 'sweep'): Promise<boolean> {
    if (!this.connected) return false
    const name = toHex(task)
    try {
      await this.#queue.add(
        'drive',
        { task: name },
        {
          jobId: `${name}-${this.#life}`,
          attempts: JOB_ATTEMPTS,
          backoff: { type: 'exponential', delay: JOB_BACKOFF_MS, jitter: 0.5 },
          removeOnComplete: true,
          removeOnFail: true
        }
      )
      this.components.metrics.queueAdds.inc({ why })
      return true
    } catch (error) {
      this.components.log.warn({ err: error, task: name }, 'a job could not be added')
      return false
    }
  }

  async stop(): Promise<void> {
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

function taskOf(data: unknown): Uint8Array | null {
  const text = taskText(data)
  return text !== null && /^[0-9a-f]{64}$/.test(text) ? fromHex(text) : null
}

const taskText = (data: unknown): string | null =>
  typeof data === 'object' && data !== null && 'task' in data && typeof data.task === 'string' ? data.task : null
