import assert from 'node:assert/strict'
import { genesisState, unitsOf, type VerifiedTransaction } from '@pekka/node/ledger'
import { DEVNET_PARAMETERS, networkId } from '@pekka/node/protocol'
import { Admission } from '../../../src/agents/witness/admission.js'
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
    const entered: (() => void)[] = []
    try {
      for (;;) entered.push(admitting.enter(transaction, SIZE))
    } catch {
      for (const leave of entered) leave()
      return entered.length
    }
  }

  it('lets in what its units are enough for, and again once that is ordered', () => {
    const admitting = admission()
    assert.equal(room(admitting), most)
    const leave = admitting.enter(transaction, SIZE)
    assert.equal(room(admitting), most - 1)
    leave()
    assert.equal(room(admitting), most)
    assert.equal(admitting.size, 0)
  })

  it('counts what the ledger refused as used: it has cost its sender nothing there, and this witness its quota', () => {
    const admitting = admission()
    admitting.enter(transaction, SIZE)()
    admitting.wasted(transaction)
    admitting.wasted(transaction)
    assert.equal(room(admitting), most - 2)
  })
})
