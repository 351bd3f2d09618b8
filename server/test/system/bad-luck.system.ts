import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { shortId } from '@pekka/node/protocol'
import { TestNetwork, needNetwork, until, type Run } from '../../../node/test/support/network.js'
import { expectRun } from './expect.js'
import { counting, struck } from './struck.js'

/** Long enough to be struck, short enough for a test. */
const COUNT = counting(30, 0.1)

/** docs/failures.md names these tests. Parts that die are killed with SIGKILL and are started again by the house. */
describe('bad luck on a whole network', function () {
  this.timeout(90_000)
  let network: TestNetwork

  before(async function () {
    this.timeout(150_000)
    needNetwork(this)
    network = await TestNetwork.start()
  })
  after(async function () {
    this.timeout(60_000)
    await (network as TestNetwork | undefined)?.stop()
  })

  /** Runs COUNT and strikes in the middle of it. */
  const strikeAt = (strike: () => Promise<unknown>): Promise<Run> => struck(network, COUNT, strike)

  async function expectAll(run: Run): Promise<void> {
    assert.equal(run.stdout, COUNT.all)
    const says = [/^Done, not re-run {2}\d+ s {2}0\.\d+ credits/m]
    await expectRun(network, run, { exit: 0, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
    assert.equal(run.item?.view?.attempts.length, 1)
  }

  it('loses and doubles nothing when the bridge is killed in mid-run', async () => {
    await expectAll(await strikeAt(() => network.killAndWait('bridge')))
  })

  it('loses and doubles nothing when the bridge does not answer for a while', async () => {
    const run = await strikeAt(async () => {
      await network.signal('bridge', 'SIGSTOP')
      await new Promise(resolve => setTimeout(resolve, 4000))
      await network.signal('bridge', 'SIGCONT')
    })
    await expectAll(run)
  })

  it('goes on when Redis is killed in mid-run', async () => {
    await expectAll(await strikeAt(() => network.killAndWait('valkey')))
  })

  it('goes on when Redis is killed in mid-run and its data are gone', async () => {
    const wipe = (): Promise<void> => rm(network.folderOf('valkey'), { recursive: true })
    await expectAll(await strikeAt(() => network.killAndWait('valkey', wipe)))
    const next = await network.run('next.py', 'print("next")')
    assert.equal(next.stdout, 'next\n')
    await expectRun(network, next, { exit: 0, says: ['Done, not re-run'], state: 'settled', pays: 'its seconds' })
  })

  it('goes on when the witness is killed in mid-run', async () => {
    await expectAll(await strikeAt(() => network.killAndWait('witness')))
  })

  it('shows all output later when the command line was killed in mid-run', async () => {
    const path = await network.file('count.py', COUNT.source)
    const command = network.begin(['run', path])
    await command.printed('line 5\n')
    command.kill('SIGKILL')
    await command.ended
    const item = await network.newest()
    assert.ok(item)
    const logs = await network.pekka('logs', shortId(item.task, 8), '--follow')
    assert.equal(logs.stdout, COUNT.all)
    assert.match(logs.stderr, /Done, not re-run/)
    await until('it is settled', async () => (await network.newest())?.view?.state === 'settled')
    await network.quiet()
  })

  it('takes the task to the other machine when its provider is killed in mid-run, and pays once', async () => {
    const cells = [
      { cell_type: 'code', id: 'count', source: COUNT.source, metadata: {}, outputs: [], execution_count: null }
    ]
    const notebook = { nbformat: 4, nbformat_minor: 5, metadata: {}, cells }
    const path = await network.file('count.ipynb', JSON.stringify(notebook))
    const out = await network.file('out.ipynb', '')
    const before = await network.free()
    const command = network.begin(['run', '--out', out, path])
    await command.printed('line 5\n')
    const [, victim = ''] = /Running on (\S+)/.exec(command.stderr) ?? []
    await network.signal(victim, 'SIGKILL')
    const ended = await command.ended
    const run = { ...ended, item: await network.newest(), before, after: await network.free() }
    const says = ['The machine lost contact; another one tries.', 'Done, not re-run']
    await expectRun(network, run, { exit: 0, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
    const attempts = run.item?.view?.attempts ?? []
    assert.deepEqual(
      attempts.map(attempt => attempt.ended === 'committed'),
      [false, true]
    )
    // what the first attempt had printed doesn't stay in the notebook
    const written: { cells: { outputs: { text: string }[] }[] } = JSON.parse(await readFile(out, 'utf8'))
    assert.equal(written.cells[0]?.outputs.map(({ text }) => text).join(''), COUNT.all)
    await until(`${victim} serves again`, () => network.serves(victim), 60_000)
  })

  it('keeps output, price and receipt when all providers are killed after the commit', async () => {
    const run = await network.run('count.py', 'print("kept")')
    await Promise.all(['provider-1', 'provider-2'].map(name => network.killAndWait(name)))
    assert.ok(run.item)
    const id = shortId(run.item.task, 8)
    const logs = await network.pekka('logs', id)
    assert.equal(logs.stdout, 'kept\n')
    const path = await network.file('kept.receipt', '')
    await rm(join(network.home, 'receipts'), { recursive: true })
    await network.pekka('receipt', id, '--out', path)
    const verified = await network.pekka('verify', path)
    assert.match(verified.stdout, /All \d+ parts hold\./)
    await expectRun(network, run, { exit: 0, says: ['Done, not re-run'], state: 'settled', pays: 'its seconds' })
    assert.equal((await network.newest())?.view?.paid, run.item.view?.paid)
  })

  it('runs a task late when all providers are killed before its start', async () => {
    await Promise.all(['provider-1', 'provider-2'].map(name => network.signal(name, 'SIGKILL')))
    const run = await network.run('late.py', 'print("late")')
    assert.equal(run.stdout, 'late\n')
    await expectRun(network, run, { exit: 0, says: ['Done, not re-run'], state: 'settled', pays: 'its seconds' })
  })
})
