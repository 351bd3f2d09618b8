import assert from 'node:assert/strict'
import { encodeCanonical, encodeCbor, fromHex, networkId, toCid, toHex, type ProofRequest } from '@pekka/node/protocol'
import { Http, ProvenLedger, verifyProofFile, wayOf } from '@pekka/node/client'
import { createVerifier } from '@pekka/node/host/crypto'
import { CheckpointWorld } from './checkpoint-world.js'

/** Two stages, and some epochs more. */
const EPOCHS = 131

describe('witness: proofs for who has known a committee of long ago', function () {
  this.timeout(60_000)
  const verifier = createVerifier()
  const world = new CheckpointWorld(1)
  const network = networkId(world.genesis)
  const account = world.sender.account
  let early: Uint8Array
  const requests: string[] = []

  before(async () => {
    await world.start()
    const transaction = await world.draw()
    early = transaction.id
    await world.commit(300, [transaction], { last: true })
    while (world.epoch < EPOCHS) await world.commit(300, [], { last: true })
    await world.commit(300, [await world.draw()])
  })
  after(() => world.stop())

  /** A bridge: it passes on what its witness proves. */
  async function answer(url: string): Promise<unknown> {
    requests.push(url)
    if (url === '/v1/network') {
      const genesis = encodeCanonical(world.genesis)
      return { network, bridge: network, name: 'test', addresses: [], witnesses: [], genesis }
    }
    const { pathname, searchParams } = new URL(url, 'http://bridge')
    const since = searchParams.get('since')
    const what: ProofRequest = pathname.startsWith('/v1/accounts/')
      ? { kind: 'rows', rows: [{ table: 'account', id: fromHex(pathname.split('/')[3] ?? '') }] }
      : { kind: 'transaction', id: early }
    const [witness] = world.members
    return { proof: await witness?.ledger.prove(since === null ? what : { ...what, since: Number(since) }) }
  }

  function reader(): ProvenLedger {
    const fetch = async (url: string) => {
      const body = encodeCbor(await answer(url)).slice().buffer
      return { status: 200, headers: { get: () => null }, arrayBuffer: async () => body }
    }
    return new ProvenLedger({ http: new Http({ fetch }, { base: '' }), verifier, token: async () => '' }, network)
  }

  it('lead there in stages, each believed from the one before, and from then on at once', async () => {
    const ledger = reader()
    const row = await ledger.account(account)
    assert.equal(row?.balance, (await world.members[0]?.ledger.account(account))?.balance)
    const path = `/v1/accounts/${toHex(account)}/ledger-proof`
    assert.deepEqual(requests.splice(0), ['/v1/network', path, `${path}?since=64`, `${path}?since=128`])
    await ledger.account(account)
    assert.deepEqual(requests.splice(0), [`${path}?since=128`])
  })

  it('show what was ordered long ago too, to who has gone on since', async () => {
    const ledger = reader()
    await ledger.account(account)
    requests.splice(0)
    const fact = await ledger.transaction(early)
    assert.deepEqual([toHex(fact.id), fact.code], [toHex(early), null])
    assert.deepEqual(requests.splice(0), [`/v1/transactions/${toCid(early, 'dag-cbor')}/ledger-proof?since=128`])
  })

  it('carry their way in a file, and are nothing without it', async () => {
    const shown = await reader().proof('account', account)
    const file = { v: 1 as const, network, genesis: encodeCanonical(world.genesis), proof: shown.bytes }
    assert.equal(shown.way.length, 2)
    const proven = await verifyProofFile({ ...file, ...wayOf(shown) }, verifier)
    assert.equal(proven.checkpoint.epoch, EPOCHS)
    await assert.rejects(verifyProofFile(file, verifier), { code: 'PROOF_INVALID' })
    await assert.rejects(verifyProofFile({ ...file, way: shown.way.slice(1) }, verifier), { code: 'PROOF_INVALID' })
  })
})
