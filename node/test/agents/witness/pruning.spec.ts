import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex, trustGenesis, verifyProof, type TransactionOutcome } from '@pekka/node/protocol'
import type { CommitResult } from '@pekka/node/ledger'
import {
  batchOf,
  Checkpoints,
  commitView,
  HistoryPruner,
  LocalLedger,
  loneCertifier,
  LoneSequencer,
  MIN_KEPT_COMMITS,
  parseKeepHistory,
  type HistoryPrunerInit
} from '@pekka/node/agents/witness'
import { createHashing, createVerifier } from '@pekka/node/host/crypto'
import { createLedgerStore, type ForgottenHistory, type LedgerBatch, type LedgerStore } from '@pekka/node/host/storage'
import { PAST_KEPT_MS, PRUNE_STEP_COMMITS } from '../../../src/agents/witness/constants.js'
import { parseSettings } from '../../../src/agents/witness/settings.js'
import { FINAL_WINDOW } from '../../../src/agents/witness/network/constants.js'
import { askKey, pastKey } from '../../../src/agents/witness/past.js'
import { openMarket, offerTask, START, type Market } from '../../core/ledger/support.js'
import { createTestNetwork, faucet, Sender } from './support.js'

const log = { info: () => {}, error: (data: object) => assert.fail(JSON.stringify(data)) }
const at = (index: number) => ({ index, certificate: new Uint8Array([index]) })
const keysBeside = async (store: LedgerStore): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of store.beside.rows({ gte: '', lt: '\uffff' })) keys.push(key)
  return keys
}

describe('how much of the past a witness keeps', () => {
  it('is all of it, a time, or a number of commits, and never too few to start with', () => {
    assert.equal(parseKeepHistory('all'), null)
    assert.deepEqual(parseKeepHistory('30d'), { ms: 30 * 86_400_000 })
    assert.deepEqual(parseKeepHistory('36h'), { ms: 36 * 3_600_000 })
    assert.deepEqual(parseKeepHistory('8w'), { ms: 56 * 86_400_000 })
    assert.deepEqual(parseKeepHistory(String(MIN_KEPT_COMMITS)), { commits: MIN_KEPT_COMMITS })
    for (const text of ['', '0', '0d', '-5', '30', '1.5d', '30 d', '30m', 'none', `${MIN_KEPT_COMMITS - 1}`, '1e9'])
      assert.equal(parseKeepHistory(text), undefined, text)
    assert.ok(MIN_KEPT_COMMITS > FINAL_WINDOW)
  })

  it('stands in the settings, where nothing is deleted unless it says so', () => {
    const settings = { network: 'a'.repeat(64), genesis: 'g', listen: ['/ip4/127.0.0.1/tcp/0'], readyFile: 'r' }
    assert.equal(parseSettings('/x/settings.json', settings).keepHistory, null)
    const { keepHistory } = parseSettings('/x/settings.json', { ...settings, keepHistory: '30d' })
    assert.deepEqual(keepHistory, { ms: 30 * 86_400_000 })
    assert.throws(() => parseSettings('/x/settings.json', { ...settings, keepHistory: '7' }), /30d/)
  })
})

