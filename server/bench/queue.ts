/**
 * `npm run bench -- queue`: no-op tasks a second from submit to settled, through a real bridge (its own process), a real
 * ledger and Redis, with a provider that commits at once and clients in a process of their own; beside bare BullMQ jobs of the same count on the same Redis.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { CBOR, decodeCbor, encodeCbor, submittedSchema, type Body } from '@pekka/node/protocol'
import { prepareTask } from '@pekka/node/client'
import { createPrimitives } from '@pekka/node/host/crypto'
import { ENGINE_FLAGS } from '../../node/src/cli/house/processes/engine.js'
import { Sender } from '../../node/test/agents/witness/support.js'
import { printed } from '../../node/test/support/sealed-run.js'
import { World, cell, type Person } from '../test/support/world.js'
import { note, report, round } from './machine.js'

const TASKS = Number(process.env['PEKKA_BENCH_TASKS'] ?? 2000)
const WARM_UP = Math.min(200, TASKS)
/** Tasks under way at once: what some dozens of busy users have. */
const IN_FLIGHT = 48
/** Offers stay valid so long, ms (the ledger allows 120 s): all are signed before the first is sent. What isn't settled by then fails. */
const EXPIRY_MS = 110_000

if (process.argv[2] === 'clients') await clients()
else await main()

async function main(): Promise<void> {
  const world = await World.start({ process: 'built' })
  try {
    const person = await world.person()
    note(`load average ${loadavg()[0]?.toFixed(1)}; ${WARM_UP} tasks to warm up`)
    await measure(world, person, WARM_UP)
    const { seconds, bridgeMs, ownMs, clientsMs, redisMs } = await measure(world, person, TASKS)
    const parts = [bridgeMs, ownMs, clientsMs, redisMs].map(ms => (ms / TASKS).toFixed(2))
    const [bridge, own, clients, redis] = parts
    const all = ((bridgeMs + ownMs + clientsMs + redisMs) / TASKS).toFixed(2)
    note(`${TASKS} tasks in ${seconds.toFixed(2)} s; ${all} ms of CPU a task:`)
    note(`bridge ${bridge}, ledger and provider ${own}, clients ${clients}, Redis ${redis}`)
    const bare = await bareBullmq(world.redis.path, TASKS)
    note(`bare BullMQ: ${TASKS} jobs in ${bare.toFixed(2)} s`)
    report('queue', TASKS, { tasks_per_s: round(TASKS / seconds), bare_bullmq_per_s: round(TASKS / bare) })
  } finally {
    await world.stop()
  }
  process.exit(0)
}

/** CPU time of a process, ms. */
function cpuOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

/** What the clients' process is told first; then how many tasks more have settled. */
interface Order {
  url: string
  token: string
  /** Bodies of POST /v1/tasks, in the lane's order. */
  bodies: Uint8Array<ArrayBuffer>[]
}

/** Seconds from the first submit to the last settlement, and CPU time meanwhile, ms. */
interface Measured {
  seconds: number
  bridgeMs: number
  /** Of this process: ledger and provider. */
  ownMs: number
  clientsMs: number
  redisMs: number
}

/** Has `count` tasks submitted, at most IN_FLIGHT unsettled. */
async function measure(world: World, person: Person, count: number): Promise<Measured> {
  const [provider] = world.providers
  if (provider === undefined) throw new TypeError('no provider')
  provider.work = (one, opened) => one.runAndCommit(opened, [printed('')])
  const client = world.client(person)
  const token = await client.tokens.get()
  const { candidates } = await client.quote({ image: 'base' })
  client.close()
  const bodies = await prepare(world, person, candidates, count)
  const child = fork(new URL(import.meta.url), ['clients'], {
    execArgv: ['--conditions=pekka-source', '--import=tsx', ...ENGINE_FLAGS],
    serialization: 'advanced'
  })
  const exit = once(child, 'exit').then(() => 'the clients ended early')
  const late = setTimeout(EXPIRY_MS, 'not all tasks have settled', { ref: false })
  const failed = Promise.race([exit, late]).then(what => {
    throw new Error(what)
  })
  failed.catch(() => undefined)
  const ready = once(child, 'message')
  const order: Order = { url: world.at.url, token, bodies }
  child.send(order)
  await Promise.race([ready, failed])
  const stop = new AbortController()
  const clientsDone = once(child, 'message')
  const pids = [world.process.child.pid, world.redis.pid]
  const [bridge = 0, redis = 0] = pids.map(cpuOf)
  const own = process.cpuUsage()
  const started = performance.now()
  child.send(0)
  await Promise.race([settlements(world, count, stop.signal, more => child.send(more)), failed])
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(own)
  const [bridgeNow = 0, redisNow = 0] = pids.map(cpuOf)
  const [clientsMs]: unknown[] = await clientsDone
  stop.abort()
  child.disconnect()
  const ownMs = (user + system) / 1000
  return { seconds, bridgeMs: bridgeNow - bridge, ownMs, clientsMs: Number(clientsMs), redisMs: redisNow - redis }
}

