import assert from 'node:assert/strict'
import { MemoryState, verifyTransaction, type VerifiedTransaction } from '@pekka/node/ledger'
import { encodeSigned, networkId, signTransaction, type Transaction } from '@pekka/node/protocol'
import { createVerifier } from '@pekka/node/host/crypto'
import { LaneGate } from '../../../../src/agents/witness/network/lane-gate.js'
import { createTestNetwork, faucet, type Sender } from '../support.js'

describe('witness: lanes of a committee', () => {
  const network = createTestNetwork()

  async function transaction(sender: Sender, sequence: number): Promise<VerifiedTransaction> {
    const content: Transaction = {
      v: 1,
      network: networkId(network.genesis),
      account: sender.account,
      key: null,
      sequence,
      previous: sequence === 0 ? null : new Uint8Array(32).fill(sequence),
      parents: [networkId(network.genesis)],
      expiry: Date.now() + 60_000,
      body: faucet()
    }
    const bytes = encodeSigned(await signTransaction(content, [sender.signer]))
    return verifyTransaction(bytes, createVerifier())
  }

  // Made beforehand: between two that enter in one turn no timer can run.
  it('holds back what came before its predecessors, and lets it go with them', async () => {
    const gate = new LaneGate(() => new MemoryState())
    const [first, second, third] = await Promise.all([0, 1, 2].map(sequence => transaction(network.demo, sequence)))
    const other = await transaction(network.providers[0], 0)
    const passed: number[] = []
    const enter = async (entering: VerifiedTransaction | undefined) => {
      if (entering === undefined) throw new TypeError('no transaction')
      await gate.enter(entering)
      passed.push(entering.transaction.sequence)
    }
    const early = [enter(third), enter(second)]
    // The other lane isn't held up.
    await gate.enter(other)
    assert.deepEqual(passed, [])
    await enter(first)
    await Promise.all(early)
    assert.deepEqual(passed, [0, 1, 2])
  })

  it('lets it go after a while all the same: the ledger says what is wrong with it', async () => {
    const gate = new LaneGate(() => new MemoryState())
    await gate.enter(await transaction(network.demo, 3))
  })

  it('forgets a lane once nothing of it is under way', async () => {
    const gate = new LaneGate(() => new MemoryState())
    const first = await transaction(network.demo, 0)
    const next = await transaction(network.demo, 1)
    const other = await transaction(network.providers[0], 0)
    await gate.enter(first)
    gate.leave(first)
    let passed = false
    const second = gate.enter(next).then(() => (passed = true))
    await gate.enter(other)
    assert.equal(passed, false, 'the first one was refused, so the second one waits for another')
    gate.stop()
    await second
  })

  it('refuses what is more than a lane may have waiting', async () => {
    const gate = new LaneGate(() => new MemoryState())
    const many: VerifiedTransaction[] = []
    for (let sequence = 1; sequence <= 65; sequence++) many.push(await transaction(network.demo, sequence))
    const last = many.pop()
    if (last === undefined) throw new TypeError('no transaction')
    const waiting = many.map(one => gate.enter(one))
    await assert.rejects(gate.enter(last), { code: 'RATE_LIMITED' })
    gate.stop()
    await Promise.all(waiting)
  })
})