describe('deleting old history', () => {
  let folder = ''
  let store: LedgerStore
  let market: Market
  let written = 0

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-prune-'))
    store = createLedgerStore({ folder })
    await store.start()
    await store.create(new Uint8Array(32), [])
    market = openMarket(1)
    market.chain.checking = false
    written = 0
  })
  afterEach(async () => {
    await store.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** Stores what the chain has come to, as a witness does. */
  async function keep(): Promise<void> {
    const { results } = market.chain
    for (const result of results.slice(written)) await store.write(withoutRows(result))
    written = results.length
  }

  /** So many commits in all, a second between them. */
  async function growTo(count: number): Promise<void> {
    while (market.chain.results.length < count) market.chain.commit(1_000)
    await keep()
  }

  const prunerOf = (init: Partial<HistoryPrunerInit> & Pick<HistoryPrunerInit, 'keep'>, needed?: () => boolean) =>
    new HistoryPruner(
      { store, state: () => market.chain.state, log, pause: async () => {}, ...(needed && { needed }) },
      { least: 10, ...init }
    )

  it('leaves the newest commits, and nothing of the others: bodies, places, indices', async () => {
    await growTo(100)
    await store.writeCheckpoint(at(69), 0)
    await store.writeCheckpoint(at(99), 0)
    await prunerOf({ keep: { commits: 30 } }).look()
    assert.deepEqual([await store.first(), store.last(), store.indexedFrom()], [70, 99, 70])
    for (let index = 0; index < 100; index++) assert.equal((await store.commit(index)) !== null, index >= 70)
    const old = market.chain.results.slice(0, 70).flatMap(({ ordered }) => ordered)
    assert.ok(old.length > 3)
    for (const { outcome } of old) assert.equal(await store.locate(outcome.id), null)
    for await (const index of store.changesOf(market.client.account, 200)) assert.ok(index >= 70)
    // What it comes to is the same when it is opened anew.
    await store.stop()
    await store.start()
    assert.deepEqual([await store.first(), store.last()], [70, 99])
  })

  it('goes no further than a certified checkpoint, and nowhere without one', async () => {
    await growTo(100)
    const pruner = prunerOf({ keep: { commits: 30 } })
    await pruner.look()
    assert.equal(await store.first(), 0)
    await store.writeCheckpoint(at(51), 0)
    await pruner.look()
    assert.equal(await store.first(), 52)
    await store.writeCheckpoint(at(80), 0)
    await pruner.look()
    assert.equal(await store.first(), 52, 'from there to the next one all is needed for its proofs')
  })

  it('goes as far as it should where certificates of long ago are gone', async () => {
    await growTo(100)
    await store.writeCheckpoint(at(90), 0)
    await prunerOf({ keep: { commits: 30 } }).look()
    assert.equal(await store.first(), 70)
  })

  it('leaves what a restart, the rules and a snapshot in the making read, whatever is set', async () => {
    await growTo(100)
    for (let index = 0; index < 100; index++) await store.writeCheckpoint(at(index), 0)
    let making = true
    const waiting = prunerOf({ keep: { commits: 1 }, least: 90 }, () => making)
    await waiting.look()
    assert.equal(await store.first(), 0)
    making = false
    await waiting.look()
    assert.equal(await store.first(), 10)
    await prunerOf({ keep: { commits: 1 }, least: 40 }).look()
    assert.equal(await store.first(), 60)
    await prunerOf({ keep: { ms: 1 }, least: 40 }).look()
    assert.equal(await store.first(), 60)
  })

  it('counts a time by the ledger’s own clock', async () => {
    await growTo(100)
    for (let index = 0; index < 100; index++) await store.writeCheckpoint(at(index), 0)
    const newest = market.chain.timestamp
    await prunerOf({ keep: { ms: 20_000 } }).look()
    assert.equal(await store.first(), 79)
    assert.equal(market.chain.results[79]?.header.timestamp, newest - 20_000)
    await prunerOf({ keep: { ms: 1_000_000_000 } }).look()
    assert.equal(await store.first(), 79)
  })

  it('does a bounded piece of work in each step, and each step is whole', async () => {
    await growTo(400)
    await store.writeCheckpoint(at(389), 0)
    const steps: ForgottenHistory[] = []
    const forget = store.forget.bind(store)
    store.forget = async history => {
      steps.push(history)
      await forget(history)
      // As a kill -9 right here would leave it.
      const first = await store.first()
      assert.equal(await store.commit(first - 1), null)
      assert.ok(await store.commit(first))
    }
    await prunerOf({ keep: { commits: 10 } }).look()
    assert.equal(await store.first(), 390)
    assert.ok(steps.length >= 390 / PRUNE_STEP_COMMITS)
    for (const [i, { before }] of steps.entries()) assert.ok(before - (steps[i - 1]?.before ?? 0) <= PRUNE_STEP_COMMITS)
  })

  it('keeps what became of a transaction until nobody can send it again', async () => {
    const { chain, client } = market
    const { id } = chain.queue(client, { kind: 'cancel', task: new Uint8Array(32) }, { expiry: START + 500_000 })
    const never = { expiry: Number.MAX_SAFE_INTEGER }
    const { id: lasting } = chain.queue(client, { kind: 'cancel', task: new Uint8Array(32) }, never)
    chain.commit()
    await growTo(200)
    await store.writeCheckpoint(at(199), 0)
    const pruner = prunerOf({ keep: { commits: 10 } })
    await pruner.look()
    assert.equal(await store.locate(id), null)
    assert.ok(await store.beside.get(pastKey(toHex(id))))
    await growTo(600)
    await pruner.look()
    assert.equal(await store.beside.get(pastKey(toHex(id))), null)
    assert.ok(await store.beside.get(pastKey(toHex(lasting))))
    chain.commit(PAST_KEPT_MS)
    await keep()
    await pruner.look()
    assert.equal(await store.beside.get(pastKey(toHex(lasting))), null, 'a month is enough')
  })

  it('keeps the transactions of asks while they live', async () => {
    const { chain, providers } = market
    const [{ ask, agent }] = providers as [Market['providers'][number]]
    const row = chain.state.get('ask', toHex(ask.ask)) ?? assert.fail()
    const key = askKey(toHex(row.transaction))
    await growTo(100)
    await store.writeCheckpoint(at(99), 0)
    const pruner = prunerOf({ keep: { commits: 10 } })
    await pruner.look()
    const published = chain.results
      .flatMap(({ ordered }) => ordered)
      .find(({ outcome: { id } }) => toHex(id) === toHex(row.transaction))
    assert.deepEqual(await store.beside.get(key), published?.transaction.bytes)
    chain.done(agent, { kind: 'withdraw-ask', ask: ask.ask })
    await keep()
    await pruner.look()
    assert.equal(await store.beside.get(key), null)
  })

  it('keeps the last views of closed tasks for thirty days more, for who was away', async () => {
    const { chain, client } = market
    const task = offerTask(market)
    chain.done(client, { kind: 'cancel', task })
    assert.equal(chain.view(task).state, 'closed')
    await growTo(200)
    await store.writeCheckpoint(at(199), 0)
    const pruner = prunerOf({ keep: { commits: 10 } })
    await pruner.look()
    assert.ok(await store.closedTask(task))
    chain.commit(PAST_KEPT_MS)
    await keep()
    await pruner.look()
    assert.equal(await store.closedTask(task), null)
    assert.deepEqual(
      (await keysBeside(store)).filter(key => key.startsWith('past')),
      []
    )
  })

  it('gives the disk its space back once there is enough of it, also what an earlier life deleted', async () => {
    await growTo(100)
    await store.writeCheckpoint(at(89), 0)
    let compacted = 0
    store.compact = async () => void (compacted += 1)
    await prunerOf({ keep: { commits: 10 } }).look()
    assert.deepEqual([await store.first(), compacted], [90, 0])
    const later = prunerOf({ keep: { commits: 10 }, compactBytes: 1_000 })
    await later.look()
    await later.look()
    assert.equal(compacted, 1)
  })
})

