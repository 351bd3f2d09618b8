import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TestNetwork, needNetwork, sleep, until } from '../../../node/test/support/network.js'
import { expectRun } from './expect.js'
import { counting, struck } from './struck.js'

/** Longer than any fault here. */
const COUNT = counting(60, 0.25)

/** Four witnesses that are killed, stopped and wiped under a running task, seen as clients see them: through the bridge. */
describe('a whole network with four witnesses', function () {
  this.timeout(300_000)
  let network: TestNetwork
  const watch = new AbortController()
  let watching: Promise<number> = Promise.resolve(0)

  before(async function () {
    needNetwork(this)
    network = await TestNetwork.start({ witnesses: 4 })
    watching = readOn()
  })
  after(async function () {
    watch.abort()
    await watching.catch(() => {})
    await (network as TestNetwork | undefined)?.stop()
  })

  /** Reads proven states all the time: the client refuses one from before what it has seen, and what no quorum has signed. */
  async function readOn(): Promise<number> {
    let reads = 0
    for (; !watch.signal.aborted; reads++) {
      const error: unknown = await network.client.ledger.checkpoint().then(
        () => null,
        (reason: unknown) => reason
      )
      if (error instanceof Error && 'code' in error && error.code === 'PROOF_INVALID') throw error
      await sleep(100)
    }
    return reads
  }

  /** Runs COUNT and strikes in the middle of it. */
  async function survives(strike: () => Promise<unknown>): Promise<void> {
    const run = await struck(network, COUNT, strike)
    assert.equal(run.stdout, COUNT.all, run.stderr)
    await expectRun(network, run, { exit: 0, says: [], state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
    // It kept its lease: nobody took over.
    assert.equal(run.item?.view?.attempts.length, 1)
  }

  it('settles a task, and proves it by a quorum', async () => {
    const run = await network.run('one.py', 'print("one")')
    assert.equal(run.stdout, 'one\n')
    const task = run.item?.task ?? assert.fail()
    const { proven } = await network.client.ledger.proof('task', task)
    assert.equal(proven.trust.members.length, 4)
  })

  for (const name of ['witness-1', 'witness-3']) {
    it(`goes on when ${name} is killed in mid-run`, () => survives(() => network.killAndWait(name)))
  }

  it('goes on when one is stopped for a while, though its connections stand', async () => {
    await survives(async () => {
      await network.signal('witness-1', 'SIGSTOP')
      await sleep(9_000)
      await network.signal('witness-1', 'SIGCONT')
    })
  })

  it('ends no lease while two are stopped and nothing is final (R12), and goes on within seconds', async () => {
    await survives(async () => {
      await Promise.all(['witness-2', 'witness-4'].map(name => network.signal(name, 'SIGSTOP')))
      await sleep(8_000)
      await Promise.all(['witness-2', 'witness-4'].map(name => network.signal(name, 'SIGCONT')))
    })
  })

  it('goes on when one loses its database, which comes back from the others', async () => {
    const wipe = (): Promise<void> => rm(join(network.folderOf('witness-2'), 'ledger'), { recursive: true })
    await survives(() => network.killAndWait('witness-2', wipe))
  })

  it('has everything that was acknowledged after all were killed at once, and went back for no reader', async () => {
    const { tasks } = await network.client.tasks({ limit: 20 })
    const { balance } = await network.account()
    const names = [1, 2, 3, 4].map(i => `witness-${i}`)
    const pids = await Promise.all(names.map(name => network.signal(name, 'SIGKILL')))
    for (const [i, name] of names.entries())
      await until(`${name} is started again`, () => network.serves(name, pids[i]), 120_000)
    const next = await network.run('next.py', 'print("next")')
    assert.equal(next.stdout, 'next\n')
    for (const { task, view } of tasks) {
      const { proven } = await network.client.ledger.proof('task', task)
      const fact = proven.facts.find(({ kind }) => kind === 'task')
      assert.equal(fact?.kind === 'task' ? fact.row?.state : undefined, view?.state)
    }
    assert.ok((await network.account()).balance < balance)
    watch.abort()
    assert.ok((await watching) > 0)
  })
})
