import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CREDIT, SPINE_PARAMETERS, decodeCanonical, genesisSchema, toHex, type Genesis } from '@pekka/node/protocol'
import { STANDARD_PARAMETERS } from '@pekka/node/consensus'
import { makeGenesis, type MakeGenesisInit } from '../../../src/cli/witness/genesis.js'
import { initWitness } from '../../../src/cli/witness/init.js'
import { witnessPlaces } from '../../../src/cli/witness/places.js'
import { Chain, claimOf, offerTask, openMarket, owner, policyOf } from '../../core/ledger/support.js'

describe('pekka witness genesis', () => {
  let folder = ''
  let record = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-genesis-'))
    const places = witnessPlaces(folder, undefined)
    // Short epochs: the ends of long hash chains take seconds.
    await initWitness(places, {
      addresses: [],
      parameters: { ...STANDARD_PARAMETERS, epochCommits: 50, epochRounds: 200 }
    })
    record = places.record
  })
  after(() => rm(folder, { recursive: true }))

  async function made(part: Partial<MakeGenesisInit>): Promise<Genesis> {
    const out = join(folder, 'genesis.cbor')
    const standard = { name: 'ours', balance: CREDIT, funds: [], faucet: 0n, deposits: { open: 0n, task: 0n } }
    await makeGenesis({
      ...{ ...standard, witnesses: [{ path: record, stake: CREDIT }], images: { keys: [], threshold: 1 }, out },
      ...part
    })
    return genesisSchema.parse(decodeCanonical(new Uint8Array(await readFile(out))))
  }

  it('takes no deposit where nobody says so, and else just those that are said', async () => {
    assert.deepEqual((await made({})).parameters, SPINE_PARAMETERS)
    const { parameters } = await made({ deposits: { open: 2n * CREDIT, task: 5_000n } })
    assert.deepEqual(parameters, { ...SPINE_PARAMETERS, openDeposit: 2n * CREDIT, storageDeposit: 5_000n })
  })

  it('makes a ledger on which a task’s deposit is locked until it is closed, and comes back then', async () => {
    const genesis = await made({ deposits: { open: 0n, task: 5_000n } })
    // A day's window takes 43,200 commits.
    const parameters = { ...genesis.parameters, contestWindowMs: 60_000 }
    const market = openMarket(1, parameters)
    const { chain, client, providers } = market
    const free = chain.balance(market.owner)
    const task = offerTask(market)
    const agent = providers[0]?.agent ?? assert.fail()
    chain.done(agent, { kind: 'accept', task })
    chain.done(agent, { kind: 'commit', task, attempt: 1, claim: claimOf() }, 1000)
    const { state, paid, deposit, lock, refunded } = chain.view(task)
    assert.deepEqual([state, deposit, lock], ['settled', 5_000n, paid + refunded + 5_000n])
    assert.equal(chain.account(client).locked, 5_000n)
    chain.pass(parameters.contestWindowMs)
    assert.equal(chain.view(task).state, 'closed')
    assert.deepEqual([chain.account(client).locked, chain.balance(market.owner)], [0n, free - paid])
  })

  it('makes a ledger on which accounts are opened for a deposit, and by nobody for themselves, faucet or not', async () => {
    const { parameters } = await made({ faucet: 100n * CREDIT, deposits: { open: 2n * CREDIT, task: 0n } })
    const funder = policyOf(1)
    const chain = new Chain({ policies: [funder], parameters })
    const payer = owner(funder)
    const before = chain.balance(payer)
    const stranger = owner(policyOf(2))
    chain.refuses(stranger, { kind: 'open-account', policy: policyOf(2), deposit: 0n }, 'ACCOUNT_UNKNOWN')
    chain.fails(payer, { kind: 'open-account', policy: policyOf(2), deposit: 0n }, 'TRANSACTION_INVALID')
    chain.done(payer, { kind: 'open-account', policy: policyOf(2), deposit: 2n * CREDIT })
    assert.equal(chain.balance(payer), before - 2n * CREDIT)
    assert.ok(chain.state.get('account', toHex(stranger.account)))
  })
})