/** Seals and signs before anything is timed: it is the clients' own work, done while a person looks at the quote. */
async function prepare(
  world: World,
  { identity }: Person,
  candidates: Parameters<typeof prepareTask>[2],
  count: number
): Promise<Uint8Array<ArrayBuffer>[]> {
  const lane = new Sender(identity.account, identity.signer.publicKey, identity.signer)
  const bodies: Uint8Array<ArrayBuffer>[] = []
  for (let i = 0; i < count; i++) {
    const { offer, boxes, sealedBundle, note } = await prepareTask(
      { primitives: createPrimitives(), identity },
      cell('pass'),
      candidates
    )
    const { timestamp } = await world.ledger.time()
    const body: Body = { kind: 'offer', tasks: [offer] }
    const { bytes } = await lane.sign(world.ledger, body, { expiry: timestamp + EXPIRY_MS })
    bodies.push(new Uint8Array(encodeCbor({ transaction: bytes, tasks: [{ boxes, bundle: sealedBundle, note }] })))
  }
  return bodies
}

/** The clients' process: as many submits at once as tasks may be unsettled. Says at its end what CPU time it took, ms. */
async function clients(): Promise<void> {
  // The parent's first message is an Order.
  const [{ url, token, bodies }] = (await once(process, 'message')) as [Order]
  process.send?.('ready')
  const before = process.cpuUsage()
  let room = IN_FLIGHT
  let wake: () => void = () => undefined
  const go = Promise.withResolvers<void>()
  process.on('message', (more: number) => {
    room += more
    go.resolve()
    wake()
  })
  process.once('disconnect', () => process.exit(0))
  await go.promise
  // Many users don't wait for one another's answers; the lane's order is in the transactions.
  const answers: Promise<void>[] = []
  for (const body of bodies) {
    while (room === 0) await new Promise<void>(resolve => (wake = resolve))
    room--
    answers.push(submit(`${url}/v1/tasks`, token, body))
  }
  await Promise.all(answers)
  const { user, system } = process.cpuUsage(before)
  process.send?.((user + system) / 1000)
}

async function submit(url: string, token: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const headers = { 'content-type': CBOR, accept: CBOR, 'x-pekka-token': token }
  const answer = await fetch(url, { method: 'POST', headers, body })
  const bytes = new Uint8Array(await answer.arrayBuffer())
  if (answer.status !== 202) throw new Error(`${answer.status}: ${Buffer.from(bytes).toString()}`)
  submittedSchema.parse(decodeCbor(bytes))
}

/** Hears of settlements from the ledger itself, and says of each commit how many are in it; resolves with the last one. */
async function settlements(
  world: World,
  count: number,
  signal: AbortSignal,
  told: (more: number) => void
): Promise<void> {
  const { index } = await world.ledger.time()
  let left = count
  for await (const { tasks } of world.ledger.follow(index, signal)) {
    const more = tasks.filter(({ state }) => state === 'settled').length
    if (more === 0) continue
    told(more)
    left -= more
    if (left <= 0) return
  }
}

/** Adds and completes `count` empty jobs, as many at once. */
async function bareBullmq(path: string, count: number): Promise<number> {
  const connect = (): Redis => new Redis(path, { maxRetriesPerRequest: null })
  const connections = [connect(), connect()]
  const [first, second] = connections
  if (first === undefined || second === undefined) throw new TypeError('no connection')
  const queue = new Queue('bare', { connection: first })
  let left = count
  let finish: () => void = () => undefined
  const done = new Promise<void>(resolve => (finish = resolve))
  const worker = new Worker('bare', async () => void (--left === 0 && finish()), {
    connection: second,
    concurrency: IN_FLIGHT
  })
  await worker.waitUntilReady()
  const started = performance.now()
  for (let i = 0; i < count; i += IN_FLIGHT)
    await Promise.all(
      Array.from({ length: Math.min(IN_FLIGHT, count - i) }, () =>
        queue.add('job', { task: '0'.repeat(64) }, { removeOnComplete: true })
      )
    )
  await done
  const seconds = (performance.now() - started) / 1000
  await worker.close()
  await queue.close()
  for (const connection of connections) connection.disconnect()
  return seconds
}
