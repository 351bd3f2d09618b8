import assert from 'node:assert/strict'
import type { TaskEvent } from '@pekka/node/protocol'
import { printed, type SealedRun } from '../../../node/test/support/sealed-run.js'
import type { Opened, StandInProvider } from '../support/provider.js'
import { expectApplied } from '../support/provider.js'
import { World, cell, until, type Person } from '../support/world.js'

/** A stand-in that hands over what it opened and does nothing more. */
function onlyOpen(provider: StandInProvider): Promise<Opened> {
  return new Promise(resolve => {
    provider.work = async (_, opened) => resolve(opened)
  })
}

const text = (events: TaskEvent[]): string =>
  events.map(event => (event.type === 'stream' && typeof event.text === 'string' ? event.text : '')).join('')

const sendFrames = (provider: StandInProvider, run: SealedRun, from: number, to: number): Promise<void> =>
  provider.tell({
    kind: 'frames',
    task: run.header.task,
    attempt: run.header.attempt,
    run: run.header.run,
    index: from,
    frames: run.sealed.slice(from, to)
  })

describe('a bridge that is killed', function () {
  this.timeout(60_000)
  let world: World
  let person: Person

  before(async () => {
    world = await World.start({ process: true })
    person = await world.person()
  })
  after(() => world.stop())

  const first = (): StandInProvider => {
    const [provider] = world.providers
    assert.ok(provider)
    return provider
  }

  it('in the middle of a run loses and doubles nothing: log, link and client go on', async () => {
    const provider = first()
    const opening = onlyOpen(provider)
    const client = world.client(person)
    const task = await client.submit(cell('count()'))
    const events: TaskEvent[] = []
    const follower = await client.follow(task, { events: batch => void events.push(...batch) })
    const opened = await opening
    const accepted = provider.send({ kind: 'accept', task })
    const lines = Array.from({ length: 40 }, (_, i) => [printed(`line ${i}\n`)].flat())
    const run = await provider.seal(opened, lines)
    await provider.tell({ kind: 'run', header: run.header })
    await sendFrames(provider, run, 0, 20)
    await until('the client sees output', () => text(events).includes('line 19\n'))
    expectApplied(await accepted)

    await world.killAndRestart()

    const { attempt, run: number } = run.header
    await provider.connect(world.address, [{ task, attempt, run: number, count: 20 }])
    const ack = await provider.next(message => message.kind === 'ack' && message.count === 20)
    assert.equal(ack.kind, 'ack')
    // The provider may send again what it isn't sure of.
    await provider.tell({ kind: 'run', header: run.header })
    await sendFrames(provider, run, 10, run.sealed.length)
    await provider.tell({ kind: 'head', head: run.signed })
    const stored = await provider.stored(run)
    expectApplied(await provider.commit(opened, run, stored))

    await until('it is settled', () => follower.current.item?.view?.state === 'settled')
    await until('the client has all of it', () => follower.current.finished !== null)
    assert.equal(text(events), Array.from({ length: 40 }, (_, i) => `line ${i}\n`).join(''))
    const item = await client.task(task)
    assert.equal(item.entries, run.sealed.length + 2)
  })

  it('right after it answered 202 still brings the task to its end', async () => {
    const provider = first()
    provider.work = (one, opened) => one.runAndCommit(opened, [printed('late\n')])
    provider.disconnect()
    const client = world.client(person)
    const task = await client.submit(cell('late'))
    await world.killAndRestart()
    await provider.connect(world.address)
    await until('it is settled', async () => (await client.task(task)).view?.state === 'settled')
  })

  it('right after it answered 202 runs the task once, also where its job is lost', async () => {
    const provider = first()
    let runs = 0
    provider.work = (one, opened) => {
      runs++
      return one.runAndCommit(opened, [printed('once\n')])
    }
    // A stand-in forgets a run when its link breaks; that real machines don't is their own test.
    provider.disconnect()
    const client = world.client(person)
    // Alone on its lane: it is on its way to the ledger before its job is (TaskDriver.hurry).
    const task = await client.submit(cell('once'))
    await world.redis.kill()
    await world.killAndRestart()
    await world.redis.start(false)
    await provider.connect(world.address)
    await until('it is settled', async () => (await client.task(task)).view?.state === 'settled', 20_000)
    const { view } = await client.task(task)
    assert.deepEqual([runs, view?.attempts.length], [1, 1])
  })

  it('keeps tokens, the list of tasks and its key', async () => {
    const client = world.client(person)
    const token = await client.tokens.get()
    const { key } = world.at
    const known = (await client.tasks()).tasks.length
    await world.killAndRestart()
    assert.deepEqual(world.at.key, key)
    assert.equal(await client.tokens.get(), token)
    assert.equal((await client.tasks()).tasks.length, known)
  })

  it('goes on when Redis was killed and came back with nothing', async () => {
    const provider = first()
    await provider.connect(world.address)
    await world.redis.kill()
    const client = world.client(person)
    await until('the bridge notices', async () => !(await client.health()).queue)
    const task = await client.submit(cell('patient'))
    assert.equal((await client.task(task)).bridge, 'queued')
    await world.redis.start(false)
    await until('it is settled', async () => (await client.task(task)).view?.state === 'settled', 20_000)
  })

  it('stops cleanly when asked', async () => {
    assert.equal(await world.process.end('SIGTERM'), 0)
    await world.startBridge()
  })
})
