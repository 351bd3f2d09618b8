import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { toHex } from '@pekka/node/protocol'
import { createMetrics } from '../../src/metrics.js'
import {
  ADD_SPACING_MS,
  MAX_TASKS_PER_JOB,
  QUEUE_NAME,
  QUEUE_PREFIX,
  WORKER_CONCURRENCY
} from '../../src/queue/constants.js'
import { JobQueue } from '../../src/queue/index.js'
import { TestRedis } from '../support/redis.js'
import { until } from '../support/world.js'

describe('jobs of tasks', function () {
  this.timeout(30_000)
  let folder: string
  let redis: TestRedis
  let connection: Redis
  let looking: Queue
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-jobs-'))
    redis = new TestRedis(folder)
    await redis.start()
    connection = new Redis(redis.path, { maxRetriesPerRequest: null })
    looking = new Queue(QUEUE_NAME, { connection, prefix: QUEUE_PREFIX })
  })
  after(async () => {
    await looking.close()
    connection.disconnect()
    await redis.kill()
    await rm(folder, { recursive: true, force: true })
  })

  afterEach(() => looking.obliterate({ force: true }))

  const started = async (workers: number, drive: (task: Uint8Array) => Promise<void>): Promise<JobQueue> => {
    const components = { drive, metrics: createMetrics(), log: pino({ level: 'silent' }) }
    const queue = new JobQueue(components, { redis: { path: redis.path }, workers })
    await queue.start()
    return queue
  }

  it('are shared by what comes together, as many as a job may hold, and lose none', async () => {
    const queue = await started(0, async () => undefined)
    const tasks = Array.from({ length: 2 * MAX_TASKS_PER_JOB }, () => new Uint8Array(randomBytes(32)))
    const added = await Promise.all(tasks.map(task => queue.add(task)))
    await queue.stop()
    assert.ok(added.every(Boolean))
    const jobs = (await looking.getWaiting(0, 1_000)).map(({ data }: { data: { tasks: string[] } }) => data.tasks)
    // By count where they come at once; a machine that stands still in between may add a few more.
    assert.ok(jobs.length < tasks.length / 4, `${jobs.length} jobs`)
    assert.ok(jobs.every(({ length }) => length <= MAX_TASKS_PER_JOB))
    assert.deepEqual(jobs.flat().sort(), tasks.map(toHex).sort())
  })

  it('are made for a task that comes again in other company while its first job waits', async () => {
    const queue = await started(0, async () => undefined)
    const [alone, again, first, second] = Array.from({ length: 4 }, () => new Uint8Array(randomBytes(32)))
    assert.ok(alone && again && first && second)
    await Promise.all([alone, again, first].map(task => queue.add(task)))
    // After a pause the first to come has a job of its own, and the others share one.
    await new Promise(resolve => setTimeout(resolve, 2 * ADD_SPACING_MS))
    await Promise.all([alone, again, second].map(task => queue.add(task)))
    await queue.stop()
    const jobs = (await looking.getWaiting(0, 100)).flatMap(({ data }: { data: { tasks: string[] } }) => data.tasks)
    assert.deepEqual(new Set(jobs), new Set([alone, again, first, second].map(toHex)))
  })

  it('are worked off whole: one task that fails keeps no other from its turn, and is tried again', async () => {
    const driven = new Map<string, number>()
    const [first, broken, ...rest] = Array.from({ length: 6 }, () => new Uint8Array(randomBytes(32)))
    assert.ok(first && broken)
    const queue = await started(1, async task => {
      const times = (driven.get(toHex(task)) ?? 0) + 1
      driven.set(toHex(task), times)
      if (toHex(task) === toHex(broken) && times < 3) throw new Error('not yet')
    })
    // The first one comes after a pause and has a job of its own; all others share one.
    for (const task of [first, broken, ...rest]) void queue.add(task)
    await until('all are driven', () => (driven.get(toHex(broken)) ?? 0) === 3 && driven.size === rest.length + 2)
    for (const task of rest) assert.equal(driven.get(toHex(task)), 3, 'they are tried again with it')
    await until('no job is left', async () => (await looking.getJobCountByTypes('waiting', 'active', 'delayed')) === 0)
    await queue.stop()
  })

  it('let no more tasks on their way to the ledger at once than there may be, however many a job holds', async () => {
    let underWay = 0
    let most = 0
    const held = Promise.withResolvers<void>()
    const driven = new Set<string>()
    const queue = await started(1, async task => {
      most = Math.max(most, ++underWay)
      driven.add(toHex(task))
      await held.promise
      underWay--
    })
    const tasks = Array.from({ length: 3 * WORKER_CONCURRENCY }, () => new Uint8Array(randomBytes(32)))
    await Promise.all(tasks.map(task => queue.add(task)))
    await until('as many as may are under way', () => underWay === WORKER_CONCURRENCY)
    await until('all jobs are taken', async () => (await looking.getWaitingCount()) === 0)
    held.resolve()
    await until('all are driven', () => driven.size === tasks.length && underWay === 0)
    assert.equal(most, WORKER_CONCURRENCY)
    await queue.stop()
  })

  it('are begun no more once the bridge stops', async () => {
    const held = Promise.withResolvers<void>()
    let begun = 0
    const queue = await started(1, async () => {
      begun++
      await held.promise
    })
    const tasks = Array.from({ length: 3 * WORKER_CONCURRENCY }, () => new Uint8Array(randomBytes(32)))
    await Promise.all(tasks.map(task => queue.add(task)))
    await until('as many as may are under way', () => begun === WORKER_CONCURRENCY)
    const stopped = queue.stop()
    held.resolve()
    await stopped
    assert.equal(begun, WORKER_CONCURRENCY)
  })

  it('whoever waits for a job when the bridge stops is told, and waits no longer', async () => {
    const queue = await started(0, async () => undefined)
    const [first, second] = [queue.add(randomBytes(32)), queue.add(randomBytes(32))]
    assert.equal(await first, true)
    await queue.stop()
    assert.notEqual(await Promise.race([second, new Promise(resolve => setImmediate(resolve, 'nothing'))]), 'nothing')
  })
})
