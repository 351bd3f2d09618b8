import assert from 'node:assert/strict'
import {
  Http,
  ProvenLedger,
  makesCheckpoints,
  readProofFile,
  verifyProofFile,
  writeProofFile,
  type VerifiedAsk
} from '@pekka/node/client'
import {
  certify,
  committeeDigest,
  decodeCanonical,
  encodeCanonical,
  encodeCbor,
  encodeProof,
  equalBytes,
  networkId,
  signCheckpoint,
  toCid,
  toHex,
  type Checkpoint,
  type Claim,
  type CommitteeMembers,
  type TaskView,
  type Verifier
} from '@pekka/node/protocol'
import { encodeRow } from '@pekka/node/ledger'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { bytes, claimOf, offerTask, openMarket } from '../ledger/support.js'
import { follow } from '../ledger/proofs/support.js'

const witness = createSigner(bytes(77))
const real = createVerifier()
/** The test ledger's genesis names a witness whose key is made up: its signatures are this signer's. */
const verifier: Verifier = {
  verify: (key, message, signature) =>
    real.verify(equalBytes(key, bytes(8)) ? witness.publicKey : key, message, signature)
}

/** A ledger with a settled task, and a bridge in front of it that passes proofs on, or lies about them. */
async function openBridge() {
  const market = openMarket(2)
  const { chain, providers, client } = market
  const task = offerTask(market)
  const [first] = providers
  assert.ok(first)
  chain.done(first.agent, { kind: 'accept', task })
  const running = await signed(market)
  chain.commit(2000)
  const { id: committed } = chain.done(first.agent, { kind: 'commit', task, attempt: 1, claim: claimOf() })
  const settled = await signed(market)
  const row = chain.state.get('task', toHex(task))
  assert.ok(row)
  const { held: _, ...view } = row
  const publishedBy = chain.state.get('ask', toHex(first.ask.ask))?.transaction
  assert.ok(publishedBy)
  const ask: VerifiedAsk = {
    ask: first.ask,
    provider: {
      provider: first.provider,
      name: 'one',
      operator: null,
      peerKey: bytes(3),
      bond: 0n,
      completed: 0,
      failed: 0
    },
    agentKey: bytes(4),
    published: publishedBy,
    running: 0
  }

  const answers = new Map<string, unknown>()
  const genesis = encodeCanonical(chain.genesis)
  answers.set('/v1/network', {
    network: chain.network,
    bridge: bytes(5),
    name: 'test',
    addresses: [],
    witnesses: [],
    genesis
  })
  const give = (path: string, proof: Uint8Array | null): unknown => answers.set(path, { proof })
  const paths = {
    task: `/v1/tasks/${toHex(task)}/ledger-proof`,
    account: `/v1/accounts/${toHex(client.account)}/ledger-proof`,
    asks: `/v1/ledger/asks/proof?asks=${toHex(first.ask.ask)}`,
    checkpoint: '/v1/ledger/checkpoint'
  }
  give(paths.task, settled.prove('task', task))
  give(paths.account, settled.prove('account', client.account))
  give(paths.asks, settled.prove('ask', first.ask.ask))
  give(paths.checkpoint, settled.prove())

  const fetch = async (url: string) => {
    const answer = answers.get(url)
    const body = answer === undefined ? new Uint8Array() : encodeCbor(answer)
    return {
      status: answer === undefined ? 500 : 200,
      headers: { get: () => null },
      arrayBuffer: async () => body.slice().buffer
    }
  }
  const http = new Http({ fetch }, { base: '' })
  const components = { http, verifier, token: async () => 'token' }
  const reader = (network = chain.network, newest?: number) => new ProvenLedger(components, network, newest)
  return {
    market,
    chain,
    client,
    providers,
    task,
    view,
    ask,
    committed,
    running,
    settled,
    answers,
    give,
    paths,
    reader
  }
}

/** The ledger as it stands now, with a certificate over it. `network`: as if it were of another one. */
async function signed(market: ReturnType<typeof openMarket>, by = witness, network = market.chain.network) {
  const { trees, state } = follow(market)
  const members: CommitteeMembers = [[bytes(8), 1n]]
  const committee = committeeDigest(network, 0, members)
  const checkpoint: Checkpoint = {
    ...trees.checkpoint(state, { epoch: 0, previous: network, committee, nextCommittee: null }),
    network
  }
  const certificate = certify(checkpoint, members, new Map([[0, await signCheckpoint(checkpoint, by)]]))
  assert.ok(certificate)
  const { timestamp } = checkpoint
  const encode = (claims: Claim[]): Uint8Array => encodeProof({ v: 1, steps: [], certificate, claims })
  const claim = (table: 'account' | 'ask' | 'task', id: Uint8Array): Claim => trees.proveRow(state, table, id)
  return {
    encode,
    timestamp,
    claim,
    transaction: (id: Uint8Array): Uint8Array => encode([trees.proveTransaction(id) ?? assert.fail()]),
    prove: (table?: 'account' | 'ask' | 'task', id?: Uint8Array): Uint8Array =>
      encode(table === undefined || id === undefined ? [] : [claim(table, id)])
  }
}

