/**
 * `npm run bench -- stream`: sealed 64 KiB frames from a provider through the bridge (with its log) to a client that opens
 * each, three processes as in life; beside bare socket.io sending as much between two; and what a reader that stops costs.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { io, type Socket } from 'socket.io-client'
import {
  ACK_WINDOW_BYTES,
  SOCKET_PATH,
  chainHead,
  decodeCbor,
  encodeCbor,
  firstHead,
  openFrame,
  readKey,
  runKeys,
  sealFrame,
  signHead,
  signRunHeader,
  type LogEntry,
  type RunHeader
} from '@pekka/node/protocol'
import { createPrimitives } from '@pekka/node/host/crypto'
import { ENGINE_FLAGS } from '../../node/src/cli/house/processes/engine.js'
import type { Opened, StandInProvider } from '../test/support/provider.js'
import { World, cell, type Person } from '../test/support/world.js'
import { machine, note, report, round } from './machine.js'

const { aead, agreement } = createPrimitives()
const FRAME = 65_536
const TOTAL_MB = Number(process.env['PEKKA_BENCH_MB'] ?? 256)
const FRAMES = Math.ceil((TOTAL_MB * 1e6) / FRAME)
const BATCH = 4
/** Frames before anything is measured: code is compiled, buffers have their size. */
const WARM_UP = 400
/** How often a provider that waits for room looks whether to give up, ms. */
const STOP_CHECK_MS = 100
const EXEC_ARGV = ['--conditions=pekka-source', '--import=tsx', ...ENGINE_FLAGS]

if (process.argv[2] === 'bare-server') await bareServer()
else if (process.argv[2] === 'reader') await reader()
else await main()

async function main(): Promise<void> {
  const world = await World.start({ process: 'built' })
  try {
    const person = await world.person()
    await sealedRound(world, person, WARM_UP)
    const stopped = await stoppedReader(world, person)
    note(`a stopped reader cost ${stopped.toFixed(1)} MB`)
    const before = bridgeCpu(world)
    const own = process.cpuUsage()
    const { speed, readerMs } = await sealedRound(world, person, FRAMES)
    const { user, system } = process.cpuUsage(own)
    const perMb = (ms: number): string => (ms / ((FRAMES * FRAME) / 1e6)).toFixed(1)
    note(`sealed: ${speed.toFixed(1)} MB/s at a load average of ${loadavg()[0]?.toFixed(1)}; ms of CPU a MB:`)
    note(
      `bridge ${perMb(bridgeCpu(world) - before)}, provider ${perMb((user + system) / 1000)}, client ${perMb(readerMs)}`
    )
    const bare = await bareRound(FRAMES)
    note(`bare socket.io: ${bare.toFixed(1)} MB/s on ${JSON.stringify(machine())}`)
    report('stream', FRAMES, {
      sealed_mb_per_s: round(speed),
      bare_socketio_mb_per_s: round(bare),
      stopped_reader_mb: round(stopped)
    })
  } finally {
    await world.stop()
  }
  process.exit(0)
}

interface Running {
  provider: StandInProvider
  task: Uint8Array
  header: RunHeader
  opened: Opened
  key: Uint8Array
}

/** A task whose first candidate begins a run. */
async function begin(world: World, person: Person): Promise<Running> {
  const [provider] = world.providers
  if (provider === undefined) throw new TypeError('no provider')
  const opening = Promise.withResolvers<Opened>()
  provider.work = async (_, got) => opening.resolve(got)
  const client = world.client(person)
  const request = cell('much')
  const task = await client.submit({ ...request, outputBytes: 1 << 30 })
  const opened = await opening.promise
  const pair = await agreement.generate()
  const { network, account, agent } = provider
  const header = await signRunHeader(
    { v: 1, network, task, attempt: 1, run: 1, provider: account, runKey: pair.publicKey, startedAt: 0 },
    agent
  )
  const binding = { network, task, attempt: 1, run: 1 }
  const { frame } = await runKeys(agreement, pair.privateKey, opened.offer.readKey, binding)
  await provider.tell({ kind: 'run', header })
  return { provider, task, header, opened, key: frame }
}

/** Seals and sends frames as a provider does: a window beyond what is acknowledged. Gives how many were sent. */
async function send(running: Running, count: number, stop: () => boolean = () => false): Promise<number> {
  const { provider, task, header, key } = running
  const binding = { network: provider.network, task, attempt: 1, run: 1 }
  const window = Math.floor(ACK_WINDOW_BYTES / FRAME)
  const plain = new Uint8Array(FRAME)
  let head = firstHead(header)
  let acknowledged = 0
  for (let index = 0; index < count;) {
    if (index - acknowledged + BATCH > window) {
      if (stop()) return index
      const more = provider.next(one => one.kind === 'ack' && one.count > acknowledged, task)
      const message = await Promise.race([more, setTimeout(STOP_CHECK_MS, null)])
      if (message?.kind === 'ack') acknowledged = message.count
      continue
    }
    const frames: Uint8Array[] = []
    for (let i = 0; i < Math.min(BATCH, count - index); i++) {
      const bytes = await sealFrame(aead, key, binding, index + i, plain)
      head = chainHead(head, index + i, createHash('sha256').update(bytes).digest())
      frames.push(bytes)
    }
    await provider.tell({ kind: 'frames', task, attempt: 1, run: 1, index, frames })
    index += frames.length
  }
  await provider.tell({
    kind: 'head',
    head: await signHead(provider.network, { task, attempt: 1, run: 1, count, head }, provider.agent)
  })
  return count
}

