import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  accountId,
  commitPageSchema,
  evidenceAnswerSchema,
  toHex,
  transactionDetailSchema,
  verifyEquivocation,
  witnessPageSchema,
  type CommitPage
} from '@pekka/node/protocol'
import { Http, OwnerAccount } from '@pekka/node/client'
import { createVerifier, systemClock } from '@pekka/node/host/crypto'
import type { NetworkHost } from '@pekka/node/host/network'
import {
  createCommittee,
  startHost,
  TEST_PARAMETERS,
  type TestCommittee,
  type TestWitness
} from '../../../node/test/agents/witness/network/committee.js'
import { FaultNet } from '../../../node/test/support/fault-net.js'
import { TestNetwork, needNetwork, sleep, until } from '../../../node/test/support/network.js'
import { expectRun } from './expect.js'
import { LedgerWatch } from './ledger-watch.js'
import { counting, struck } from './struck.js'

/** What people run. */
const BUILT = new URL('../../../node/dist/agents/witness/main.js', import.meta.url)
const BYZANTINE = new URL('../../../node/test/support/byzantine-witness.ts', import.meta.url)
const LIAR = 3
/** How long it is waited until something is final again, ms: it takes a second or two, and the machine may be busy with other tests. */
const RESUMES_MS = 60_000
/** A lease is 30 s (R11). */
const LEASE_MS = 30_000
/** T goes on by no more than this from one commit to the next (R12), ms. */
const CONTRACT_STEP_MS = 2_000

/**
 * With one of four dishonest nothing is promised while another one is away, but that nothing is lost or taken back; and that it goes on once all three are back.
 *
 * Three honest witnesses and one that equivocates, withholds and lies, as processes behind proxies; a bridge, a wallet and two providers with sandboxes that
 * use them. Each fault there is, under running tasks; and all that is checked is what a client of the bridge sees.
 */