type World = Awaited<ReturnType<typeof openBridge>>
const invalid = (issue: RegExp) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'PROOF_INVALID' && issue.test(error.message)

describe('a client that believes its bridge nothing', () => {
  let world: World

  beforeEach(async () => {
    world = await openBridge()
  })

  it('reads checkpoint, account, asks and a task’s end from an honest one', async () => {
    const { reader, client, chain, ask, view } = world
    const ledger = reader()
    assert.equal((await ledger.checkpoint()).index, chain.results.length - 1)
    const row = await ledger.account(client.account)
    assert.equal(row?.balance, chain.state.get('account', toHex(client.account))?.balance)
    assert.deepEqual(await ledger.asks([ask]), [ask])
    assert.equal(await ledger.judge(view), 'proven')
  })

  it('catches another genesis: the network’s id came with the pairing', async () => {
    const { answers, chain, reader } = world
    const other = { ...chain.genesis, witnesses: [{ key: witness.publicKey, stake: 1n }] }
    const facts = answers.get('/v1/network') as object
    answers.set('/v1/network', { ...facts, genesis: encodeCanonical(other) })
    await assert.rejects(reader().checkpoint(), invalid(/another network/))
  })

  it('catches a state that nobody signed', async () => {
    const { chain, client, give, paths, settled, reader } = world
    const claim = settled.claim('account', client.account)
    const row = chain.state.get('account', toHex(client.account))
    assert.ok(claim.kind === 'row' && row)
    const rich = encodeRow({ ...row, balance: row.balance + 1_000_000n })
    give(paths.account, settled.encode([{ ...claim, row: rich }]))
    await assert.rejects(reader().account(client.account), invalid(/not under the checkpoint/))
  })

  it('catches a checkpoint that a witness of its own signed', async () => {
    const { client, give, paths, reader } = world
    const market = openMarket(2)
    const forged = await signed(market, createSigner(bytes(78)))
    give(paths.account, forged.prove('account', client.account))
    await assert.rejects(reader().account(client.account), invalid(/signature does not hold/))
  })

  it('catches an old checkpoint after a newer one', async () => {
    const { client, give, paths, running, reader } = world
    const ledger = reader()
    await ledger.account(client.account)
    give(paths.account, running.prove('account', client.account))
    await assert.rejects(ledger.account(client.account), invalid(/older/))
  })

  it('catches an old checkpoint after a transaction was shown under a newer one, and shows old transactions still', async () => {
    const { client, answers, committed, give, paths, running, settled, reader } = world
    const ledger = reader()
    const path = `/v1/transactions/${toCid(committed, 'dag-cbor')}/ledger-proof`
    give(path, settled.transaction(committed))
    assert.equal((await ledger.transaction(committed)).code, null)
    assert.equal(ledger.newest, world.chain.results.length - 1)
    give(paths.account, running.prove('account', client.account))
    await assert.rejects(ledger.account(client.account), invalid(/older/))
    const later = reader(world.chain.network, ledger.newest + 5)
    assert.equal((await later.transaction(committed)).code, null)
    assert.ok(answers.has(path))
  })

  it('catches a checkpoint from before what an earlier life has seen', async () => {
    const { client, chain, reader } = world
    const ledger = reader()
    await ledger.account(client.account)
    assert.equal(ledger.newest, chain.results.length - 1)
    assert.ok(await reader(chain.network, ledger.newest).account(client.account))
    await assert.rejects(reader(chain.network, ledger.newest + 1).account(client.account), invalid(/older/))
  })

  it('catches one that is older than a reader bears, where checkpoints are made all the time', async () => {
    const { client, chain, market, answers, give, paths, settled, reader } = world
    const soon = { notBefore: settled.timestamp + 1 }
    assert.ok(await reader().account(client.account, soon), 'one witness makes none while nothing changes')
    const members = [{ account: bytes(8), tips: [bytes(2), bytes(3)] }]
    const numbers = { leadersPerRound: 1, gcDepth: 60, epochCommits: 36_000, epochRounds: 120_000, seats: 21 }
    const genesis = { ...chain.genesis, agreement: { ...numbers, members } }
    const network = networkId(genesis)
    const facts = answers.get('/v1/network') as object
    answers.set('/v1/network', { ...facts, network, genesis: encodeCanonical(genesis) })
    give(paths.account, (await signed(market, witness, network)).prove('account', client.account))
    assert.ok(await reader(network).account(client.account, { notBefore: settled.timestamp }))
    await assert.rejects(reader(network).account(client.account, soon), invalid(/clock right/))
  })

  it('catches a proof of another object', async () => {
    const { client, providers, give, paths, settled, reader } = world
    give(paths.account, settled.prove('account', providers[0]?.provider ?? assert.fail()))
    await assert.rejects(reader().account(client.account), invalid(/another account/))
    // A proof that has nothing of the task leaves its end the bridge's word.
    give(paths.task, settled.prove('account', client.account))
    assert.equal(await reader().judge(world.view), 'open')
  })

  it('never seals to a key that the ledger doesn’t have (R3b)', async () => {
    const { ask, give, paths, settled, reader } = world
    const forged = { ...ask, ask: { ...ask.ask, kemKey: bytes(99) } }
    await assert.rejects(reader().asks([forged]), invalid(/another price or key/), 'with a proof of the true one')
    const foreign = { ...ask, published: bytes(98) }
    await assert.rejects(reader().asks([foreign]), invalid(/another price or key/), 'published by nobody')
    const invented = { ...ask, ask: { ...ask.ask, ask: bytes(97) } }
    give(`/v1/ledger/asks/proof?asks=${toHex(bytes(97))}`, settled.prove('ask', bytes(97)))
    assert.deepEqual(await reader().asks([invented]), [], 'shown to be absent')
    give(paths.asks, null)
    await assert.rejects(reader().asks([ask]), { code: 'PROOF_MISSING' })
  })

  it('asks for a proof on every network that makes checkpoints, as the genesis says', () => {
    const { genesis } = world.chain
    const witness = { key: bytes(1), stake: 1n }
    assert.ok(makesCheckpoints(encodeCanonical(genesis)))
    const witnesses = [...genesis.witnesses, witness]
    assert.ok(!makesCheckpoints(encodeCanonical({ ...genesis, witnesses })))
    const members = witnesses.map(({ key }) => ({ account: key, tips: [bytes(2), bytes(3)] }))
    const agreement = {
      leadersPerRound: 1,
      gcDepth: 60,
      epochCommits: 36_000,
      epochRounds: 120_000,
      seats: 21,
      members
    }
    assert.ok(makesCheckpoints(encodeCanonical({ ...genesis, witnesses, agreement })))
  })

  it('asks once for what it has proved, and for each that it hasn’t', async () => {
    const { ask, give, paths, reader } = world
    const ledger = reader()
    await ledger.asks([ask])
    give(paths.asks, null)
    assert.deepEqual(await ledger.asks([ask]), [ask])
    await assert.rejects(ledger.asks([{ ...ask, ask: { ...ask.ask, kemKey: bytes(99) } }]))
  })

  it('writes proofs to files that hold offline, on the network that the reader trusts alone', async () => {
    const { chain, answers, task, reader } = world
    const { bytes: proof, genesis } = await reader().proof('task', task)
    answers.clear()
    const text = writeProofFile({ v: 1, network: chain.network, genesis, proof })
    const file = readProofFile(text)
    const { facts } = await verifyProofFile(file, verifier)
    assert.ok(facts.some(fact => fact.kind === 'task' && fact.row?.state === 'settled'))
    await assert.rejects(verifyProofFile(file, verifier, bytes(6)), invalid(/another network/))
    await assert.rejects(verifyProofFile({ ...file, proof: proof.slice(1) }, verifier))
    for (const broken of ['', '{}', text.replace('"v": 1', '"v": 2')])
      assert.throws(() => readProofFile(broken), invalid(/no proof of this version/))
  })

  it('says of a false end that the ledger says something else', async () => {
    const { view, reader } = world
    const lies: Partial<TaskView>[] = [
      { paid: view.paid + 1n },
      { refunded: 0n },
      { state: 'closed' },
      { attempts: [] }
    ]
    for (const lie of lies) assert.equal(await reader().judge({ ...view, ...lie }), 'refuted', Object.keys(lie).join())
  })

  it('says nothing of an end that the checkpoint is too old for, or that nothing proves', async () => {
    const { view, give, paths, task, running, answers, reader } = world
    give(paths.task, running.prove('task', task))
    assert.equal(await reader().judge(view), 'open')
    give(paths.task, null)
    assert.equal(await reader().judge(view), 'open')
    answers.delete(paths.task)
    assert.equal(await reader().judge(view), 'open')
    assert.ok(decodeCanonical(running.prove()))
  })
})
