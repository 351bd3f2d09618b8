import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { isPekkaError, toHex } from '@pekka/node/protocol'
import { printed } from '../../../node/test/support/sealed-run.js'
import { createMetrics } from '../../src/metrics.js'
import { JobQueue } from '../../src/queue/index.js'
import { QUEUE_NAME, QUEUE_PREFIX } from '../../src/queue/constants.js'
import { World, cell, until, type Person } from '../support/world.js'

const TASKS = 20
const SECRET = 'cassowary-4711'

describe('a Redis that others can write to (I5, I6)', function () {
  this.timeout(60_000)
  /** The world reads it at each start of the bridge. */
  const settings = { workers: 0 }
  let world: World
  let person: Person
  let redis: Redis
  let queue: Queue
  const ran: string[] = []

  before(async () => {
    world = await World.start({ settings })
    person = await world.person()
    const [provider] = world.providers
    assert.ok(provider)
    provider.work = (one, opened) => {
      ran.push(toHex(opened.task))
      return one.runAndCommit(opened, [printed(`${SECRET}\n`)])
    }
    redis = new Redis(world.redis.path, { maxRetriesPerRequest: null })
    queue = new Queue(QUEUE_NAME, { connection: redis, prefix: QUEUE_PREFIX })
  })
  after(async () => {
    await queue.close()
    redis.disconnect()
    await world.stop()
  })

  const forge = async (tasks: Uint8Array[]): Promise<void> => {
    const options = { removeOnComplete: true, removeOnFail: true }
    const strange: unknown[] = [
      { tasks: [toHex(randomBytes(32))] },
      { tasks: ['../../bridge.key', { $ne: null }, null, 'ff'.repeat(1_000_000), ...tasks.slice(0, 3).map(toHex)] },
      { tasks: { length: 5, 0: toHex(randomBytes(32)) } },
      { tasks: Array.from({ length: 10_000 }, () => toHex(randomBytes(32))) },
      { task: toHex(randomBytes(32)) },
      { account: toHex(person.identity.account), transaction: 'a'.repeat(100), prefer: 'me' },
      'nothing',
      null,
      []
    ]
    for (const data of strange) await queue.add('drive', data, options)
    await queue.add('unknown', { tasks: [toHex(randomBytes(32))] }, { ...options, attempts: 5 })
    for (const task of tasks)
      for (let i = 0; i < 3; i++) await queue.add('drive', { tasks: [toHex(task)] }, { ...options, priority: i })
    await redis.rpush(`${QUEUE_PREFIX}:${QUEUE_NAME}:wait`, 'no-such-job', '{}')
    await redis.hset(`${QUEUE_PREFIX}:${QUEUE_NAME}:torn`, 'name', 'drive', 'data', '{"tasks":')
    await redis.rpush(`${QUEUE_PREFIX}:${QUEUE_NAME}:wait`, 'torn')
  }

  it('can make no task run twice, and lose none', async () => {
    const client = world.client(person)
    const tasks: Uint8Array[] = []
    for (let i = 0; i < TASKS; i++) tasks.push(await client.submit(cell(`print("${SECRET}", ${i})`)))
    const waiting = async (): Promise<string[]> =>
      (await queue.getWaiting(0, 100)).flatMap(({ data }: { data: { tasks: string[] } }) => data.tasks)
    await until('jobs wait', async () => (await waiting()).length >= TASKS)

    // What stands there is the ids of tasks.
    for (const job of await queue.getWaiting(0, 100)) assert.deepEqual(Object.keys(job.data), ['tasks'])
    assert.deepEqual((await waiting()).sort(), tasks.map(toHex).sort())
    const dump = await world.redis.dump()
    for (const secret of [
      SECRET,
      toHex(person.identity.account),
      toHex(person.signer.publicKey),
      await client.tokens.get()
    ])
      assert.ok(!dump.includes(secret))

    // Half of the jobs are taken away, others point elsewhere, and there are copies and strangers.
    const jobs = await queue.getWaiting(0, 100)
    for (const [i, job] of jobs.entries()) {
      if (i % 4 === 0) await job.remove()
      if (i % 4 === 1) await redis.hset(`${QUEUE_PREFIX}:${QUEUE_NAME}:${job.id}`, 'data', '{"tasks":["00"]}')
    }
    await forge(tasks)
    settings.workers = 2
    const port = Number(new URL(world.at.url).port)
    await world.stopBridge()
    await world.startBridge(port)
    for (const provider of world.providers) await provider.connect(world.address)
    await forge(tasks)

    const again = world.client(person)
    await until('all are settled', async () =>
      (await again.tasks({ limit: 100 })).tasks.every(({ view }) => view?.state === 'settled')
    )
    const { tasks: known } = await again.tasks({ limit: 100 })
    assert.equal(known.length, TASKS)
    for (const { view } of known) assert.equal(view?.attempts.length, 1)
    assert.deepEqual([...ran].sort(), tasks.map(task => toHex(task)).sort())
  })

  it('can take everything away while tasks come in', async () => {
    const client = world.client(person)
    const before = ran.length
    const submitting = Promise.all(Array.from({ length: TASKS }, (_, i) => client.submit(cell(`print(${i})`))))
    const flushing = (async () => {
      for (let i = 0; i < 10; i++) await redis.flushall()
    })()
    const tasks = await submitting
    await flushing
    await until(
      'all are settled',
      async () =>
        (await Promise.all(tasks.map(task => client.task(task)))).every(({ view }) => view?.state === 'settled'),
      20_000
    )
    assert.deepEqual(ran.slice(before).sort(), tasks.map(task => toHex(task)).sort())
    assert.equal((await client.health()).queue, true)
  })
})

describe('a Redis that is open to everybody', function () {
  this.timeout(60_000)
  let folder: string
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'pekka-open-redis-'))))
  after(() => rm(folder, { recursive: true, force: true }))

  it('is not used: without a password it may listen on this machine alone', async () => {
    const port = await freePort()
    const program = process.env['PEKKA_TEST_REDIS'] ?? 'redis-server'
    const options = ['--port', String(port), '--dir', folder, '--save', '', '--protected-mode', 'no']
    const start = async (...bind: string[]): Promise<unknown> => {
      const child = spawn(program, [...options, '--bind', ...bind], { stdio: 'ignore' })
      const init = { redis: { url: `redis://127.0.0.1:${port}` }, workers: 0 }
      const log = pino({ level: 'silent' })
      const queue = new JobQueue({ drive: async () => undefined, metrics: createMetrics(), log }, init)
      try {
        return await queue.start().then(
          () => 'used',
          (error: unknown) => error
        )
      } finally {
        await queue.stop()
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    const refusal = await start('0.0.0.0')
    assert.ok(isPekkaError(refusal) && refusal.code === 'USAGE')
    assert.match(refusal.message, /all addresses without a password/)
    assert.equal(await start('127.0.0.1'), 'used')
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
