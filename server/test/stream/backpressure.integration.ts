import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { io, type Socket } from 'socket.io-client'
import { z } from 'zod'
import {
  ACK_WINDOW_BYTES,
  SOCKET_PATH,
  bytes32,
  decodeCbor,
  encodeCbor,
  logEntrySchema,
  signRunHeader,
  type RunHeader
} from '@pekka/node/protocol'
import { READ_AHEAD_BYTES } from '../../src/links/index.js'
import type { StandInProvider } from '../support/provider.js'
import { World, cell, until, type Person } from '../support/world.js'

const FRAME = 65_536 + 16
const entriesSchema = z.object({ task: bytes32, entries: z.array(logEntrySchema) })

describe('a paused client', function () {
  this.timeout(60_000)
  let world: World
  let person: Person
  let provider: StandInProvider

  before(async () => {
    world = await World.start()
    person = await world.person()
    const [first] = world.providers
    assert.ok(first)
    provider = first
    provider.work = async () => undefined
  })
  after(() => world.stop())

  /** A run whose frames are random bytes: the bridge can't tell. */
  async function begin(): Promise<{ task: Uint8Array; header: RunHeader }> {
    const task = await world.client(person).submit(cell('much'))
    await provider.next(
      message => message.kind === 'notice' && message.box !== null && message.task.every((b, i) => b === task[i])
    )
    const { network, account, agent } = provider
    const header = await signRunHeader(
      { v: 1, network, task, attempt: 1, run: 1, provider: account, runKey: task, startedAt: 0 },
      agent
    )
    await provider.tell({ kind: 'run', header })
    return { task, header }
  }

  const acknowledged = (task: Uint8Array): number =>
    Math.max(
      0,
      ...provider.heard.map(message =>
        message.kind === 'ack' && message.task.every((b, i) => b === task[i]) ? message.count : 0
      )
    )

  /** Whether acknowledgements wait for a slow reader: then none comes before it reads on. */
  const isHeld = async (): Promise<boolean> =>
    (await world.bridge.metrics.acksHeld.get()).values.some(({ value }) => value > 0)

  /** Sends frames as a provider does: at most a window beyond what was acknowledged. Returns where it was held back. */
  async function send(task: Uint8Array, from: number, to: number, mayStall: boolean): Promise<number> {
    const window = Math.floor(ACK_WINDOW_BYTES / FRAME)
    for (let index = from; index < to;) {
      const room = Math.min(acknowledged(task) + window - index, to - index)
      if (room <= 0) {
        const known = acknowledged(task)
        const goesOn = (): boolean => acknowledged(task) > known
        await until('an acknowledgement', async () => goesOn() || (mayStall && (await isHeld())))
        if (!goesOn()) return index
        continue
      }
      const frames = Array.from({ length: Math.min(room, 4) }, () => new Uint8Array(randomBytes(FRAME)))
      await provider.tell({ kind: 'frames', task, attempt: 1, run: 1, index, frames })
      index += frames.length
    }
    return to
  }

  async function subscribe(
    task: Uint8Array
  ): Promise<{ socket: Socket; got: number[]; ack: () => void; pause: { on: boolean } }> {
    const token = await world.client(person).tokens.get()
    const socket = io(world.at.url, { path: SOCKET_PATH, transports: ['websocket'], auth: { token } })
    const got: number[] = []
    const pause = { on: true }
    const ack = (): void => void socket.emit('ack', encodeCbor({ task, n: got.at(-1) ?? 0 }))
    socket.on('entries', (packed: Uint8Array) => {
      const { entries } = entriesSchema.parse(decodeCbor(new Uint8Array(packed)))
      got.push(...entries.map(({ n }) => n))
      if (!pause.on) ack()
    })
    await new Promise<void>(resolve => socket.on('connect', () => resolve()))
    await socket.emitWithAck('subscribe', encodeCbor({ task, after: -1 }))
    return { socket, got, ack, pause }
  }

  it('gets a window and no more, is felt by the provider, and misses nothing when it goes on', async () => {
    const { task } = await begin()
    const { socket, got, ack, pause } = await subscribe(task)
    const total = 400
    const stalled = await send(task, 0, total, true)
    const sent = stalled * FRAME
    assert.ok(stalled < total, 'the provider was held back')
    assert.ok(sent > READ_AHEAD_BYTES, `only after ${READ_AHEAD_BYTES} bytes, not after ${sent}`)
    assert.ok(sent < READ_AHEAD_BYTES + 4 * ACK_WINDOW_BYTES, `${sent} bytes were taken`)
    assert.ok((got.length - 1) * FRAME <= ACK_WINDOW_BYTES + FRAME, `the client was sent ${got.length} frames unasked`)
    pause.on = false
    ack()
    assert.equal(await send(task, stalled, total, false), total)
    await until('the client has all', () => got.length === total + 1)
    assert.deepEqual(got, [...Array(total + 1).keys()])
    socket.close()
  })

  it('that leaves holds nobody back', async () => {
    const { task } = await begin()
    const { socket } = await subscribe(task)
    const stalled = await send(task, 0, 400, true)
    assert.ok(stalled < 400)
    socket.close()
    assert.equal(await send(task, stalled, 400, false), 400)
  })

  it('costs nothing when nobody reads: the provider is never held back', async () => {
    const { task } = await begin()
    assert.equal(await send(task, 0, 400, false), 400)
  })
})
