/**
 * `npm run bench -- queue`: no-op tasks a second from submit to settled, through a real bridge (its own process), a real
 * ledger and Redis, with a provider that commits at once; beside bare BullMQ jobs of the same count on the same Redis.
 */
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import {
  CBOR,
  decodeCbor,
  encodeCbor,
  submittedSchema,
  toHex,
  type CommitView,
  type OfferTask
} from '@pekka/node/protocol'
import { prepareTask, type PreparedTask } from '@pekka/node/client'
import { createPrimitives } from '@pekka/node/host/crypto'
import { Sender } from '../../node/test/agents/witness/support.js'
import { printed } from '../../node/test/support/sealed-run.js'
import { World, cell, type Person } from '../test/support/world.js'
import { note, report, round } from './machine.js'

const TASKS = Number(process.env['PEKKA_BENCH_TASKS'] ?? 2000)
const WARM_UP = Math.min(200, TASKS)
/** Tasks under way at once: what some dozens of busy users have. */
const IN_FLIGHT = 48

const world = await World.start({ process: 'built' })
try {
  const person = await world.person()
  note(`load average ${loadavg()[0]?.toFixed(1)}; ${WARM_UP} tasks to warm up`)
  await measure(person, WARM_UP)
  const before = bridgeCpu()
  const own = process.cpuUsage()
  const seconds = await measure(person, TASKS)
  note(`the bridge took ${((bridgeCpu() - before) / TASKS).toFixed(2)} ms of CPU a task`)
  const { user, system } = process.cpuUsage(own)
  note(`ledger, provider and clients took ${((user + system) / 1000 / TASKS).toFixed(2)} ms of CPU a task`)
  note(`${TASKS} tasks in ${seconds.toFixed(2)} s`)
  const bare = await bareBullmq(world.redis.path, TASKS)
  note(`bare BullMQ: ${TASKS} jobs in ${bare.toFixed(2)} s`)
  report('queue', TASKS, { tasks_per_s: round(TASKS / seconds), bare_bullmq_per_s: round(TASKS / bare) })
} finally {
  await world.stop()
}
process.exit(0)

/** CPU time of the bridge's process, ms. */
function bridgeCpu(): number {
  const fields = readFileSync(`/proc/${world.process.child.pid}/stat`, 'utf8').split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

/** Submits `count` tasks, at most IN_FLIGHT unsettled. Gives seconds from the first submit to the last settlement. */
async function measure(person: Person, count: number): Promise<number> {
  const { identity } = person
  const [provider] = world.providers
  if (provider === undefined) throw new TypeError('no provider')
  provider.work = (one, opened) => one.runAndCommit(opened, [printed('')])
  const client = world.client(person)
  const token = await client.tokens.get()
  const { candidates } = await client.quote({ image: 'base' })
  const lane = new Sender(identity.account, identity.signer.publicKey, identity.signer)
  const stop = new AbortController()
  const settled = settlements(stop.signal)
  // Sealing is the client's own time, not the queue's.
  const prepared: PreparedTask[] = []
  for (let i = 0; i < count; i++)
    prepared.push(await prepareTask({ primitives: createPrimitives(), identity }, cell('pass'), candidates))
  const started = performance.now()
  let inFlight = 0
  let wake: () => void = () => undefined
  const ends: Promise<void>[] = []
  for (const task of prepared) {
    while (inFlight >= IN_FLIGHT) await new Promise<void>(resolve => (wake = resolve))
    inFlight++
    const { bytes } = await lane.sign(world.ledger, { kind: 'offer', tasks: [task.offer] })
    const done = settled.of(task.offer)
    ends.push(done.then(() => void (inFlight--, wake())))
    // Many users don't wait for one another's answers; the lane's order is in the transactions.
    ends.push(submit(token, bytes, task))
  }
  await Promise.all(ends)
  const seconds = (performance.now() - started) / 1000
  stop.abort()
  client.close()
  return seconds
}

async function submit(
  token: string,
  transaction: Uint8Array,
  { boxes, sealedBundle, note }: PreparedTask
): Promise<void> {
  const answer = await fetch(`${world.at.url}/v1/tasks`, {
    method: 'POST',
    headers: { 'content-type': CBOR, accept: CBOR, 'x-pekka-token': token },
    body: new Uint8Array(encodeCbor({ transaction, tasks: [{ boxes, bundle: sealedBundle, note }] }))
  })
  const body = new Uint8Array(await answer.arrayBuffer())
  if (answer.status !== 202) throw new Error(`${answer.status}: ${Buffer.from(body).toString()}`)
  submittedSchema.parse(decodeCbor(body))
}

/** Hears of settlements from the ledger itself. */
function settlements(signal: AbortSignal) {
  const waiting = new Map<string, () => void>()
  const take = (commit: CommitView): void => {
    for (const view of commit.tasks) {
      if (view.state !== 'settled') continue
      waiting.get(toHex(view.task))?.()
      waiting.delete(toHex(view.task))
    }
  }
  void (async () => {
    const { index } = await world.ledger.time()
    for await (const commit of world.ledger.follow(index, signal)) take(commit)
  })().catch(() => undefined)
  return { of: ({ task }: OfferTask) => new Promise<void>(resolve => waiting.set(toHex(task), resolve)) }
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
