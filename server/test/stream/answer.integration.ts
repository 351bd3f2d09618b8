import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SOCKET_PATH, decodeCbor, encodeCbor, subscribedSchema, taskItemSchema } from '@pekka/node/protocol'
import { pino } from 'pino'
import { io } from 'socket.io-client'
import { createMetrics } from '../../src/metrics.js'
import { LiveStream, type LiveStreamComponents } from '../../src/stream/index.js'
import type { TaskRecord } from '../../src/tasks/index.js'

const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const QUEUED: TaskRecord = {
  task: bytes(1),
  account: bytes(2),
  lane: bytes(3),
  offer: bytes(4),
  index: 0,
  boxes: [],
  bundle: bytes(5),
  inline: false,
  note: new Uint8Array(0),
  bridge: 'queued',
  code: null,
  submittedAt: 1,
  view: null,
  candidates: [],
  outputBytes: 0,
  endedAt: null
}

/** A live stream over tasks and logs that wait until they are told. */
function standIn() {
  let record = QUEUED
  let changed: (record: TaskRecord) => void = () => undefined
  const opening = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  const log = { end: 0, failed: null as Error | null, onAppend: () => () => undefined, readTail: () => [] }
  let used = 0
  const parts = {
    guard: { check: () => undefined, allowsOrigin: () => true },
    tokens: { check: () => ({ account: QUEUED.account, lane: QUEUED.lane }), onEnd: () => undefined },
    store: { get: async () => record },
    logs: {
      end: async () => 0,
      acquire: async () => {
        asked.resolve()
        await opening.promise
        used++
        return { log, release: () => used-- }
      }
    },
    gate: { report: () => undefined, leave: () => undefined, isHeld: () => false },
    driver: { onChange: (listener: typeof changed) => (changed = listener) },
    mirror: { on: () => undefined },
    ledger: {},
    metrics: createMetrics(),
    log: pino({ level: 'silent' })
  }
  const components = parts as unknown as LiveStreamComponents // as much as is used
  return {
    components,
    log,
    opening,
    asked,
    used: () => used,
    become: (next: Partial<TaskRecord>) => changed((record = { ...record, ...next }))
  }
}

describe('what a page is told of a task that it begins to follow', () => {
  const open: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close()
  })

  async function begin() {
    const parts = standIn()
    const server = createServer()
    const stream = new LiveStream(server, parts.components)
    open.push(() => stream.stop())
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo // a listening TCP server has one
    const socket = io(`http://127.0.0.1:${port}`, { path: SOCKET_PATH, transports: ['websocket'], reconnection: false })
    open.push(() => socket.close())
    await new Promise<void>(resolve => socket.on('connect', resolve))
    return { ...parts, socket }
  }

  it('is how it stands, also where it changed while its log was opened', async () => {
    const { socket, opening, asked, become } = await begin()
    const told: string[] = []
    const changed = new Promise<void>(resolve =>
      socket.on('task', (packed: Uint8Array) => {
        told.push(taskItemSchema.parse(decodeCbor(new Uint8Array(packed))).bridge)
        resolve()
      })
    )
    const answer = socket.emitWithAck('subscribe', encodeCbor({ task: QUEUED.task, after: -1 }))
    await asked.promise
    become({ bridge: 'refused', code: 'FUNDS_MISSING' })
    await changed
    opening.resolve()
    const packed: unknown = await answer
    const said = subscribedSchema.parse(decodeCbor(new Uint8Array(packed as Uint8Array)))
    assert.ok(said.ok)
    told.push(said.item.bridge)
    assert.deepEqual(told, ['refused', 'refused'])
  })

  it('ends with the connection where the log has failed, and holds nothing then', async () => {
    const { socket, log, opening, used } = await begin()
    log.failed = new Error('disk full')
    const gone = new Promise(resolve => socket.on('disconnect', resolve))
    opening.resolve()
    await socket.emitWithAck('subscribe', encodeCbor({ task: QUEUED.task, after: -1 })).catch(() => undefined)
    await gone
    assert.equal(used(), 0)
  })
})
