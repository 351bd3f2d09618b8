import assert from 'node:assert/strict'
import { trustGenesis, verifyProof, type ProofRequest, type Proven } from '@pekka/node/protocol'
import { createVerifier } from '@pekka/node/host/crypto'
import { ServedWitness } from './process.js'
import { createTestNetwork, faucet } from './support.js'

describe('checkpoints of a witness process', function () {
  this.timeout(120_000)
  const network = createTestNetwork()
  const witness = new ServedWitness(network)
  before(() => witness.start())
  after(() => witness.stop())

  const prove = async (what: ProofRequest): Promise<Proven> => {
    const bytes = await witness.client.prove(what)
    assert.ok(bytes)
    return await verifyProof(bytes, trustGenesis(network.genesis), createVerifier())
  }

  it('cover what was acknowledged before a kill -9, wherever between commit and checkpoint it struck', async () => {
    const ids: Uint8Array[] = []
    const seen: number[] = []
    for (let life = 0; life < 3; life++) {
      for (let i = 0; i <= life; i++) {
        const outcome = await network.demo.send(witness.client, faucet())
        assert.equal(outcome.status, 'applied')
        ids.push(outcome.id)
      }
      // Once with a checkpoint of it, twice without one.
      if (life === 0) seen.push((await prove({ kind: 'transaction', id: ids[0] ?? assert.fail() })).checkpoint.index)
      await witness.process.end('SIGKILL')
      await witness.process.start()
    }
    for (const id of ids) {
      const { facts, checkpoint } = await prove({ kind: 'transaction', id })
      assert.ok(facts.some(fact => fact.kind === 'transaction' && fact.code === null))
      seen.push(checkpoint.index)
    }
    const row = { table: 'account' as const, id: network.demo.account }
    const { facts } = await prove({ kind: 'rows', rows: [row] })
    const [fact] = facts
    const account = await witness.client.account(network.demo.account)
    assert.equal(fact?.kind === 'account' && fact.row?.balance, account?.balance)
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b)
    )
  })
})
