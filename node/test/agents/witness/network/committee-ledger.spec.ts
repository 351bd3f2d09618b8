import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accountId, CREDIT, encodeCanonical, toHex, trustGenesis, verifyProof } from '@pekka/node/protocol'
import { STANDARD_PACE, STANDARD_PARAMETERS } from '@pekka/node/consensus'
import { brokenInvariants, verifyTransaction } from '@pekka/node/ledger'
import { createSigner, createVerifier, systemClock } from '@pekka/node/host/crypto'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import type { NetworkHost } from '@pekka/node/host/network'
import {
  committeeGenesis,
  createCommitteeLedger,
  LastProposed,
  OwnerLane,
  Registrar
} from '../../../../src/agents/witness/network/index.js'
import { FINAL_WINDOW } from '../../../../src/agents/witness/network/constants.js'
import { createTestNetwork, faucet, seed, Sender } from '../support.js'
import { startHost } from './committee.js'

const silent = { info: () => {}, warn: () => {}, error: () => {} }

/** Epochs of some 200 ms. */
const PARAMETERS = { ...STANDARD_PARAMETERS, epochCommits: 40, epochRounds: 400, gcDepth: 8 }
const PACE = { ...STANDARD_PACE, minRoundDelay: 0, idleDelay: 5 }

describe('witness: a committee of one', function () {
  this.timeout(60_000)
  let folder = ''
  let host: NetworkHost
  const owner = createSigner(seed())
  const policy = { threshold: 1, keys: [owner.publicKey] }
  const bareOwner = createSigner(seed())
  const barePolicy = { threshold: 1, keys: [bareOwner.publicKey] }
  const witnessSeed = seed()
  const signer = { ...createSigner(witnessSeed), seed: witnessSeed }
  const genesis = committeeGenesis({
    base: {
      ...createTestNetwork().genesis,
      accounts: [policy, barePolicy].map(of => ({ policy: of, balance: 10n * CREDIT }))
    },
    members: [{ seed: witnessSeed, stake: 5n, account: accountId(policy) }],
    parameters: PARAMETERS,
    epochs: 4
  })

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-committee-'))
    host = await startHost()
  })
  after(async () => {
    await host?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const open = (store: MemoryLedgerStore, name: string) =>
    createCommitteeLedger(
      {
        store,
        host,
        signer,
        verifier: createVerifier(),
        lastProposed: new LastProposed(join(folder, name)),
        clock: systemClock,
        log: silent
      },
      { genesis: encodeCanonical(genesis), peers: [], pace: PACE }
    )

  it('orders, goes through epochs, registers for later ones, and goes on after a restart', async () => {
    await LastProposed.create(join(folder, 'first'))
    const store = new MemoryLedgerStore()
    const sender = new Sender(accountId(policy), null, owner)
    let { ledger, sequencer } = open(store, 'first')
    await ledger.start()
    assert.equal((await sender.send(ledger, faucet())).status, 'applied')
    const registrar = new Registrar(
      {
        ledger,
        signer,
        account: owner,
        epoch: () => sequencer.epoch,
        chainEnd: epoch => sequencer.chainEnd(epoch),
        log: silent
      },
      { interval: 5 }
    )
    registrar.start()
    // The genesis has registered it for epochs 0 to 3.
    while ((sequencer.epoch ?? 0) < 5) await new Promise(resolve => setTimeout(resolve, 20))
    await registrar.stop()
    assert.deepEqual(brokenInvariants(ledger.state), [])
    await ledger.stop()
    const { epoch } = sequencer

    ;({ ledger, sequencer } = open(store, 'first'))
    await ledger.start()
    sender.forget()
    assert.equal((await sender.send(ledger, faucet())).status, 'applied')
    assert.ok((sequencer.epoch ?? 0) >= (epoch ?? 0))
    assert.deepEqual(brokenInvariants(ledger.state), [])
    // To who knows nothing but the genesis, over a certificate of each epoch.
    const bytes = await ledger.prove({ kind: 'rows', rows: [{ table: 'account', id: accountId(policy) }] })
    const proven = await verifyProof(bytes ?? assert.fail(), trustGenesis(genesis), createVerifier())
    assert.ok(proven.trust.epoch >= 5)
    const [fact] = proven.facts
    assert.equal(fact?.kind === 'account' && fact.row?.balance, (await ledger.account(accountId(policy)))?.balance)
    await ledger.stop()
  })

  it('takes a parent that was final before a restart, as every other witness does', async () => {
    await LastProposed.create(join(folder, 'second'))
    const store = new MemoryLedgerStore()
    const sender = new Sender(accountId(policy), null, owner)
    let { ledger, sequencer } = open(store, 'second')
    await ledger.start()
    const old = await sender.send(ledger, faucet())
    for (let i = 0; i < 4; i++) await sender.send(ledger, faucet())
    await ledger.stop()

    ;({ ledger, sequencer } = open(store, 'second'))
    await ledger.start()
    sender.forget()
    assert.ok(!(await ledger.time()).parents.some(parent => toHex(parent) === toHex(old.id)))
    const { bytes } = await sender.sign(ledger, faucet(), { parents: [old.id] })
    // As it comes in another witness's block: this one has never looked at its parents.
    const transaction = await verifyTransaction(bytes, createVerifier())
    await sequencer.propose(transaction, () => true)
    while ((await ledger.transaction(transaction.id)) === null) await new Promise(resolve => setTimeout(resolve, 5))
    await ledger.stop()
  })

  it('brings nothing into the order that the ledger would refuse: it would be this witness’s waste', async () => {
    await LastProposed.create(join(folder, 'third'))
    const store = new MemoryLedgerStore()
    const sender = new Sender(accountId(policy), null, owner)
    const { ledger } = open(store, 'third')
    await ledger.start()
    await sender.send(ledger, faucet())
    const unknown = new Uint8Array(32).fill(7)
    const submit = async (change: Parameters<Sender['sign']>[2]) => {
      const sending = new Sender(accountId(policy), null, owner)
      const outcome = await ledger.submit((await sending.sign(ledger, faucet(), change)).bytes)
      return 'code' in outcome ? outcome.code : outcome.status
    }
    const changes = [{ parents: [unknown] }, { previous: unknown }, { sequence: 9 }, { expiry: 1 }]
    assert.deepEqual(await Promise.all(changes.map(submit)), [
      'PARENT_UNKNOWN',
      'LANE_SEQUENCE',
      'LANE_SEQUENCE',
      'TRANSACTION_EXPIRED'
    ])
    assert.deepEqual([...ledger.state.keys('includer')], [])
    await ledger.stop()
  })

  it('takes no parent that is too old for a commit, however well its own disk knows it', async () => {
    await LastProposed.create(join(folder, 'fourth'))
    const old = new Uint8Array(32).fill(9)
    class OldStore extends MemoryLedgerStore {
      override async locate(id: Uint8Array): Promise<{ index: number; position: number } | null> {
        return toHex(id) === toHex(old) ? { index: -FINAL_WINDOW, position: 0 } : await super.locate(id)
      }
    }
    const sender = new Sender(accountId(policy), null, owner)
    const { ledger } = open(new OldStore(), 'fourth')
    await ledger.start()
    await sender.send(ledger, faucet())
    const outcome = await ledger.submit((await sender.sign(ledger, faucet(), { parents: [old] })).bytes)
    assert.equal('code' in outcome && outcome.code, 'PARENT_UNKNOWN')
    assert.deepEqual([...ledger.state.keys('includer')], [])
    await ledger.stop()
  })

  it('takes its own registration when it has wasted its quota, and nothing else of who has no bond', async () => {
    await LastProposed.create(join(folder, 'fifth'))
    const { ledger } = open(new MemoryLedgerStore(), 'fifth')
    await ledger.start()
    const staked = new OwnerLane({ ledger, signer, owner })
    const bare = new Sender(accountId(barePolicy), null, bareOwner)
    assert.equal((await bare.send(ledger, faucet())).status, 'applied')
    const { publicKey: witness } = signer
    ledger.state.put('includer', toHex(witness), { witness, left: 0, at: Date.now() - 1_000 })
    await staked.stake(0n, [])
    const outcome = await bare.send(ledger, faucet())
    assert.equal('code' in outcome && outcome.code, 'RATE_LIMITED')
    await ledger.stop()
  })

  it('writes nothing while its last proposal is lost', async () => {
    const { ledger, sequencer } = open(new MemoryLedgerStore(), 'never-made')
    const starting = ledger.start()
    for (;;) {
      const status = await sequencer.status()
      if (status !== null) {
        assert.deepEqual([status.writes, status.round, status.commit], [false, 0, -1])
        break
      }
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    await ledger.stop()
    await starting
  })
})
