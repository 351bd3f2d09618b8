import assert from 'node:assert/strict'
import { genesisState, unitsOf, type VerifiedTransaction } from '@pekka/node/ledger'
import { CREDIT, DEVNET_PARAMETERS, networkId, sha256, toHex, u32, type Body } from '@pekka/node/protocol'
import { Admission, type Entry } from '../../../src/agents/witness/admission.js'
import { createTestNetwork } from './support.js'

const SIZE = 400
const FREE = 4_000

describe('witness: what an account may have waiting', () => {
  const bandwidth = { base: FREE, freeBase: FREE, perCredit: 0, windowMs: 3_600_000, includerBytes: 1 << 20 }
  const network = createTestNetwork({ ...DEVNET_PARAMETERS, bandwidth })
  const transaction: VerifiedTransaction = {
    transaction: {
      v: 1,
      network: networkId(network.genesis),
      account: network.demo.account,
      key: null,
      sequence: 0,
      previous: null,
      parents: [networkId(network.genesis)],
      expiry: 0,
      body: { kind: 'transfer', to: network.providers[0].account, amount: 1n }
    },
    signatures: [{ key: network.demo.signer.publicKey, signature: new Uint8Array(64) }],
    id: new Uint8Array(32),
    bytes: new Uint8Array(SIZE)
  }
  const each = unitsOf(transaction.transaction, 1, SIZE)
  const most = Math.floor(FREE / each)

  function admission(): Admission {
    const state = genesisState(network.genesis)
    return new Admission({ state: () => state, clock: { now: () => network.genesis.createdAt } })
  }

  /** How many more it lets in. */
  function room(admitting: Admission): number {
    const entered: Entry[] = []
    try {
      for (;;) entered.push(admitting.enter(transaction, SIZE))
    } catch {
      for (const entry of entered) entry.leave()
      return entered.length
    }
  }

  it('lets in what its units are enough for, and again once that is ordered', () => {
    const admitting = admission()
    assert.equal(room(admitting), most)
    const entry = admitting.enter(transaction, SIZE)
    assert.equal(room(admitting), most - 1)
    entry.leave()
    assert.equal(room(admitting), most)
    assert.equal(admitting.size, 0)
  })

  it('counts what the ledger refused as used: it has cost its sender nothing there, and this witness its quota', () => {
    const admitting = admission()
    admitting.enter(transaction, SIZE).leave()
    admitting.wasted(transaction)
    admitting.wasted(transaction)
    assert.equal(room(admitting), most - 2)
  })

  describe('of accounts with nothing behind them', () => {
    const plain = createTestNetwork()
    const [{ account: bare }] = plain.providers
    const keyOf = new Map([plain.demo, ...plain.providers].map(({ account, signer }) => [account, signer.publicKey]))
    const of = (account: Uint8Array): VerifiedTransaction => ({
      ...transaction,
      transaction: { ...transaction.transaction, account },
      signatures: [{ key: keyOf.get(account) ?? new Uint8Array(32), signature: new Uint8Array(64) }]
    })

    function world(state = genesisState(plain.genesis)) {
      const time = { now: 0 }
      const clock = { now: () => plain.genesis.createdAt }
      const admitting = new Admission({ state: () => state, clock, monotonic: () => time.now })
      const enter = (account: Uint8Array, change: Partial<VerifiedTransaction['transaction']> = {}) => {
        const sent = of(account)
        return admitting.enter({ ...sent, transaction: { ...sent.transaction, ...change } }, SIZE)
      }
      return { time, admitting, enter, state }
    }

    it('random ones that the ledger doesn’t know take no room of those that it knows', () => {
      const { time, enter } = world()
      for (let at = 0; at < 10 * 512; at++) {
        time.now += 1_000 / 512
        try {
          // Signed, so that it stays counted.
          enter(sha256(u32(at))).leave()
        } catch {}
        if (at % 50 === 0) enter(bare).leave()
      }
    })

    it('forged ones that name them take no room either', () => {
      const { time, enter } = world()
      for (let at = 0; at < 10 * 512; at++) {
        time.now += 1_000 / 512
        enter(at % 2 === 0 ? bare : plain.demo.account).disown()
        if (at % 50 === 0) enter(bare).leave()
      }
    })

    it('nor what strangers have signed in their name, and it is not their waste', () => {
      const { time, admitting, enter } = world()
      const stranger = { ...of(bare), signatures: of(plain.demo.account).signatures }
      for (let wasted = 0; wasted < 100_000; wasted++) admitting.wasted(stranger)
      for (let at = 0; at < 10 * 512; at++) {
        time.now += 1_000 / 512
        try {
          admitting.enter(stranger, SIZE).leave()
        } catch {}
        if (at % 50 === 0) enter(bare).leave()
      }
    })

    it('a witness’s registration comes in beside any flood', () => {
      const { time, enter, state } = world()
      const witness = plain.witness.publicKey
      state.put('witness', toHex(plain.witness.publicKey), { account: bare, witness, stake: CREDIT, chains: [] })
      const full = () => {
        for (;;) enter(plain.demo.account).leave()
      }
      assert.throws(full, { code: 'RATE_LIMITED' })
      time.now += 1
      const body: Body = { kind: 'stake', amount: 0n, witness, witnessSignature: new Uint8Array(64), chains: [] }
      for (let at = 0; at < 512; at++) enter(bare, { body }).leave()
      assert.throws(() => enter(plain.demo.account, { body }), { code: 'RATE_LIMITED' })
    })
  })
})
