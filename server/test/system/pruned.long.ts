import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex } from '@pekka/node/protocol'
import type { NetworkHost } from '@pekka/node/host/network'
import { MIN_KEPT_COMMITS } from '@pekka/node/agents/witness'
import {
  createCommittee,
  startHost,
  TEST_PARAMETERS,
  type TestCommittee,
  type TestWitness
} from '../../../node/test/agents/witness/network/committee.js'
import { TestNetwork, needNetwork, sleep, until, type Command } from '../../../node/test/support/network.js'
import { counting } from './struck.js'

/** What people run. */
const BUILT = new URL('../../../node/dist/agents/witness/main.js', import.meta.url)
/** Four epochs in what is kept: one who lost its disk finds snapshots, and no blocks from before them. */
const PARAMETERS = { ...TEST_PARAMETERS, epochCommits: 2_500, epochRounds: 10_000 }
/** What takes a moment, on a machine that others keep busy. */
const WAIT_MS = 120_000
/** Some ten thousand commits at 40 a second or less, and a look of the pruners each minute. */
const PRUNED_MS = 30 * 60_000
/** A settled task is closed soon, so that this one is before the bridge goes on. */
const CONTEST_MS = 60_000
/** A task that goes on for longer than it takes to stop the bridge, and ends long before it goes on. */
const COUNT = counting(80, 0.25)

/**
 * Four witnesses that keep ten thousand commits and no more, under load, with a bridge, a wallet and two machines. The bridge is stopped in the middle of a task
 * until all that it lacks is deleted everywhere.
 */
describe('a whole network whose witnesses all delete old history', function () {
  this.timeout(PRUNED_MS + 300_000)
  let folder = ''
  let host: NetworkHost
  let committee: TestCommittee
  let network: TestNetwork
  let loading: Promise<void> = Promise.resolve()
  const ending = new AbortController()
  const commands: Command[] = []

  const witness = (i: number): TestWitness => committee.witnesses[i] ?? assert.fail('no such witness')

  before(async function () {
    needNetwork(this)
    folder = await mkdtemp(join(tmpdir(), 'pekka-pruned-'))
    host = await startHost()
    const keepHistory = String(MIN_KEPT_COMMITS)
    committee = await createCommittee(folder, host, 4, PARAMETERS, {
      ...{ registers: true, keepHistory, contestMs: CONTEST_MS },
      mainOf: () => BUILT
    })
    const { witnesses, bytes } = committee
    await Promise.all(witnesses.map(({ process }) => process.start()))
    const genesis = join(folder, 'genesis.cbor')
    await writeFile(genesis, bytes)
    network = await TestNetwork.start({ outside: { genesis, witnesses: witnesses.map(({ address }) => address) } })
    loading = load()
  })
  after(async () => {
    ending.abort()
    for (const command of commands) command.kill('SIGKILL')
    await loading.catch(() => {})
    await (network as TestNetwork | undefined)?.stop()
    await (committee as TestCommittee | undefined)?.end()
    await (host as NetworkHost | undefined)?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** A commit a round comes of a transaction a round; what one witness refuses another one takes. */
  async function load(): Promise<void> {
    await Promise.all(
      committee.senders.map(async (sender, i) => {
        while (!ending.signal.aborted)
          await sender.send(witness(i).client, { kind: 'faucet', amount: 1n }).catch(async () => {
            sender.forget()
            await sleep(200)
          })
      })
    )
  }

  function begun(args: string[]): Command {
    const command = network.begin(args)
    commands.push(command)
    return command
  }
  const oldest = async (): Promise<number[]> =>
    await Promise.all(committee.witnesses.map(async one => (await one.status()).first ?? 0))
  /** What a command says that ends so. */
  const says = async (code: number, ...args: string[]): Promise<string> => {
    const ended = await network.pekka(...args)
    assert.equal(ended.code, code, ended.stderr)
    return ended.stderr
  }

  it('loses nothing of a bridge that was stopped until all that it lacks was deleted, and its task was closed', async () => {
    const first = await network.run('first.py', 'print("first")')
    assert.equal(first.stdout, 'first\n', first.stderr)
    const task = toHex(first.item?.task ?? assert.fail())
    const proof = join(folder, 'first.json')
    await says(0, 'ledger', 'prove', task.slice(0, 12), '--out', proof)
    const tail = begun(['ledger', 'tail'])
    await until('the tail tells of something', () => tail.stdout.length > 0, WAIT_MS)

    const before = await network.free()
    const running = begun(['run', await network.file('count.py', COUNT.source)])
    await running.printed('line 5\n')
    const id = (await network.newest())?.task ?? assert.fail()
    const { commit } = await witness(0).status()
    const bridge = await network.signal('bridge', 'SIGSTOP')
    try {
      await until('each has deleted it', async () => Math.min(...(await oldest())) > commit + 1, PRUNED_MS, 1_000)
      const state = async () => (await witness(0).client.task(id))?.state
      await until('its task is closed', async () => (await state()) === 'closed', PRUNED_MS, 1_000)
    } finally {
      process.kill(bridge, 'SIGCONT')
    }
    // Whoever waits gets all of the output, and the bill.
    const ended = await running.ended
    assert.deepEqual([ended.stdout, ended.code], [COUNT.all, 0], ended.stderr)
    assert.match(ended.stderr, /Done, not re-run/)
    const item = await network.newest()
    assert.deepEqual([item?.view?.state, item?.view?.reason], ['closed', 'not-rerun'])
    assert.equal(before - (await network.free()), item?.view?.paid)
    assert.equal((await network.account()).locked, 0n)
    const told = tail.stdout.length
    await until('the tail goes on', () => tail.stdout.length > told, WAIT_MS)
    assert.match(tail.stderr, /Commits \d+ to \d+ aren’t kept any more/)
    tail.kill('SIGINT')
    await tail.ended

    // What is gone is said to be gone; what was proved before stays proved.
    for (const what of [[task], ['--kind', 'transaction', toHex(first.item?.view?.transactions[0] ?? assert.fail())]])
      assert.match(
        await says(70, 'ledger', 'prove', ...what),
        /history is kept here from commit \d+ on.*HISTORY_PRUNED/
      )
    assert.match(await says(0, 'ledger', 'tail', '--from', '0', '-n', '1'), /Commits 0 to \d+ aren’t kept any more/)
    await says(0, 'ledger', 'verify', proof)
    const second = await network.run('second.py', 'print("second")')
    assert.equal(second.stdout, 'second\n', second.stderr)
  })

  it('takes back one that lost its database: it begins with a snapshot, and writes again', async () => {
    const { process } = witness(2)
    await process.end('SIGKILL')
    await witness(2).wipe(false)
    await process.start()
    assert.match(process.log, /begun with a snapshot/)
    const { first = 0 } = await witness(2).until(({ writes }) => writes)
    assert.ok(first > 0)
    const run = await network.run('third.py', 'print("third")')
    assert.equal(run.stdout, 'third\n', run.stderr)
    const { account } = committee.senders[0] ?? assert.fail()
    await until(
      'it has the same as another',
      async () => {
        const [one, other] = await Promise.all([0, 2].map(i => witness(i).client.account(account)))
        return one?.balance === other?.balance
      },
      WAIT_MS
    )
  })
})
