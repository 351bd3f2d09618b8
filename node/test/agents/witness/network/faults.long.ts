import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CREDIT,
  toHex,
  trustGenesis,
  verifyProof,
  type CommitView,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { createVerifier } from '@pekka/node/host/crypto'
import { LedgerClient, type NetworkHost } from '@pekka/node/host/network'
import { FaultNet } from '../../../support/fault-net.js'
import { faucet, type Sender } from '../support.js'
import { createCommittee, startHost, TEST_PARAMETERS, type TestCommittee, type TestWitness } from './committee.js'

const BYZANTINE = new URL('../../../support/byzantine-witness.ts', import.meta.url)
const LIAR = 3
/** Longest time from a fault's end to the next final transaction, on a machine that others keep busy, ms. */
const RESUMES_MS = 60_000

/** Three honest witnesses and a dishonest one, each behind proxies, that are cut off, left half open, stopped, killed and wiped. */
describe('witness: a committee of four, one of them dishonest, under faults', function () {
  this.timeout(600_000)
  /** From a fault's end until each honest one has made transactions final again, ms. */
  let longest = 0
  let folder = ''
  let host: NetworkHost
  let committee: TestCommittee
  /** Names the dishonest one first. */
  let client: LedgerClient
  const net = new FaultNet()
  const acknowledged: TransactionOutcome[] = []
  const watch = new AbortController()
  let watching: Promise<number> = Promise.resolve(0)

  const witness = (i: number): TestWitness => committee.witnesses[i] ?? assert.fail('no such witness')
  const sender = (i: number): Sender => committee.senders[i] ?? assert.fail('no such sender')
  const honest = (): TestWitness[] => committee.witnesses.slice(0, LIAR)
  const send = async (from: number, through: LedgerClient, times = 1): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const outcome = await sender(from).send(through, faucet())
      assert.equal(outcome.status, 'applied', JSON.stringify(outcome))
      acknowledged.push(outcome)
    }
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-faults-'))
    host = await startHost()
    committee = await createCommittee(folder, host, 4, TEST_PARAMETERS, {
      peersOf: (i, addresses) => net.peersOf(i, addresses),
      mainOf: i => (i === LIAR ? BYZANTINE : undefined)
    })
    await Promise.all(committee.witnesses.map(({ process }) => process.start()))
    const addresses = [witness(LIAR), ...honest()].map(({ address }) => address)
    client = new LedgerClient({ host }, { addresses, patience: 120_000 })
    watching = readOn()
  })
  after(async () => {
    console.info(`      longest time from a fault's end until all three had made two final: ${Math.round(longest)} ms`)
    watch.abort()
    await watching.catch(() => {})
    await client?.stop()
    await committee?.end()
    await net.stop()
    await host?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** Balances only grow here: nobody pays. One that shrinks was read from before what had been read. */
  async function readOn(): Promise<number> {
    let [reads, last] = [0, 0n]
    const { account } = sender(0)
    for (; !watch.signal.aborted; reads++) {
      const balance = (await client.account(account, watch.signal).catch(() => null))?.balance ?? last
      assert.ok(balance >= last, `${balance} after ${last}`)
      last = balance
      await sleep(50)
    }
    return reads
  }

  /** While it lasts others may or may not be served; afterwards everybody is. */
  async function struck(fault: () => Promise<void>): Promise<void> {
    await fault()
    const began = performance.now()
    for (const i of [0, 1, 2]) {
      sender(i).forget()
      await send(i, witness(i).client, 2)
    }
    longest = Math.max(longest, performance.now() - began)
    assert.ok(performance.now() - began < RESUMES_MS, `${performance.now() - began} ms`)
    await same()
  }

  it('orders what its clients send, whatever the dishonest one says', async () => {
    await Promise.all([0, 1, 2].map(i => send(i, witness(i).client, 10)))
    await send(3, client, 5)
    await same()
  })

  it('goes on after one was cut off', () =>
    struck(async () => {
      net.cutOff(0)
      await sleep(4_000)
      net.heal(0)
    }))

  it('goes on after one’s links stood half open', () =>
    struck(async () => {
      net.halfOpen(1)
      await sleep(15_000)
      net.heal(1)
    }))

  it('goes on after one was stopped and continued', () =>
    struck(async () => {
      witness(2).process.child?.kill('SIGSTOP')
      await sleep(6_000)
      witness(2).process.child?.kill('SIGCONT')
    }))

  it('goes on after one was killed', () =>
    struck(async () => {
      await witness(0).process.end('SIGKILL')
      await witness(0).process.start()
    }))

  it('goes on after one lost its database, and had the dishonest one alone to ask for it at first', () =>
    struck(async () => {
      const { answers = 0 } = await lies()
      await witness(1).process.end('SIGKILL')
      await witness(1).wipe(false)
      net.leave(1, LIAR)
      const starting = witness(1).process.start()
      while (((await lies()).answers ?? 0) === answers) await sleep(100)
      net.heal(1)
      await starting
      await witness(1).until(({ writes }) => writes)
    }))

  it('goes on after all honest ones were killed at once', () =>
    struck(async () => {
      await Promise.all(honest().map(({ process }) => process.end('SIGKILL')))
      await Promise.all(honest().map(({ process }) => process.start()))
    }))

  it('was lied to in each way, and no honest one stopped', async () => {
    const counts = await lies()
    for (const [kind, count] of Object.entries(counts)) assert.ok(count > 0, `${kind}: ${JSON.stringify(counts)}`)
    for (const { process } of honest()) assert.ok(!process.log.includes('the consensus has stopped itself'))
  })

  it('names the dishonest one, and nobody else, in each honest one’s log and status, also after restarts', async () => {
    const liar = toHex(committee.genesis.witnesses[LIAR]?.key ?? assert.fail())
    for (const one of honest()) {
      const { equivocated } = await one.until(status => status.equivocated.length > 0)
      assert.deepEqual([...new Set(equivocated.map(({ key }) => key))], [liar])
      assert.ok(one.process.log.includes('a witness equivocated'))
    }
  })

  it('is read on, never from before, once the dishonest one with its false height is gone', async () => {
    assert.ok((await client.time()).index >= 1_000_000_000, 'the lie was read')
    await witness(LIAR).process.end('SIGKILL')
    const { account } = sender(0)
    assert.equal((await client.account(account))?.balance, (await witness(0).client.account(account))?.balance)
    watch.abort()
    assert.ok((await watching) > 0)
  })

  it('has made and lost no credits, as a quorum has signed', async () => {
    const rows = committee.senders.map(({ account }) => ({ table: 'account' as const, id: account }))
    const bytes = await witness(0).client.prove({ kind: 'rows', rows })
    const { facts } = await verifyProof(bytes ?? assert.fail(), trustGenesis(committee.genesis), createVerifier())
    const sum = facts.reduce((all, fact) => all + (fact.kind === 'account' ? (fact.row?.balance ?? 0n) : 0n), 0n)
    assert.equal(sum, CREDIT * BigInt(10 * committee.senders.length + acknowledged.length))
  })

  /** How often the dishonest one has lied in each way. */
  async function lies(): Promise<Record<string, number>> {
    const { child } = witness(LIAR).process
    const told = new Promise<Record<string, number>>(resolve =>
      // byzantine-witness.ts answers any message with its counts.
      child?.once('message', message => resolve((message as { lies: Record<string, number> }).lies))
    )
    child?.send('what have you done')
    return await told
  }

  /** All honest ones have the same commits, and in them all that was acknowledged. */
  async function same(): Promise<void> {
    const last = Math.max(...acknowledged.map(outcome => ('index' in outcome ? outcome.index : 0)))
    const histories = await Promise.all(honest().map(one => one.history(last)))
    const [first = []] = histories
    for (const commits of histories) assert.deepEqual(commits.map(headOf), first.map(headOf))
    const final = new Set(first.flatMap(({ transactions }) => transactions.map(({ outcome }) => toHex(outcome.id))))
    for (const { id } of acknowledged) assert.ok(final.has(toHex(id)))
  }
})

/** What must be the same everywhere; each witness signs the headers that it serves itself. */
const headOf = ({ header: { signature: _, ...header } }: CommitView) => header

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
