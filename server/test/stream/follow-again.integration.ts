import assert from 'node:assert/strict'
import type { TaskFollower } from '@pekka/node/client'
import { SOCKET_PATH, bytes32, decodeCbor, encodeCbor, logEntrySchema, type TaskEvent } from '@pekka/node/protocol'
import { io } from 'socket.io-client'
import { z } from 'zod'
import { World, cell, until, type Person } from '../support/world.js'
import { expectApplied, type StandInProvider } from '../support/provider.js'

const FRAMES = 300
const lineOf = (i: number): string => `line ${i}\n`
const ALL = Array.from({ length: FRAMES }, (_, i) => lineOf(i)).join('')
const entriesSchema = z.object({ task: bytes32, entries: z.array(logEntrySchema) })
const answerSchema = z.union([z.object({ ok: z.literal(true) }), z.object({ ok: z.literal(false), code: z.string() })])
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

describe('a page that follows a task anew while its output comes', function () {
  this.timeout(60_000)
  let world: World
  let person: Person
  const open: { close(): unknown }[] = []

  before(async () => {
    world = await World.start()
    person = await world.person()
    for (const provider of world.providers) provider.work = slowly
  })
  after(async () => {
    for (const one of open) one.close()
    await world.stop()
  })

  /** Sends frame after frame, so that some are always on their way. */
  async function slowly(provider: StandInProvider, opened: Parameters<StandInProvider['seal']>[0]): Promise<void> {
    const accepted = provider.send({ kind: 'accept', task: opened.task })
    const batches = Array.from({ length: FRAMES }, (_, t): TaskEvent[] => [
      { type: 'stream', cell: 'a', name: 'stdout', text: lineOf(t), t }
    ])
    const run = await provider.seal(opened, batches)
    const { task, attempt } = run.header
    await provider.tell({ kind: 'run', header: run.header })
    for (const [index, frame] of run.sealed.entries()) {
      await provider.tell({ kind: 'frames', task, attempt, run: 1, index, frames: [frame] })
      await pause(4)
    }
    await provider.tell({ kind: 'head', head: run.signed })
    const stored = await provider.stored(run)
    expectApplied(await accepted)
    expectApplied(await provider.commit(opened, run, stored))
  }

  it('gets all of it from the beginning each time, and nothing through the follower it let go', async () => {
    const client = world.client(person)
    open.push(client)
    const task = await client.submit(cell('much'))
    const texts: string[] = []
    const late: number[] = []
    const failures: unknown[] = []
    let current = -1
    let follower: TaskFollower
    const begin = async (): Promise<TaskFollower> => {
      const mine = ++current
      texts.push('')
      const made = await client.follow(task, {
        events: events => {
          if (mine !== current) late.push(mine)
          for (const event of events) if (event.type === 'stream') texts[mine] += String(event.text)
        },
        update: ({ phase }) => {
          if (mine !== current) late.push(mine)
          if (phase.phase === 'mismatch') failures.push(`mismatch in ${mine}`)
        }
      })
      made.ended.catch((error: unknown) => failures.push(error))
      return made
    }
    follower = await begin()
    for (let i = 0; i < 60; i++) {
      await pause(i % 3 === 0 ? 0 : 20)
      follower.stop()
      follower = await begin()
    }
    assert.deepEqual(failures, [])
    assert.equal((await follower.ended).phase.phase, 'settled')
    assert.deepEqual(late, [])
    for (const text of texts) assert.ok(ALL.startsWith(text), `${text.slice(0, 40)}…`)
    assert.equal(texts.at(-1), ALL)
    assert.ok(
      texts.some((text, i) => i < texts.length - 1 && text !== ''),
      'none was let go amid its output'
    )
  })

  it('is served by its newest request alone, however fast they follow one another', async () => {
    const client = world.client(person)
    open.push(client)
    const task = await client.submit(cell('much'))
    const follower = await client.follow(task, {})
    await follower.ended
    const token = await client.tokens.get()
    const socket = io(world.at.url, { path: SOCKET_PATH, transports: ['websocket'], auth: { token } })
    open.push(socket)
    const got: number[] = []
    socket.on('entries', (packed: Uint8Array) => {
      const { entries } = entriesSchema.parse(decodeCbor(new Uint8Array(packed)))
      got.push(...entries.map(({ n }) => n))
      socket.emit('ack', encodeCbor({ task, n: got.at(-1) ?? 0 }))
    })
    await new Promise<void>(resolve => socket.on('connect', () => resolve()))
    const ask = async (after: number) => {
      const packed: unknown = await socket.emitWithAck('subscribe', encodeCbor({ task, after }))
      return answerSchema.parse(decodeCbor(new Uint8Array(packed as Uint8Array)))
    }
    const answers = await Promise.all([ask(-1), ask(-1), ask(FRAMES - 1)])
    assert.deepEqual(answers.at(-1), { ok: true })
    await until('the last entries are here', () => got.at(-1) === FRAMES + 2)
    await pause(100)
    assert.deepEqual(got, [FRAMES, FRAMES + 1, FRAMES + 2])
    // What is taken back before its answer gets nothing.
    const refused = ask(-1)
    socket.emit('unsubscribe', encodeCbor({ task }))
    assert.deepEqual(await refused, { ok: false, code: 'LINK_CLOSED' })
    await pause(100)
    assert.equal(got.length, 3)
  })
})
