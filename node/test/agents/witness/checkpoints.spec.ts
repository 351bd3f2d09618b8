import assert from 'node:assert/strict'
import {
  checkpointDigest,
  networkId,
  trustGenesis,
  verifyProof,
  type Certificate,
  type Proven
} from '@pekka/node/protocol'
import {
  Checkpoints,
  LocalLedger,
  LoneSequencer,
  createLoneLedger,
  loneCertifier,
  KEPT_COMMITS,
  type Certifier
} from '@pekka/node/agents/witness'
import { createHashing, createVerifier, systemClock } from '@pekka/node/host/crypto'
import { MemoryLedgerStore, type StoredRow } from '@pekka/node/host/storage'
import { createTestNetwork, faucet, type TestNetwork } from './support.js'

const verifier = createVerifier()
const log = { info: () => {}, error: () => {} }

/** One life of a witness on a store, whose checkpoints are made when the test says so. */
class Life {
  readonly ledger: LocalLedger
  readonly checkpoints: Checkpoints
  #due: (() => void)[] = []

  constructor(
    readonly network: TestNetwork,
    readonly store: MemoryLedgerStore,
    certify: Certifier = loneCertifier(network.witness, trustGenesis(network.genesis).members)
  ) {
    const later = (work: () => void) => {
      this.#due.push(work)
      return () => void (this.#due = this.#due.filter(one => one !== work))
    }
    const hashing = createHashing()
    this.checkpoints = new Checkpoints({ store, certify, hashing, log, later }, { genesis: network.genesis })
    const sequencer = new LoneSequencer({
      signer: network.witness,
      clock: systemClock,
      monotonic: () => performance.now()
    })
    const components = { store, sequencer, prover: this.checkpoints, verifier, clock: systemClock, log }
    this.ledger = new LocalLedger(components, { genesis: network.bytes })
  }

  static async start(network: TestNetwork, store: MemoryLedgerStore, certify?: Certifier): Promise<Life> {
    const life = new Life(network, store, certify)
    await life.ledger.start()
    return life
  }

  /** A second has passed. */
  due(): void {
    for (const work of this.#due.splice(0)) work()
  }

  /** A request that waits for the next checkpoint, which comes now. */
  async prove(what: Parameters<LocalLedger['prove']>[0]): Promise<Proven | null> {
    const answer = this.ledger.prove(what)
    for (let done = false; !done;) {
      this.due()
      done = await Promise.race([answer.then(() => true), new Promise<false>(resolve => setImmediate(resolve, false))])
    }
    const bytes = await answer
    return bytes === null ? null : await verifyProof(bytes, trustGenesis(this.network.genesis), verifier)
  }

  /** Draws from the faucet; gives the transaction's id. */
  async draw(): Promise<Uint8Array> {
    const outcome = await this.network.demo.send(this.ledger, faucet())
    assert.equal(outcome.status, 'applied')
    return outcome.id
  }

  account() {
    return this.prove({ kind: 'rows', rows: [{ table: 'account', id: this.network.demo.account }] })
  }
}

describe('checkpoints of a witness', () => {
  let network: TestNetwork
  let store: MemoryLedgerStore
  let lives: Life[]

  const start = async (certify?: Certifier): Promise<Life> => {
    const life = await Life.start(network, store, certify)
    lives.push(life)
    return life
  }

  beforeEach(() => {
    network = createTestNetwork()
    store = new MemoryLedgerStore()
    lives = []
  })

  afterEach(async () => {
    for (const life of lives) await life.ledger.stop()
  })

  it('prove an account and a transaction to who knows no more than the genesis', async () => {
    const life = await start()
    const id = await life.draw()
    const proven = await life.account()
    const [fact] = proven?.facts ?? []
    assert.ok(fact?.kind === 'account')
    assert.equal(
      fact.row?.balance,
      life.ledger.state.get('account', Buffer.from(network.demo.account).toString('hex'))?.balance
    )
    const ordered = await life.prove({ kind: 'transaction', id })
    assert.deepEqual(ordered?.facts, [{ kind: 'transaction', index: 1, position: 0, id, code: null }])
    assert.deepEqual(proven?.checkpoint.network, networkId(network.genesis))
  })

  it('cover what was final when the proof was asked for, never an older state', async () => {
    const life = await start()
    await life.draw()
    const before = await life.account()
    await life.draw()
    const after = await life.account()
    assert.ok(before && after && after.checkpoint.index > before.checkpoint.index)
    assert.deepEqual(after.checkpoint.previous, checkpointDigest(before.checkpoint))
  })

  it('are never waited for by a commit', async () => {
    const signing = Promise.withResolvers<Certificate>()
    const life = await start(() => signing.promise)
    await life.draw()
    life.due()
    await life.draw()
    await life.draw()
    // One that couldn't be signed doesn't end the ledger either: nothing is proved any more, that is all.
    signing.reject(new Error('nobody signs'))
    await life.draw()
    assert.equal(await life.ledger.prove({ kind: 'rows', rows: [] }), null)
  })

  it('show a transaction as failed with its code', async () => {
    const life = await start()
    const to = new Uint8Array(32).fill(9)
    const outcome = await network.demo.send(life.ledger, { kind: 'transfer', to, amount: 1n })
    const proven = await life.prove({ kind: 'transaction', id: outcome.id })
    const [fact] = proven?.facts ?? []
    assert.equal(fact?.kind === 'transaction' && fact.code, 'ACCOUNT_UNKNOWN')
  })

  it('go on after a stop between commit and checkpoint, with the transactions since the last one', async () => {
    const first = await start()
    await first.draw()
    const before = await first.account()
    const uncovered = [await first.draw(), await first.draw()]
    await first.ledger.stop()
    const second = await start()
    for (const id of uncovered) {
      const proven = await second.prove({ kind: 'transaction', id })
      assert.ok(before && proven)
      assert.deepEqual(proven.checkpoint.previous, checkpointDigest(before.checkpoint))
      assert.equal(proven.checkpoint.transactions, 2)
    }
  })

  it('hold on over a restart, and prove transactions of earlier ones', async () => {
    const first = await start()
    const ids: Uint8Array[] = []
    for (let i = 0; i < 3; i++) {
      ids.push(await first.draw())
      await first.account()
    }
    const last = await first.account()
    await first.ledger.stop()
    const second = await start()
    assert.deepEqual((await second.account())?.checkpoint, last?.checkpoint)
    for (const [i, id] of ids.entries()) {
      const proven = await second.prove({ kind: 'transaction', id })
      assert.deepEqual(proven?.facts, [{ kind: 'transaction', index: i + 1, position: 0, id, code: null }])
    }
  })

  it('are pruned; what only a pruned one covers can’t be proved any more', async () => {
    const life = await start()
    const old = await life.draw()
    await life.account()
    const young = await life.draw()
    const proven = await life.account()
    assert.ok(proven)
    const kept = await store.checkpointFrom(proven.checkpoint.index)
    assert.ok(kept)
    await store.writeCheckpoint(kept, proven.checkpoint.index)
    assert.equal(await store.checkpointBefore(proven.checkpoint.index), null)
    await life.draw()
    await life.account()
    assert.equal(await life.ledger.prove({ kind: 'transaction', id: old }), null)
    // Its checkpoint is there; the one before it, from which its transactions count, isn't.
    assert.equal(await life.ledger.prove({ kind: 'transaction', id: young }), null)
    assert.ok(KEPT_COMMITS > 86_400)
  })

  it('find a state on the disk that isn’t the one that was signed', async () => {
    const first = await start()
    await first.draw()
    await first.account()
    await first.ledger.stop()
    lives = []
    const rows: StoredRow[] = []
    for await (const row of store.rows()) rows.push(row)
    const torn = new MemoryLedgerStore()
    const account = rows.find(({ table }) => table === 'closed' || table === 'expiry' || table === 'lane')
    assert.ok(account)
    await torn.create(
      network.bytes,
      rows.filter(row => row !== account)
    )
    for (let index = 0; index <= store.last(); index++) {
      const commit = (await store.commit(index)) ?? assert.fail()
      await torn.write({ index, rows: [], commit, transactions: [], closedTasks: [] })
    }
    const stored = (await store.checkpointFrom(0)) ?? assert.fail()
    await torn.writeCheckpoint(stored, 0)
    await assert.rejects(Life.start(network, torn), /not the one of its checkpoint/)
  })

  it('give nothing to who asks for what isn’t there, and need no row', async () => {
    const life = await start()
    assert.equal(await life.ledger.prove({ kind: 'transaction', id: new Uint8Array(32) }), null)
    const empty = await life.prove({ kind: 'rows', rows: [] })
    assert.deepEqual(empty?.facts, [])
  })

  it('aren’t made by a witness that is no quorum', async () => {
    const lone = createLoneLedger(
      { store, signer: network.providers[0].signer, verifier, clock: systemClock, log },
      { genesis: network.bytes }
    )
    await lone.start()
    assert.equal(await lone.prove({ kind: 'rows', rows: [] }), null)
    await lone.stop()
  })
})
