import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { trustGenesis, verifyProof, type ProofRequest, type Proven } from '@pekka/node/protocol'
import { createVerifier } from '@pekka/node/host/crypto'
import { createNetworkHost, LedgerClient, loadPeerKey, type NetworkHost } from '@pekka/node/host/network'
import { WitnessProcess } from './process.js'
import { createTestNetwork, faucet } from './support.js'

describe('checkpoints of a witness process', function () {
  this.timeout(120_000)
  const network = createTestNetwork()
  let folder = ''
  let host: NetworkHost
  let witness: WitnessProcess
  let client: LedgerClient

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-checkpoints-'))
    witness = new WitnessProcess(join(folder, 'witness'), network)
    const address = await witness.start()
    host = createNetworkHost({ key: await loadPeerKey(join(folder, 'client.key')) })
    await host.start()
    client = new LedgerClient({ host }, { addresses: [address] })
  })

  after(async () => {
    await client?.stop()
    await host?.stop()
    await witness?.end('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  const prove = async (what: ProofRequest): Promise<Proven> => {
    const bytes = await client.prove(what)
    assert.ok(bytes)
    return await verifyProof(bytes, trustGenesis(network.genesis), createVerifier())
  }

  it('cover what was acknowledged before a kill -9, wherever between commit and checkpoint it struck', async () => {
    const ids: Uint8Array[] = []
    const seen: number[] = []
    for (let life = 0; life < 3; life++) {
      for (let i = 0; i <= life; i++) {
        const outcome = await network.demo.send(client, faucet())
        assert.equal(outcome.status, 'applied')
        ids.push(outcome.id)
      }
      // Once with a checkpoint of it, twice without one.
      if (life === 0) seen.push((await prove({ kind: 'transaction', id: ids[0] ?? assert.fail() })).checkpoint.index)
      await witness.end('SIGKILL')
      await witness.start()
    }
    for (const id of ids) {
      const { facts, checkpoint } = await prove({ kind: 'transaction', id })
      assert.ok(facts.some(fact => fact.kind === 'transaction' && fact.code === null))
      seen.push(checkpoint.index)
    }
    const row = { table: 'account' as const, id: network.demo.account }
    const { facts } = await prove({ kind: 'rows', rows: [row] })
    const [fact] = facts
    const account = await client.account(network.demo.account)
    assert.equal(fact?.kind === 'account' && fact.row?.balance, account?.balance)
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b)
    )
  })
})
