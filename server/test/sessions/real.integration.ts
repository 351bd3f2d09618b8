import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { RemoteSession, TaskRequest } from '@pekka/node/client'
import type { Program, TaskEvent } from '@pekka/node/protocol'
import { KeptProvider } from '../support/kept-provider.js'
import { World, until, type Person } from '../support/world.js'

type Cells = Extract<Program, { kind: 'cells' }>
const cells = (source: string): Cells => ({ kind: 'cells', cells: [{ id: 'a', source, tags: [] }], stopOnError: true })
const HOUR = 3_600_000

const request = (source: string): TaskRequest => ({
  program: cells(source),
  cap: 1_000_000n,
  memoryBytes: 1 << 29,
  diskBytes: 1 << 28,
  session: { idleMs: HOUR, lifeMs: HOUR },
  note: { v: 1, title: 'a session', kind: 'selection', path: null, cells: [] }
})

describe('a session in a real sandbox', function () {
  this.timeout(120_000)
  let world: World
  let person: Person
  let provider: KeptProvider

  before(async () => {
    const root = process.env['PEKKA_TEST_IMAGE_ROOT'] ?? assert.fail('PEKKA_TEST_IMAGE_ROOT names the root of an image')
    world = await World.start({ providers: 0 })
    person = await world.person()
    const resources = { memoryBytes: 1 << 30, diskBytes: 1 << 28 }
    provider = await KeptProvider.start(world, { trancheEveryMs: 1_000, resources, concurrency: 2 }, root)
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') process.stderr.write(provider.log)
  })
  after(async () => {
    await provider.end('SIGTERM')
    await world.stop()
  })

  async function open(source: string) {
    const client = world.client(person)
    const task = await client.submit(request(source))
    const printed: string[] = []
    const session = await client.session(task, {
      events: (index, events) => void printed.push(...textOf(events).map(text => `${index}:${text}`))
    })
    await session.ready()
    return { client, task, session, printed }
  }
  const run = async (session: RemoteSession, source: string) =>
    session.ended(await session.send({ program: cells(source) }))

  it('keeps names, imports, files and the execution count of one kernel', async () => {
    const { client, task, session, printed } = await open('import math\nx = 41')
    assert.equal((await run(session, 'x += 1; print(math.floor(x))')).reason, 'completed')
    assert.equal((await run(session, '1/0')).reason, 'exception')
    await run(session, 'open("note.txt", "w").write("kept")')
    await run(session, 'print(open("note.txt").read(), x)')
    await run(session, 'print(len(In) - 1)')
    assert.deepEqual(
      printed.filter(text => !text.includes('Error')),
      ['1:42\n', '4:kept 42\n', '5:6\n']
    )
    await session.close()
    const { phase, finished } = await session.follower.ended
    assert.equal(phase.phase, 'settled')
    assert.ok((await client.receipt(task, finished)).run !== null)
  })

  it('interrupts a cell and keeps what others made, and begins anew without it', async () => {
    const { session, printed } = await open('x = 41\nopen("note.txt", "w").write("old")')
    const index = await session.send({ program: cells('import time\nprint("on", flush=True)\ntime.sleep(1000)') })
    await until('the cell runs', () => printed.includes('1:on\n'), 60_000)
    await session.interrupt(index)
    const end = await session.ended(index)
    assert.deepEqual(
      [end.reason, end.detail['ename'], end.detail['interrupted']],
      ['exception', 'KeyboardInterrupt', true]
    )
    await run(session, 'print(x)')
    const program = cells('import os\nprint("x" in globals(), os.listdir())')
    await session.ended(await session.send({ program, restart: true }))
    assert.deepEqual(printed.slice(-2), ['2:41\n', '3:False []\n'])
    await session.close()
  })

  it('says what came of it when its provider was killed, and what was paid', async () => {
    const { client, task, session } = await open('x = 41')
    await until('a tranche', async () => ((await client.task(task)).view?.paid ?? 0n) > 0n, 60_000)
    await provider.end('SIGKILL')
    await provider.start()
    await session.follower.ended
    const { view } = await client.task(task)
    assert.deepEqual([view?.state, view?.reason], ['settled', 'provider-lost'])
    assert.equal((view?.paid ?? 0n) + (view?.refunded ?? 0n), 1_000_000n)
    await assert.rejects(run(session, 'print(x)'), /The machine was lost/)
    const state = join(world.folder, 'kept-provider', 'state')
    await until(
      'nothing of it is left',
      async () => (await readdir(join(state, 'sandboxes')).catch(() => [])).length <= 1
    )
  })
})

const textOf = (events: TaskEvent[]): string[] =>
  events.flatMap(event => (event.type === 'stream' && typeof event.text === 'string' ? [event.text] : []))