describe('a whole network on four witnesses, one of them dishonest, under every fault', function () {
  this.timeout(300_000)
  /** From a fault's end to the next final payment, ms; printed, since how fast this machine is isn't tested. */
  let longest = 0
  let folder = ''
  let host: NetworkHost
  let committee: TestCommittee
  let network: TestNetwork
  let watch: LedgerWatch
  let payer: OwnerAccount
  const net = new FaultNet()
  /** Ids of payments that the bridge said are final. */
  const acknowledged: string[] = []

  const witness = (i: number): TestWitness => committee.witnesses[i] ?? assert.fail('no such witness')
  const honest = (): TestWitness[] => committee.witnesses.slice(0, LIAR)
  /** Has credits of the genesis; only gets some. */
  const receiver = (): Uint8Array => (committee.senders[1] ?? assert.fail('no such sender')).account

  before(async function () {
    needNetwork(this)
    folder = await mkdtemp(join(tmpdir(), 'pekka-perturbed-'))
    host = await startHost()
    committee = await createCommittee(folder, host, 4, TEST_PARAMETERS, {
      peersOf: (i, addresses) => net.peersOf(i, addresses),
      mainOf: i => (i === LIAR ? BYZANTINE : BUILT)
    })
    const { witnesses, bytes } = committee
    await Promise.all(witnesses.map(({ process }) => process.start()))
    const genesis = join(folder, 'genesis.cbor')
    await writeFile(genesis, bytes)
    // What the bridge asks is behind proxies too; the dishonest one is asked last.
    const addresses = await net.peersOf(
      witnesses.length,
      witnesses.map(({ address }) => address)
    )
    network = await TestNetwork.start({ outside: { genesis, witnesses: addresses } })
    const { identity } = network.client
    const { signer, account } = committee.senders[0] ?? assert.fail('no such sender')
    assert.deepEqual(accountId({ threshold: 1, keys: [signer.publicKey] }), account)
    payer = new OwnerAccount(
      { http: new Http({ fetch }, { base: network.bridge }), clock: systemClock, verifier: createVerifier() },
      { network: identity.network, bridge: identity.bridge, account, signer }
    )
    watch = new LedgerWatch(network.client, [receiver()])
    watch.start()
  })
  after(async () => {
    console.info(`      longest time from a fault's end to the next final payment: ${Math.round(longest)} ms`)
    await (watch as LedgerWatch | undefined)?.stop()
    await (network as TestNetwork | undefined)?.stop()
    const { witnesses = [] } = (committee as TestCommittee | undefined) ?? {}
    await Promise.all(witnesses.map(({ client }) => client.stop()))
    await Promise.all(witnesses.map(({ process }) => process.end('SIGKILL')))
    await net.stop()
    await (host as NetworkHost | undefined)?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  afterEach(() => (watch as LedgerWatch | undefined)?.check())

  /** Pays until the bridge says so many times that a payment is final. What it couldn't say of one, may be or not. */
  async function pay(times: number): Promise<void> {
    const body = { kind: 'transfer' as const, to: receiver(), amount: 1n }
    for (let i = 0; i < times; i++)
      await until(
        'a payment is final',
        async () => {
          const acted = await payer.act(body).catch(() => null)
          if (acted?.status !== 'applied') return false
          acknowledged.push(toHex(acted.id))
          return true
        },
        RESUMES_MS
      )
  }

  /** Runs a task for longer than the fault takes, and pays when it is over; the task keeps its one lease, and settles. */
  async function survives(fault: () => Promise<unknown>, seconds = 15): Promise<void> {
    const count = counting(seconds * 4, 0.25)
    const run = await struck(network, count, async () => {
      await fault()
      const began = performance.now()
      await pay(1)
      longest = Math.max(longest, performance.now() - began)
      await pay(1)
    })
    assert.equal(run.stdout, count.all, run.stderr)
    await expectRun(network, run, { exit: 0, says: [], state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
    assert.equal(run.item?.view?.attempts.length, 1)
  }

  const stop = (i: number): unknown => witness(i).process.child?.kill('SIGSTOP')
  const goOn = (i: number): unknown => witness(i).process.child?.kill('SIGCONT')

  it('runs and settles a task, and proves it by a quorum', async () => {
    await pay(3)
    const run = await network.run('one.py', 'print("one")')
    assert.equal(run.stdout, 'one\n', run.stderr)
    const { proven } = await network.client.ledger.proof('task', run.item?.task ?? assert.fail())
    assert.equal(proven.trust.members.length, 4)
  })

  it('goes on when one is killed and started again', () =>
    survives(async () => {
      await witness(0).process.end('SIGKILL')
      await witness(0).process.start()
    }))

  it('goes on when one is stopped for a while, though its connections stand', () =>
    survives(async () => {
      stop(1)
      await sleep(5_000)
      goOn(1)
    }))

  it('goes on when one is cut off, and when its links carry nothing', () =>
    survives(async () => {
      net.cutOff(2)
      await sleep(4_000)
      net.heal(2)
      await pay(2)
      net.halfOpen(0)
      await sleep(12_000)
      net.heal(0)
    }, 25))

  it('goes on while one is behind a slow link', () =>
    survives(async () => {
      net.slow(1, 400)
      await pay(5)
      net.heal(1)
    }))

  it('goes on when one loses its database, which comes back from the others', () =>
    survives(async () => {
      await witness(2).process.end('SIGKILL')
      await witness(2).wipe(false)
      await witness(2).process.start()
      await witness(2).until(({ writes }) => writes)
    }))

  it('ends no lease while nothing is final for longer than one lasts, since contract time stands still (R12)', async () => {
    const stall = LEASE_MS + 15_000
    await survives(async () => {
      stop(0)
      stop(1)
      await sleep(stall)
      goOn(0)
      goOn(1)
    }, 75)
    let longest = { wall: 0, contract: 0 }
    let next: string | null = ''
    while (next !== null && longest.wall < LEASE_MS) {
      const page: CommitPage = await watch.get(`/v1/ledger/commits?limit=64${next}`, commitPageSchema)
      const headers = page.commits.map(({ header }) => header)
      for (const [i, later] of headers.entries()) {
        const earlier = headers[i + 1]
        const wall = earlier === undefined ? 0 : later.timestamp - earlier.timestamp
        if (earlier !== undefined && wall > longest.wall)
          longest = { wall, contract: later.contractTime - earlier.contractTime }
      }
      // The pages share a commit, so that no step between two lies between two pages.
      next = page.next === null ? null : `&before=${Number(page.next) + 1}`
    }
    assert.ok(longest.wall >= LEASE_MS, `nothing was final for ${longest.wall} ms`)
    assert.ok(longest.contract <= CONTRACT_STEP_MS, `T went on by ${longest.contract} ms`)
  })

  it('goes on after all honest ones were killed at once', () =>
    survives(async () => {
      await Promise.all(honest().map(({ process }) => process.end('SIGKILL')))
      await Promise.all(honest().map(({ process }) => process.start()))
    }, 25))

  it('goes on after its bridge was killed', () => survives(() => network.killAndWait('bridge'), 25))

  it('names the dishonest one, and nobody else, with evidence that anyone can check', async () => {
    const liar = toHex(committee.genesis.witnesses[LIAR]?.key ?? assert.fail())
    const accused = async () => {
      const { witnesses } = await watch.get('/v1/ledger/witnesses?limit=200', witnessPageSchema)
      return witnesses.filter(({ equivocated }) => equivocated.length > 0)
    }
    await until('the bridge names it', async () => (await accused()).length > 0, RESUMES_MS)
    const [named, ...others] = await accused()
    assert.deepEqual([toHex(named?.key ?? assert.fail()), others], [liar, []])
    const { epoch, round } = named?.equivocated[0] ?? assert.fail()
    const path = `/v1/ledger/evidence?witness=${liar}&epoch=${epoch}&round=${round}`
    const { evidence } = await watch.get(path, evidenceAnswerSchema)
    const shown = await verifyEquivocation(evidence, committee.network, createVerifier())
    assert.deepEqual([toHex(shown.key), shown.epoch, shown.round], [liar, epoch, round])
    for (const one of honest()) {
      const { equivocated } = await one.until(status => status.equivocated.length > 0)
      assert.deepEqual([...new Set(equivocated.map(each => each.key))], [liar])
      assert.ok(one.process.log.includes('a witness equivocated'))
      assert.ok(!one.process.log.includes('the consensus has stopped itself'))
    }
  })

  it('has everything that was acknowledged, once, and told it once to who follows', async () => {
    await pay(1)
    assert.ok(acknowledged.length >= 25)
    let last = 0
    for (const id of acknowledged) {
      const { code, place } = await watch.get(`/v1/ledger/transactions/${id}`, transactionDetailSchema)
      assert.equal(code, null)
      last = Math.max(last, place.index)
    }
    const { tasks } = await network.client.tasks({ limit: 50 })
    assert.ok(tasks.length >= 9)
    for (const { task, view } of tasks) {
      const { proven } = await network.client.ledger.proof('task', task)
      const fact = proven.facts.find(({ kind }) => kind === 'task')
      assert.equal(fact?.kind === 'task' ? fact.row?.state : undefined, view?.state)
      assert.ok(view?.state === 'settled' || view?.state === 'closed')
      for (const id of view.transactions) last = Math.max(last, (await placeOf(id)).index)
    }
    await until('the tail has told of all that', () => watch.through >= last, RESUMES_MS)
    const all = [...acknowledged, ...tasks.flatMap(({ view }) => (view?.transactions ?? []).map(toHex))]
    for (const id of all) assert.equal(watch.told.get(id), 1, id)
    for (const times of watch.told.values()) assert.equal(times, 1)
    assert.ok(watch.looks > 50, `${watch.looks} looks`)
  })

  const placeOf = async (id: Uint8Array) =>
    (await watch.get(`/v1/ledger/transactions/${toHex(id)}`, transactionDetailSchema)).place
})