describe('a ledger whose old history is deleted', function () {
  this.timeout(20_000)
  const network = createTestNetwork()
  const verifier = createVerifier()
  const trust = trustGenesis(network.genesis)
  let folder = ''
  let store: LedgerStore
  let ledger: LocalLedger
  let now = Date.now()
  const outcomes: TransactionOutcome[] = []
  const clock = { now: () => now }

  const open = async (): Promise<void> => {
    store = createLedgerStore({ folder })
    const prover = new Checkpoints(
      {
        store,
        certify: loneCertifier(network.witness, trust.members),
        hashing: createHashing(),
        log,
        later: work => {
          const soon = setImmediate(work)
          return () => clearImmediate(soon)
        }
      },
      { genesis: network.genesis }
    )
    const sequencer = new LoneSequencer({ signer: network.witness, clock, monotonic: () => performance.now() })
    ledger = new LocalLedger({ store, sequencer, prover, verifier, clock, log }, { genesis: network.bytes })
    await ledger.start()
  }
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-pruned-'))
    await open()
  })
  after(async () => {
    await ledger.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('says so of what is gone, answers what is sent again, proves what is left, and starts again', async () => {
    const sender = new Sender(network.demo.account, null, network.demo.signer)
    const first = await sender.sign(ledger, faucet())
    outcomes.push(await ledger.submit(first.bytes))
    for (let i = 0; i < 30; i++) {
      now += 1_000
      outcomes.push(await sender.send(ledger, faucet()))
      // A checkpoint between any two, as in real life every quarter of a second.
      await ledger.prove({ kind: 'rows', rows: [{ table: 'account', id: sender.account }] })
    }
    const [old, newest] = [outcomes[0]?.id ?? assert.fail(), outcomes.at(-1)?.id ?? assert.fail()]
    const proof = (await ledger.prove({ kind: 'transaction', id: old })) ?? assert.fail()

    const prune = (): Promise<void> =>
      new HistoryPruner({ store, state: () => ledger.state, log }, { keep: { commits: 10 }, least: 5 }).look()
    await prune()
    const oldest = await store.first()
    assert.ok(oldest > 10 && store.last() - oldest >= 9, `${oldest} of ${store.last()}`)

    for (let life = 0; life < 2; life++) {
      assert.equal(await ledger.transaction(old), null)
      const pruned = { code: 'HISTORY_PRUNED', data: { what: `transaction ${toHex(old)}`, first: oldest } }
      await assert.rejects(ledger.prove({ kind: 'transaction', id: old }), pruned)
      // Before the restart the last 64 are in memory still.
      if (life === 1)
        await assert.rejects(
          async () => {
            for await (const _ of ledger.follow(-1, new AbortController().signal)) assert.fail()
          },
          { code: 'HISTORY_PRUNED', data: { what: 'commit 0', first: oldest } }
        )
      const query = { account: sender.account, kinds: null, before: null, count: 200 }
      const page = await ledger.history({ kind: 'transactions', query })
      assert.deepEqual([page.first, page.next], [oldest, null])
      assert.ok(page.transactions.every(({ place }) => place.index >= oldest) && page.transactions.length > 5)
      // What was proved stays proved; it needs nobody's history.
      assert.equal((await verifyProof(proof, trust, verifier)).facts.length, 1)
      assert.ok(await ledger.prove({ kind: 'transaction', id: newest }))
      for (const { place } of page.transactions.slice(0, -1)) {
        const { outcome } =
          (await ledger.history({ kind: 'commits', query: { from: place.index, count: 1, ascending: true } }))
            .commits[0]?.transactions[place.position] ?? assert.fail()
        assert.ok(await ledger.prove({ kind: 'transaction', id: outcome.id }), `commit ${place.index}`)
      }
      // Sent again before it is expired it has the outcome that it had, not another one.
      assert.deepEqual(await ledger.submit(first.bytes), outcomes[0])
      await ledger.stop()
      await open()
    }
    sender.forget()
    assert.equal((await sender.send(ledger, faucet())).status, 'applied')
    // Nobody can say any more what became of it, and it can't be ordered again.
    now += 120_000
    await sender.send(ledger, faucet())
    await prune()
    const again = await ledger.submit(first.bytes)
    assert.deepEqual([again.status, 'code' in again && again.code], ['refused', 'TRANSACTION_EXPIRED'])
  })
})

/** Without rows: the state is in memory. */
const withoutRows = (result: CommitResult): LedgerBatch => ({
  ...batchOf(result, commitView(result, new Uint8Array(64))),
  rows: []
})
