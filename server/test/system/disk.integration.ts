import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFile, mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { isPekkaError, type TaskEvent } from '@pekka/node/protocol'
import { printed, type SealedRun } from '../../../node/test/support/sealed-run.js'
import { expectApplied, type Opened, type StandInProvider } from '../support/provider.js'
import { World, cell, until, type Person } from '../support/world.js'

const DISK = '16m'
const RESERVE = 4 << 20
const LINES = Array.from({ length: 40 }, (_, i) => `line ${i} ${'x'.repeat(2_000)}\n`)

const text = (events: TaskEvent[]): string =>
  events.map(event => (event.type === 'stream' && typeof event.text === 'string' ? event.text : '')).join('')

for (const { name, reserve } of [
  { name: 'a bridge whose disk is full', reserve: RESERVE },
  { name: 'a bridge whose disk filled up at once, unseen', reserve: 0 }
])
  describe(name, function () {
    this.timeout(60_000)
    let disk = ''
    let world: World
    let person: Person

    before(async function () {
      disk = await mkdtemp(join(tmpdir(), 'pekka-disk-'))
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=700`, 'pekka-test', disk], { stdio: 'pipe' })
      } catch (error) {
        await rm(disk, { recursive: true })
        disk = ''
        if (process.env['CI'] !== undefined) throw error
        this.skip()
      }
      world = await World.start({ process: true, settings: { home: join(disk, 'bridge'), reserve } })
      person = await world.person()
    })
    after(async () => {
      if (disk === '') return
      await world.stop()
      execFileSync('umount', [disk])
      await rm(disk, { recursive: true })
    })

    const fill = async (): Promise<void> => {
      for (const size of [1 << 20, 1 << 16, 1 << 12])
        for (;;) {
          try {
            await appendFile(join(disk, 'filler'), Buffer.alloc(size))
          } catch {
            break
          }
        }
      assert.equal((await statfs(disk)).bavail, 0)
    }
    const free = (): Promise<void> => rm(join(disk, 'filler'))
    const provider = (): StandInProvider => {
      const [first] = world.providers
      assert.ok(first)
      return first
    }
    const send = (run: SealedRun, from: number, to: number): Promise<void> => {
      const { task, attempt, run: number } = run.header
      return provider().tell({
        kind: 'frames',
        task,
        attempt,
        run: number,
        index: from,
        frames: run.sealed.slice(from, to)
      })
    }

    it('refuses new work, leaves output at the provider, and goes on when there is room', async () => {
      const opening = new Promise<Opened>(resolve => {
        provider().work = async (_, opened) => resolve(opened)
      })
      const client = world.client(person)
      const task = await client.submit(cell('long()'))
      const events: TaskEvent[] = []
      const follower = await client.follow(task, { events: batch => void events.push(...batch) })
      const opened = await opening
      expectApplied(await provider().send({ kind: 'accept', task }))
      const run = await provider().seal(
        opened,
        LINES.map(line => [printed(line)].flat())
      )
      await provider().tell({ kind: 'run', header: run.header })
      await send(run, 0, 20)
      await until('the client sees output', () => text(events) === LINES.slice(0, 20).join(''))

      await fill()
      if (reserve > 0) {
        const other = world.client(person)
        for (const source of ['print(1)', `# ${'x'.repeat(300_000)}`])
          await assert.rejects(
            other.submit(cell(source)),
            (error: unknown) => isPekkaError(error) && error.code === 'BRIDGE_FULL' && error.status === 507,
            'new work is refused at once, not only after the next look'
          )
      }
      await send(run, 20, run.sealed.length)
      await provider().tell({ kind: 'head', head: run.signed })
      await provider().tell({ kind: 'ping', n: 1 })
      await provider().next(message => message.kind === 'pong')
      // A provider doesn't wait for its bridge for ever.
      expectApplied(await provider().commit(opened, run, null))
      if (reserve > 0) {
        await until('the client sees the end', () => follower.current.item?.view?.state === 'settled')
        assert.equal(follower.current.finished, null)
      }
      const acknowledged = Math.max(0, ...provider().heard.map(message => (message.kind === 'ack' ? message.count : 0)))
      assert.ok(acknowledged < run.sealed.length, 'what is not on the disk is not acknowledged')

      await free()
      const asks = async (): Promise<boolean> => {
        // Unseen, the full disk may have met its table: it ends then, and whoever runs it starts it again.
        if (reserve === 0 && world.process.hasEnded) await world.killAndRestart()
        const health = await client.health().catch((error: unknown) => {
          if (reserve > 0) throw error
          return null
        })
        return health?.providers === 0
      }
      await until('the bridge asks for the rest', asks, 20_000)
      const { attempt, run: number } = run.header
      await provider().connect(world.address, [{ task, attempt, run: number, count: acknowledged }])
      await provider().tell({ kind: 'run', header: run.header })
      await send(run, acknowledged, run.sealed.length)
      await provider().tell({ kind: 'head', head: run.signed })
      await provider().stored(run)
      await until('the client has all of it', () => follower.current.finished !== null)
      assert.equal(text(events), LINES.join(''))
      assert.equal((await client.task(task)).view?.state, 'settled')
      assert.equal((await client.task(task)).entries, run.sealed.length + 2)
    })

    it('takes work again, and its table is whole', async () => {
      provider().work = (one, opened) => one.runAndCommit(opened, [printed('hello\n')])
      const client = world.client(person)
      const before = (await client.tasks()).tasks
      const task = await client.submit(cell('print("hello")'))
      await until('it is settled', async () => (await client.task(task)).view?.state === 'settled')
      await world.killAndRestart()
      const again = world.client(person)
      assert.equal((await again.tasks()).tasks.length, before.length + 1)
      let left: unknown[] = []
      const settled = async (): Promise<boolean> => {
        const { tasks } = await again.tasks()
        const open = tasks.filter(({ view }) => view?.state !== 'settled')
        left = open.map(({ view, ...rest }) => [view?.state, rest])
        return left.length === 0
      }
      await until('all are settled', settled, 30_000).catch((cause: unknown) => {
        throw new Error(`not settled: ${inspect(left, { depth: 4 })}`, { cause })
      })
    })
  })
