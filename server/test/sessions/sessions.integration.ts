import assert from 'node:assert/strict'
import type { RemoteSession, TaskRequest } from '@pekka/node/client'
import {
  cellTakenSchema,
  chargeOf,
  signCell,
  toHex,
  type Program,
  type TaskEvent,
  type TaskView
} from '@pekka/node/protocol'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'
import { seed } from '../../../node/test/agents/witness/support.js'
import { KeptProvider } from '../support/kept-provider.js'
import { World, until, type Person } from '../support/world.js'

type Cells = Extract<Program, { kind: 'cells' }>

const cells = (source: string): Cells => ({ kind: 'cells', cells: [{ id: 'a', source, tags: [] }], stopOnError: true })

const CAP = 1_000_000n
const HOUR = 3_600_000

const request = (source: string, idleMs = HOUR): TaskRequest => ({
  program: cells(source),
  cap: CAP,
  session: { idleMs, lifeMs: HOUR },
  note: { v: 1, title: 'a session', kind: 'selection', path: null, cells: [] }
})

describe('a session', function () {
  this.timeout(60_000)
  let world: World
  let person: Person
  let provider: KeptProvider

  before(async () => {
    world = await World.start({ providers: 0 })
    person = await world.person()
    provider = await KeptProvider.start(world, { trancheEveryMs: 600 })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') process.stderr.write(provider.log)
  })
  after(async () => {
    await provider.end('SIGTERM')
    await world.stop()
  })

  async function open(source: string, idleMs?: number) {
    const client = world.client(person)
    const task = await client.submit(request(source, idleMs))
    const printed: string[] = []
    const session = await client.session(task, {
      events: (index, events) => void printed.push(...textOf(events).map(text => `${index}:${text}`))
    })
    await session.ready()
    return { client, task, session, printed }
  }

  const run = async (session: RemoteSession, source: string) =>
    session.ended(await session.send({ program: cells(source) }))
  const view = async (task: Uint8Array): Promise<TaskView> => {
    const found = await world.ledger.task(task)
    assert.ok(found !== null)
    return found
  }
  const inEnd = async (task: Uint8Array, state: string): Promise<TaskView> => {
    await until(state, async () => (await view(task)).state === state, 40_000)
    return await view(task)
  }

  it('shows a later cell what an earlier one made, is paid in parts, and ends with what is left', async () => {
    const before = await provider.sandboxes()
    const { client, task, session, printed } = await open('x = 1')
    await run(session, 'x += 41')
    const end = await run(session, 'print(x)')
    assert.deepEqual([end.outcome, end.index], ['ok', 2])
    assert.deepEqual(printed, ['2:42\n'])
    await until('a tranche', async () => (await view(task)).paid > 0n, 20_000)
    await until('its opening', () => session.follower.opening?.result.cells.length === 3, 20_000)
    await session.close()
    const { phase, finished } = await session.follower.ended
    assert.equal(phase.phase, 'settled')
    const settled = await view(task)
    const { claim } = settled.attempts[0] ?? assert.fail()
    const [candidate] = settled.offer.candidates
    assert.ok(claim !== null && candidate !== undefined)
    assert.deepEqual([claim.session?.cells, claim.session?.in.count], [3, 2])
    const time = { wallMs: claim.usage.wallMs, heldMs: claim.session?.heldMs ?? 0 }
    assert.ok(time.heldMs > 0)
    assert.equal(settled.paid, chargeOf(candidate, time, CAP))
    assert.equal(settled.paid + settled.refunded, CAP)
    assert.equal(finished?.manifest.result.cells.length, 3)
    const receipt = await client.receipt(task, finished)
    assert.ok(receipt.run !== null)
    await until('its sandbox is gone', async () => (await provider.sandboxes()) === before)
  })

  it('says what a cell raised and goes on, and ends with its kernel', async () => {
    const { session, task } = await open('x = 1')
    assert.equal((await run(session, 'throw new Error("no")')).reason, 'exception')
    assert.equal((await run(session, 'print(x)')).reason, 'completed')
    assert.equal((await run(session, 'die()')).reason, 'kernel-died')
    const { attempts } = await inEnd(task, 'settled')
    assert.equal(attempts[0]?.claim?.outcome, 'user')
    await session.follower.ended
    await assert.rejects(session.send({ program: cells('print(x)') }), { code: 'SESSION_ENDED' })
  })

  it('lets the machine go when nobody sends a cell for as long as its offer says', async () => {
    const before = await provider.sandboxes()
    const { session, task } = await open('x = 1', 1_000)
    const settled = await inEnd(task, 'settled')
    assert.equal(settled.reason, 'not-rerun')
    assert.ok(settled.sessionEndedAt !== null)
    assert.ok(settled.refunded > 0n && settled.paid > 0n)
    await until('its sandbox is gone', async () => (await provider.sandboxes()) === before)
    await session.follower.ended
    await assert.rejects(run(session, 'print(x)'), { code: 'SESSION_ENDED' })
  })

  it('stops a cell that runs when it is closed', async () => {
    const { session, task, printed } = await open('x = 1')
    const index = await session.send({ program: cells('print("on"); await block()') })
    await until('the cell runs', () => printed.includes('1:on\n'))
    await session.close()
    assert.equal((await session.ended(index)).outcome, 'stopped')
    assert.equal((await inEnd(task, 'settled')).reason, 'stopped')
  })

  it('interrupts a cell and keeps what others made, and begins anew on the same machine', async () => {
    const before = await provider.sandboxes()
    const { session, printed, task } = await open('globalThis.x = 1')
    const index = await session.send({ program: cells('print("on"); await block()') })
    await until('the cell runs', () => printed.includes('1:on\n'))
    await session.interrupt(index)
    const end = await session.ended(index)
    assert.deepEqual([end.reason, end.detail['interrupted']], ['exception', true])
    // Nothing runs: nobody may tell the runner.
    await session.interrupt(index)
    await run(session, 'print(x)')
    assert.ok(printed.includes('2:1\n'))
    const stuck = await session.send({ program: cells('print("stuck"); await block()') })
    await until('it is stuck', () => printed.includes('3:stuck\n'))
    const again = await session.send({ program: cells('print(typeof x)'), restart: true })
    assert.equal((await session.ended(stuck)).detail['restarted'], true)
    assert.equal((await session.ended(again)).reason, 'completed')
    assert.ok(printed.includes(`${again}:undefined\n`))
    await run(session, 'globalThis.y = 2')
    await run(session, 'print(y)')
    assert.equal(printed.at(-1), `${again + 2}:2\n`)
    await session.close()
    assert.equal((await inEnd(task, 'settled')).attempts.length, 1)
    await until('its sandboxes are gone', async () => (await provider.sandboxes()) === before)
  })

  it('goes on after its bridge was away, with the cell that was sent to it', async () => {
    const { session, printed } = await open('x = 1')
    const port = Number(new URL(world.at.url).port)
    const libp2p = Number(/\/tcp\/(\d+)/.exec(world.address)?.[1])
    await world.stopBridge()
    await world.startBridge(port, libp2p)
    // The provider comes back to it when it can: the cell waits there.
    const end = await run(session, 'print(x + 1)')
    assert.equal(end.index, 1)
    assert.deepEqual(printed, ['1:2\n'])
  })

  it('refuses a cell that another key has signed, and one where another stands', async () => {
    const { client, session, task } = await open('x = 1')
    await run(session, 'x = 2')
    const primitives = createPrimitives()
    const header = session.header ?? assert.fail()
    const place = { network: world.network, task, attempt: header.attempt, run: header.run, index: 1, previous: null }
    const sealed = primitives.random.bytes(100)
    for (const signer of [createSigner(seed()), person.signer]) {
      const cell = await signCell(place, sealed, signer)
      const token = await client.tokens.get()
      const body = { cell, sealed, parts: [] }
      const path = `/v1/tasks/${toHex(task)}/cells`
      await assert.rejects(
        client.http.request('POST', path, cellTakenSchema, {
          body,
          token
        }),
        {
          code: 'CELL_REFUSED'
        }
      )
    }
    assert.equal((await run(session, 'x = 3')).index, 2)
  })

  it('is told when its machine is lost: what a tranche fixed is paid, the rest comes back', async () => {
    const { session, task } = await open('x = 1')
    await run(session, 'x = 2')
    await until('a tranche', async () => (await view(task)).paid > 0n, 20_000)
    await provider.end('SIGKILL')
    await provider.start()
    const { paid, refunded, reason, attempts } = await inEnd(task, 'settled')
    assert.equal(reason, 'provider-lost')
    assert.equal(paid + refunded, CAP)
    const fixed = attempts[0]?.session?.tranche?.claim
    assert.ok(fixed !== undefined && paid < CAP / 2n)
    await session.follower.ended
    await assert.rejects(session.send({ program: cells('print(x)') }), (error: Error) => {
      assert.match(error.message, /machine was lost/)
      return true
    })
  })

  it('is committed by a provider that stops', async () => {
    const { session, task } = await open('x = 1')
    await run(session, 'x = 2')
    await provider.end('SIGTERM')
    const { attempts } = await inEnd(task, 'settled')
    assert.equal(attempts[0]?.ended, 'committed')
    assert.equal(attempts[0]?.claim?.session?.cells, 2)
  })
})

const textOf = (events: TaskEvent[]): string[] =>
  events.flatMap(event => (event.type === 'stream' && typeof event.text === 'string' ? [event.text] : []))
