import assert from 'node:assert/strict'
import { accountId, CREDIT, equalBytes, networkId, SPINE_PARAMETERS, toHex } from '@pekka/node/protocol'
import { brokenInvariants, genesisState } from '@pekka/node/ledger'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import {
  genesisOfRecords,
  makeRecord,
  readRecord,
  type RecordsGenesisInit,
  type WitnessRecord
} from '../../../../src/agents/witness/network/index.js'
import { firstEpoch } from '../../../../src/agents/witness/network/founding/first-epoch.js'
import { seed } from '../support.js'
import { TEST_PARAMETERS } from './committee.js'

const NONCE = new Uint8Array(16).fill(7)
const OWNER = createSigner(seed())

const record = async (change: { nonce?: Uint8Array } = {}): Promise<WitnessRecord> => {
  const secret = seed()
  return await makeRecord({
    signer: { ...createSigner(secret), seed: secret },
    owner: createSigner(seed()).publicKey,
    nonce: NONCE,
    parameters: TEST_PARAMETERS,
    addresses: ['/ip4/192.0.2.1/tcp/7100/p2p/12D3KooWDfynUYRJfbF6Qf856RpJXQ55y3YKXXodN4VLsnGRLLeg'],
    ...change
  })
}

const init = (records: WitnessRecord[], change: Partial<RecordsGenesisInit> = {}): RecordsGenesisInit => ({
  name: 'ours',
  createdAt: 1_700_000_000_000,
  witnesses: records.map(one => ({ record: one, stake: 100n * CREDIT })),
  balance: 10n * CREDIT,
  accounts: [],
  faucet: 0n,
  parameters: SPINE_PARAMETERS,
  ...change
})

describe('the record of a witness', () => {
  it('is read back as it was made', async () => {
    const made = await record()
    assert.deepEqual(await readRecord(JSON.stringify(made, null, 2), createVerifier()), made)
  })

  it('is refused where anything in it was changed after its witness signed it', async () => {
    const made = await record()
    const others = [
      { owner: toHex(OWNER.publicKey) },
      { tips: [...made.tips].reverse() },
      { nonce: '00'.repeat(16) },
      { parameters: { ...made.parameters, seats: 1 } },
      { addresses: [] },
      { key: toHex(OWNER.publicKey) }
    ]
    for (const other of others) {
      await assert.rejects(readRecord(JSON.stringify({ ...made, ...other }), createVerifier()), {
        code: 'USAGE',
        message: /changed after its witness signed it/
      })
    }
    await assert.rejects(readRecord('{}', createVerifier()), { code: 'USAGE', message: /no record/ })
    await assert.rejects(readRecord('x'.repeat(1 << 17), createVerifier()), { code: 'USAGE', message: /too large/ })
  })
})

describe('a genesis made from records', () => {
  it('has the committee with its stakes and chains, accounts, faucet and who signs images, and keeps the invariants', async () => {
    const [one, two] = [await record(), await record()]
    const fund = { policy: { threshold: 1, keys: [OWNER.publicKey] }, balance: 5n * CREDIT }
    const images = { threshold: 1, keys: [OWNER.publicKey] }
    const genesis = genesisOfRecords(init([one, two], { accounts: [fund], faucet: 3n * CREDIT, images }))
    const state = genesisState(genesis)
    assert.deepEqual(brokenInvariants(state), [])
    const [system] = [...state.keys('system')].map(key => state.get('system', key))
    assert.equal(system?.supply, (2n * 100n + 2n * 10n + 5n + 3n) * CREDIT)
    assert.deepEqual(genesis.images, images)
    assert.equal(state.get('account', toHex(accountId(fund.policy)))?.balance, 5n * CREDIT)
    const { members, nextMembers } = firstEpoch(genesis, networkId(genesis), genesis.agreement?.seats ?? 0)
    assert.deepEqual(members.map(({ key }) => toHex(key)).sort(), [one.key, two.key].sort())
    for (const { key, tip, stake } of members) {
      const own = [one, two].find(made => made.key === toHex(key))
      assert.equal(toHex(tip), own?.tips[0])
      assert.equal(stake, 100n * CREDIT)
    }
    assert.equal(nextMembers?.length, 2)
  })

  it('is the same whoever is named first', async () => {
    const [one, two, three] = [await record(), await record(), await record()]
    const ids = [
      [one, two, three],
      [three, one, two]
    ].map(records => networkId(genesisOfRecords(init(records))))
    assert.ok(equalBytes(ids[0] ?? assert.fail(), ids[1] ?? assert.fail()))
  })

  it('is refused for nobody, for one who stands twice, and for records of different networks', async () => {
    const one = await record()
    const refused = (records: WitnessRecord[], message: RegExp): void =>
      assert.throws(() => genesisOfRecords(init(records)), { code: 'USAGE', message })
    refused([], /at least one/)
    refused([one, one], /stands twice/)
    refused([one, await record({ nonce: new Uint8Array(16) })], /another network.*--like/)
  })
})