async function connect(world: World, person: Person): Promise<Socket> {
  const token = await world.client(person).tokens.get()
  const socket = io(world.at.url, { path: SOCKET_PATH, transports: ['websocket'], auth: { token } })
  await once(socket as unknown as NodeJS.EventEmitter, 'connect')
  return socket
}

/** What the client's process is told. */
interface Order {
  url: string
  token: string
  header: RunHeader
  secret: Uint8Array
  frames: number
}

/** MB a second from the first frame sealed to the last one opened, and the client's CPU time. */
async function sealedRound(world: World, person: Person, frames: number): Promise<{ speed: number; readerMs: number }> {
  const running = await begin(world, person)
  const { task, header } = running
  const child = fork(new URL(import.meta.url), ['reader'], { execArgv: EXEC_ARGV, serialization: 'advanced' })
  const token = await world.client(person).tokens.get()
  const secret = await readKey(person.identity.viewKey, task)
  const order: Order = { url: world.at.url, token, header, secret, frames }
  const ready = once(child, 'message')
  child.send(order)
  await ready
  const done = once(child, 'message')
  const started = performance.now()
  await send(running, frames)
  const [readerMs]: unknown[] = await done
  const seconds = (performance.now() - started) / 1000
  child.kill()
  return { speed: (frames * FRAME) / 1e6 / seconds, readerMs: Number(readerMs) }
}

/** The client's process: opens a run's frames as they come. Says when it is subscribed, and what CPU time it took, ms. */
async function reader(): Promise<void> {
  // The parent's first message is an Order.
  const [order] = (await once(process, 'message')) as [Order]
  const { url, token, header, secret, frames } = order
  const { task, network } = header
  const socket = io(url, { path: SOCKET_PATH, transports: ['websocket'], auth: { token } })
  await once(socket as unknown as NodeJS.EventEmitter, 'connect')
  const binding = { network, task, attempt: 1, run: 1 }
  const { frame: key } = await runKeys(agreement, secret, header.runKey, binding)
  const before = process.cpuUsage()
  let opened = 0
  let work = Promise.resolve()
  socket.on('entries', (packed: Uint8Array) => {
    // The bench's own bridge sent it.
    const { entries } = decodeCbor(new Uint8Array(packed.buffer, packed.byteOffset, packed.length)) as {
      entries: LogEntry[]
    }
    work = work.then(async () => {
      for (const entry of entries) {
        if (entry.kind !== 'frame') continue
        await openFrame(aead, key, binding, entry.index, entry.sealed)
        opened++
      }
      socket.emit('ack', encodeCbor({ task, n: entries.at(-1)?.n ?? 0 }))
      if (opened < frames) return
      const { user, system } = process.cpuUsage(before)
      process.send?.((user + system) / 1000)
    })
  })
  await socket.emitWithAck('subscribe', encodeCbor({ task, after: -1 }))
  process.send?.('ready')
}

/** How much the bridge's memory grows while a subscriber takes nothing and a provider has much to send, MB. */
async function stoppedReader(world: World, person: Person): Promise<number> {
  const running = await begin(world, person)
  const socket = await connect(world, person)
  await socket.emitWithAck('subscribe', encodeCbor({ task: running.task, after: -1 }))
  const before = rss(world)
  let most = before
  const sampler = setInterval(() => (most = Math.max(most, rss(world))), 50)
  const deadline = performance.now() + 5_000
  const sent = await send(running, FRAMES, () => performance.now() > deadline)
  clearInterval(sampler)
  note(`the provider was stopped after ${((sent * FRAME) / 1e6).toFixed(1)} MB`)
  socket.close()
  return Math.max(0, most - before)
}

/** CPU time of the bridge's process, ms. */
function bridgeCpu(world: World): number {
  const fields = readFileSync(`/proc/${world.process.child.pid}/stat`, 'utf8').split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

function rss(world: World): number {
  const status = readFileSync(`/proc/${world.process.child.pid}/status`, 'utf8')
  return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6
}

/** socket.io alone, the same window, between two processes. */
async function bareRound(frames: number): Promise<number> {
  const child = fork(new URL(import.meta.url), ['bare-server'], {
    execArgv: EXEC_ARGV,
    env: { ...process.env, FRAMES: String(frames) }
  })
  const [port]: unknown[] = await once(child, 'message')
  const socket = io(`http://127.0.0.1:${String(port)}`, { transports: ['websocket'] })
  let got = 0
  const done = Promise.withResolvers<void>()
  socket.on('frame', (_bytes: Uint8Array) => {
    got++
    if (got % BATCH === 0) socket.emit('ack', got)
    if (got === frames) done.resolve()
  })
  await once(socket as unknown as NodeJS.EventEmitter, 'connect')
  const started = performance.now()
  socket.emit('go')
  await done.promise
  const seconds = (performance.now() - started) / 1000
  socket.close()
  child.kill()
  return (frames * FRAME) / 1e6 / seconds
}

async function bareServer(): Promise<void> {
  const { createServer } = await import('node:http')
  const { Server } = await import('socket.io')
  const frames = Number(process.env['FRAMES'])
  const server = createServer()
  const sockets = new Server(server, { perMessageDeflate: false, transports: ['websocket'] })
  sockets.on('connection', socket => {
    const bytes = Buffer.alloc(FRAME)
    let sent = 0
    let acknowledged = 0
    const pump = (): void => {
      for (; sent < frames && sent - acknowledged < 16; sent++) socket.emit('frame', bytes)
    }
    socket.on('ack', (count: number) => {
      acknowledged = count
      pump()
    })
    socket.on('go', pump)
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.send?.(typeof address === 'object' && address !== null ? address.port : 0)
  })
  await new Promise(() => undefined)
}
