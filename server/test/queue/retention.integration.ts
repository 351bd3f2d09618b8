import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DEVNET_PARAMETERS, isPekkaError, toCid, toHex } from '@pekka/node/protocol'
import { World, cell, until, type Person } from '../support/world.js'

const DAY = 86_400_000
/** As docs/operators.md says. */
const RETENTION = 30 * DAY

/** A network whose bridge believes that `late` ms have gone by. */
class Later {
  late = 0
  world!: World
  person!: Person

  async start(contestWindowMs: number): Promise<void> {
    this.late = 0
    this.world = await World.start({
      parameters: { ...DEVNET_PARAMETERS, contestWindowMs },
      clock: { now: () => Date.now() + this.late },
      settings: { uploads: { perAccount: 1_000_000, total: 10_000_000 } }
    })
    this.person = await this.world.person(undefined, undefined, 90 * DAY)
  }

  /** Names of files of the bridge that hold a task's sealed output or bundles. */
  async files(): Promise<string[]> {
    const home = join(this.world.folder, 'bridge')
    const account = toHex(this.person.identity.account)
    const blobs = await readdir(join(home, 'blobs', account)).catch(() => [])
    return [...(await readdir(join(home, 'logs'))), ...blobs].sort()
  }

  /** A settled task whose bundle is a blob. */
  async settled(): Promise<Uint8Array> {
    const client = this.world.client(this.person)
    const task = await client.submit(cell(`# ${'x'.repeat(300_000)}${Math.random()}`))
    await until('it is settled', async () => (await client.task(task)).view?.state === 'settled')
    return task
  }

  async state(task: Uint8Array): Promise<string> {
    // A fresh client: a token lives twelve hours.
    const client = this.world.client(this.person)
    try {
      return (await client.task(task)).view?.state ?? 'none'
    } catch (error) {
      if (isPekkaError(error)) return error.code
      throw error
    }
  }
}

describe('what a bridge keeps', function () {
  this.timeout(30_000)
  const later = new Later()
  afterEach(() => later.world.stop())

  it('is deleted thirty days after the end of its task, and not before', async () => {
    await later.start(1_000)
    const { world } = later
    const first = await later.settled()
    await until('it is closed', async () => (await world.ledger.task(first))?.state === 'closed')
    assert.equal((await later.files()).length, 2, 'a log and a bundle')
    later.late = 3_000_000
    const second = await later.settled()
    await until('it is closed', async () => (await world.ledger.task(second))?.state === 'closed')
    const kept = await later.files()
    assert.equal(kept.length, 4)
    later.late = RETENTION - DAY
    await world.bridge.sweep()
    assert.deepEqual(await later.files(), kept)
    assert.equal(await later.state(first), 'closed')

    later.late = RETENTION + 60_000
    await world.bridge.sweep()
    assert.equal(await later.state(first), 'TASK_UNKNOWN')
    assert.equal(await later.state(second), 'closed')
    const left = await later.files()
    assert.equal(left.length, 2)
    assert.ok(left.every(name => kept.includes(name) && !name.includes(toHex(first))))
    const { tasks } = await world.client(later.person).tasks()
    assert.deepEqual(
      tasks.map(({ task }) => task),
      [second]
    )
  })

  it('stays for as long as the ledger has not closed its task, however late it is', async () => {
    await later.start(600_000)
    const task = await later.settled()
    later.late = 10 * RETENTION
    await later.world.bridge.sweep()
    assert.equal((await later.files()).length, 2)
    assert.equal((await later.world.ledger.task(task))?.state, 'settled')
  })

  it('is deleted after an hour where no task names it, and is bounded until then', async () => {
    await later.start(1_000)
    const client = later.world.client(later.person)
    const put = async (size: number): Promise<Uint8Array> => {
      const bytes = new Uint8Array(size).fill(size)
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
      const token = await client.tokens.get()
      await client.http.bytes('PUT', `/v1/blobs/${toCid(hash, 'raw')}`, { token, body: bytes })
      return hash
    }
    const hash = await put(600_000)
    const refusal: unknown = await put(600_001).catch((error: unknown) => error)
    assert.ok(isPekkaError(refusal) && refusal.code === 'BLOB_QUOTA' && refusal.status === 507)
    later.late = 3_500_000
    await later.world.bridge.sweep()
    assert.deepEqual(await later.files(), [toHex(hash)])
    later.late = 3_700_000
    await later.world.bridge.sweep()
    assert.deepEqual(await later.files(), [])
    await put(600_001)
  })
})
