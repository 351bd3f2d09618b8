import assert from 'node:assert/strict'
import type { ProvenLedger } from '@pekka/node/client'
import { PekkaError, encodeCanonical, type TaskView } from '@pekka/node/protocol'
import { proofForReceipt } from '../../../src/core/client/ledger/receipt-proof.js'
import { createTestNetwork } from '../../agents/witness/support.js'

const { genesis } = createTestNetwork()
const VIEW = { task: new Uint8Array(32) } as unknown as TaskView // as much as is read
/** A proof of the transaction that closed it, as of a task whose row is gone. */
const FOUND = {
  genesis: encodeCanonical(genesis),
  bytes: Uint8Array.of(1),
  way: [],
  proven: { facts: [{ kind: 'transaction' }], trust: { members: [[new Uint8Array(32), 1n]] } }
}

/** A ledger that answers a task's proof in turn; an error is thrown. */
function ledgerOf(answers: unknown[], witnesses = genesis.witnesses) {
  const asked = { times: 0, paused: 0 }
  const anchor = async () => ({ genesis: encodeCanonical({ ...genesis, witnesses }) })
  const task = async (): Promise<unknown> => {
    const answer = answers[Math.min(asked.times++, answers.length - 1)]
    if (answer instanceof Error) throw answer
    return answer
  }
  // Only these two are used.
  const ledger = { anchor, task } as unknown as ProvenLedger
  let now = 0
  const pause = async (ms: number): Promise<void> => {
    asked.paused++
    now += ms
  }
  return { asked, proof: () => proofForReceipt(ledger, VIEW, { now: () => now }, pause) }
}

const missing = new PekkaError('PROOF_MISSING')
const early = { ...FOUND, proven: { ...FOUND.proven, facts: [] } }

describe('the ledger’s proof for a receipt', () => {
  it('is asked for again where a checkpoint is late or the bridge is away for a moment', async () => {
    for (const answers of [[missing, FOUND], [new PekkaError('BRIDGE_UNREACHABLE'), early, FOUND], [FOUND]]) {
      const { asked, proof } = ledgerOf(answers)
      const shown = await proof()
      assert.deepEqual([shown?.draw, shown?.ledger.proof], ['single witness', FOUND.bytes])
      assert.deepEqual(asked, { times: answers.length, paused: answers.length - 1 })
    }
  })

  it('is given up on after some seconds, and at once on a network that makes no checkpoints', async () => {
    const never = ledgerOf([missing])
    assert.equal(await never.proof(), null)
    assert.deepEqual(never.asked, { times: 9, paused: 8 })
    const two = [...genesis.witnesses, { key: new Uint8Array(32).fill(9), stake: 1n }]
    const none = ledgerOf([missing], two)
    assert.equal(await none.proof(), null)
    assert.deepEqual(none.asked, { times: 1, paused: 0 })
  })

  it('is never asked for again where the bridge gave a false one', async () => {
    const { asked, proof } = ledgerOf([new PekkaError('PROOF_INVALID', { issue: 'it is older' }), FOUND])
    await assert.rejects(proof(), { code: 'PROOF_INVALID' })
    assert.equal(asked.times, 1)
  })
})
