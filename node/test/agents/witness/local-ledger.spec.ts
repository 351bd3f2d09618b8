import assert from 'node:assert/strict'
import {
  blockMessage,
  CREDIT,
  DEVNET_PARAMETERS,
  networkId,
  PekkaError,
  toHex,
  transactionsHash,
  type CommitView
} from '@pekka/node/protocol'
import { createLoneLedger, GAP_WAIT_MS, LocalLedger, LoneSequencer, type Sequencer } from '@pekka/node/agents/witness'
import { createSigner, createVerifier, systemClock } from '@pekka/node/host/crypto'
import { MemoryLedgerStore, type LedgerBatch } from '@pekka/node/host/storage'
import { createTestNetwork, faucet, seed, Sender } from './support.js'

const quiet = { info: () => {}, error: () => {} }

describe('witness: the ledger where it is executed', () => {
  const network = createTestNetwork()
  let store: MemoryLedgerStore
  let ledger: LocalLedger
  let demo: Sender

  const open = async (onFailure?: (error: unknown) => void): Promise<void> => {
    const components = { store, signer: network.witness, verifier: createVerifier(), clock: systemClock, log: quiet }
    ledger = createLoneLedger(components, { genesis: network.bytes, onFailure })
    await ledger.start()
    demo = new Sender(network.demo.account, null, network.demo.signer)
  }
  beforeEach(async () => {
    store = new MemoryLedgerStore()
    await open()
  })
  afterEach(() => ledger.stop())

  it('answers a transaction once it is final', async () => {
    const outcome = await demo.send(ledger, faucet(3n))
    assert.equal(outcome.status, 'applied')
    assert.equal((await ledger.account(demo.account))?.balance, 13n * CREDIT)
  })

  it('shows nothing that is not stored', async () => {
    const write = store.write.bind(store)
    let release: () => void = () => {}
    const gate = new Promise<void>(resolve => (release = resolve))
    store.write = async (batch: LedgerBatch) => {
      await gate
      await write(batch)
    }
    const sent = demo.send(ledger, faucet(3n))
    await new Promise(resolve => setTimeout(resolve, 20))
    assert.equal((await ledger.account(demo.account))?.balance, 10n * CREDIT)
    release()
    await sent
    assert.equal((await ledger.account(demo.account))?.balance, 13n * CREDIT)
  })

  it('answers a repeated transaction with its known outcome, before and after it is final', async () => {
    const { bytes } = await demo.sign(ledger, faucet(3n))
    const outcomes = await Promise.all([ledger.submit(bytes), ledger.submit(bytes), ledger.submit(bytes)])
    outcomes.push(await ledger.submit(bytes))
    await ledger.stop()
    await open()
    outcomes.push(await ledger.submit(bytes))
    for (const outcome of outcomes) assert.deepEqual(outcome, outcomes[0])
    assert.equal((await ledger.account(demo.account))?.balance, 13n * CREDIT)
  })

  it('answers what the ledger came to, where its own way in turns a transaction away that another witness’s block has brought', async () => {
    await ledger.stop()
    const sequencer: Sequencer = new LoneSequencer({
      signer: network.witness,
      clock: systemClock,
      monotonic: () => performance.now()
    })
    const propose = sequencer.propose.bind(sequencer)
    sequencer.propose = async (transaction, isFinal) => {
      await propose(transaction, isFinal)
      while ((await ledger.transaction(transaction.id)) === null) await new Promise(resolve => setImmediate(resolve))
      throw new PekkaError('LANE_SEQUENCE')
    }
    const components = {
      store: new MemoryLedgerStore(),
      sequencer,
      verifier: createVerifier(),
      clock: systemClock,
      log: quiet
    }
    ledger = new LocalLedger(components, { genesis: network.bytes })
    await ledger.start()
    const outcome = await demo.send(ledger, faucet(3n))
    assert.equal(outcome.status, 'applied')
  })

  it('R27: takes several sequences of a lane at once, in any order', async () => {
    const signed = []
    for (let i = 0; i < 4; i++) signed.push(await demo.sign(ledger, faucet()))
    const outcomes = await Promise.all([...signed].reverse().map(({ bytes }) => ledger.submit(bytes)))
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['applied', 'applied', 'applied', 'applied']
    )
  })

  it('refuses one whose predecessor never comes', async function () {
    this.timeout(GAP_WAIT_MS + 8_000)
    await demo.sign(ledger, faucet())
    const { bytes } = await demo.sign(ledger, faucet())
    const outcome = await ledger.submit(bytes)
    assert.deepEqual([outcome.status, 'code' in outcome && outcome.code], ['refused', 'LANE_SEQUENCE'])
  })

  it('refuses what may not be ordered, and makes no commit for it', async () => {
    const { index } = await ledger.time()
    const refusals = [
      [new Uint8Array([1, 2, 3]), 'ENCODING_NOT_CANONICAL'],
      [(await demo.sign(ledger, faucet(), { network: new Uint8Array(32) })).bytes, 'NETWORK_MISMATCH'],
      [(await new Sender(demo.account, null, createSigner(seed())).sign(ledger, faucet())).bytes, 'SIGNATURE_INVALID'],
      [
        (await new Sender(demo.account, null, demo.signer).sign(ledger, faucet(), { parents: [seed()] })).bytes,
        'PARENT_UNKNOWN'
      ],
      [
        (await new Sender(demo.account, null, demo.signer).sign(ledger, faucet(), { expiry: 1 })).bytes,
        'TRANSACTION_EXPIRED'
      ]
    ] as const
    for (const [bytes, code] of refusals) {
      const outcome = await ledger.submit(bytes)
      assert.deepEqual([outcome.status, 'code' in outcome && outcome.code], ['refused', code])
    }
    const broken = (await new Sender(demo.account, null, demo.signer).sign(ledger, faucet())).bytes
    broken[broken.length - 1] = (broken[broken.length - 1] ?? 0) ^ 1
    const outcome = await ledger.submit(broken)
    assert.equal(outcome.status, 'refused')
    assert.equal((await ledger.time()).index, index)
  })

  it('a provider’s peer must vouch for the account', async () => {
    const [provider] = network.providers
    const body = {
      kind: 'register-provider' as const,
      name: 'p',
      operator: null,
      peerKey: createSigner(seed()).publicKey,
      peerSignature: new Uint8Array(64)
    }
    const outcome = await new Sender(provider.account, null, provider.signer).send(ledger, body)
    assert.deepEqual([outcome.status, 'code' in outcome && outcome.code], ['refused', 'PEER_NOT_VOUCHED'])
  })

  it('follows history without gaps and then live, with headers that chain and are signed', async () => {
    for (let i = 0; i < 3; i++) await demo.send(ledger, faucet())
    const stop = new AbortController()
    const seen: CommitView[] = []
    for await (const commit of ledger.follow(-1, stop.signal)) {
      seen.push(commit)
      if (seen.length === 3) void demo.send(ledger, faucet())
      if (seen.length === 5) stop.abort()
    }
    let previous = networkId(network.genesis)
    const verifier = createVerifier()
    for (const [index, { header, transactions }] of seen.entries()) {
      assert.equal(header.index, index)
      assert.equal(toHex(header.previous), toHex(previous))
      const ordered = transactions.map(({ outcome }) => ({
        id: outcome.id,
        code: outcome.status === 'failed' ? outcome.code : null
      }))
      assert.equal(toHex(header.transactionsHash), toHex(transactionsHash(ordered)))
      previous = blockMessage(networkId(network.genesis), header)
      assert.ok(await verifier.verify(network.witness.publicKey, previous, header.signature))
    }
  })

  it('is the same after a restart', async () => {
    await demo.send(ledger, faucet(3n))
    const before = [await ledger.account(demo.account), (await ledger.time()).index]
    await ledger.stop()
    await open()
    assert.deepEqual([await ledger.account(demo.account), (await ledger.time()).index], before)
    assert.equal((await demo.send(ledger, faucet())).status, 'applied')
  })

  it('refuses a store that holds another network', async () => {
    await ledger.stop()
    const other = createTestNetwork()
    const components = { store, signer: other.witness, verifier: createVerifier(), clock: systemClock, log: quiet }
    await assert.rejects(createLoneLedger(components, { genesis: other.bytes }).start(), { code: 'NETWORK_MISMATCH' })
  })

  it('stops for good when the disk fails: nothing is acknowledged, and the process is told', async () => {
    let failure: unknown
    await ledger.stop()
    await open(error => (failure = error))
    store.write = async () => {
      throw new Error('no space left')
    }
    await assert.rejects(demo.send(ledger, faucet()), { code: 'LEDGER_UNREACHABLE' })
    assert.ok(failure instanceof Error)
    await assert.rejects(ledger.submit(new Uint8Array(3)), { code: 'LEDGER_UNREACHABLE' })
  })

  it('rests while nothing is pending', async () => {
    const { index } = await ledger.time()
    await new Promise(resolve => setTimeout(resolve, 1_300))
    assert.equal((await ledger.time()).index, index)
  })

  it('R12: commits at least once a second while a timer is pending', async () => {
    const [provider] = network.providers
    const sender = new Sender(provider.account, null, provider.signer)
    await sender.send(ledger, { kind: 'bond', amount: CREDIT })
    await sender.send(ledger, { kind: 'unbond', amount: CREDIT })
    const before = await ledger.time()
    const stop = new AbortController()
    let commits = 0
    for await (const { header } of ledger.follow(before.index, stop.signal)) {
      commits += 1
      assert.ok(header.contractTime > before.contractTime)
      assert.ok(header.contractTime - before.contractTime <= commits * DEVNET_PARAMETERS.maxStepMs)
      if (commits === 2) stop.abort()
    }
    assert.equal(commits, 2)
  })
})
