import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CREDIT,
  decodeSigned,
  PekkaError,
  sha256,
  toHex,
  transactionId,
  type AccountView,
  type LedgerTime,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { DEVNET_PARAMETERS } from '@pekka/node/protocol'
import { writeSigner } from '@pekka/node/host/crypto'
import { witnessPlaces, type WitnessPlaces } from '../../../src/cli/witness/places.js'
import { stakeOn, unstakeFrom } from '../../../src/cli/witness/stake.js'

const NETWORK = new Uint8Array(32).fill(7)

/** A ledger that carries out each transaction once, by its id, and whose answers can get lost. */
class OneLedger {
  readonly applied = new Map<string, string>()
  sent = 0
  answers: 'all' | 'none' | 'refusals' = 'all'
  #sequence = 0
  #previous: Uint8Array | null = null

  async time(): Promise<LedgerTime> {
    const parameters = { ...DEVNET_PARAMETERS, faucetLimit: 0n }
    return { network: NETWORK, index: 1, timestamp: 1_000, contractTime: 1, parents: [NETWORK], parameters }
  }

  async account(account: Uint8Array): Promise<AccountView> {
    const lane = { key: null, sequence: this.#sequence, previous: this.#previous, delegate: null, used: 0n, locked: 0n }
    const money = { balance: 1_000n * CREDIT, locked: 0n, bond: 0n, bondReserved: 0n, faucetDrawn: 0n, unbonding: [] }
    return { account, policy: { threshold: 1, keys: [] }, ...money, lanes: [lane] }
  }

  async submit(bytes: Uint8Array): Promise<TransactionOutcome> {
    this.sent += 1
    const { transaction } = decodeSigned(bytes)
    const id = transactionId(transaction)
    if (!this.applied.has(toHex(id)) && transaction.sequence === this.#sequence) {
      this.applied.set(toHex(id), transaction.body.kind)
      this.#sequence += 1
      this.#previous = id
    }
    if (this.answers === 'none') throw new PekkaError('LEDGER_UNREACHABLE')
    if (this.answers === 'refusals' || !this.applied.has(toHex(id)))
      return { status: 'refused', id, code: 'LANE_SEQUENCE', data: { expected: String(this.#sequence) } }
    return { status: 'applied', id, index: 1, timestamp: 1 }
  }
}

describe('staking on a witness', () => {
  let places: WitnessPlaces
  let ledger: OneLedger

  beforeEach(async () => {
    places = witnessPlaces(await mkdtemp(join(tmpdir(), 'pekka-stake-')))
    await writeSigner(places.blockKey, sha256(new Uint8Array([1])))
    await writeSigner(places.accountKey, sha256(new Uint8Array([2])))
    ledger = new OneLedger()
  })
  afterEach(() => rm(join(places.folder, '..'), { recursive: true, force: true }))

  const isLeft = (): Promise<boolean> =>
    stat(places.pending).then(
      () => true,
      () => false
    )

  for (const answers of ['none', 'refusals'] as const)
    it(`stakes once, though its witness gave ${answers === 'none' ? 'no answer' : 'a refusal for one'} when it was carried out`, async () => {
      ledger.answers = answers
      const code = answers === 'none' ? 'LEDGER_UNREACHABLE' : 'LANE_SEQUENCE'
      await assert.rejects(stakeOn(places, ledger, CREDIT), { code })
      assert.deepEqual([[...ledger.applied.values()], await isLeft()], [['stake'], true])
      ledger.answers = 'all'
      assert.equal(await stakeOn(places, ledger, CREDIT), 'earlier')
      assert.deepEqual([[...ledger.applied.values()], await isLeft()], [['stake'], false])
      assert.equal(await stakeOn(places, ledger, CREDIT), 'signed')
      assert.deepEqual([ledger.applied.size, await isLeft()], [2, false])
    })

  it('ends what was left before it does something else', async () => {
    ledger.answers = 'none'
    await assert.rejects(stakeOn(places, ledger, CREDIT))
    ledger.answers = 'all'
    assert.equal(await unstakeFrom(places, ledger, CREDIT), 'signed')
    assert.deepEqual([...ledger.applied.values()], ['stake', 'unstake'])
  })

  it('signs anew where what was left was never carried out and can’t be', async () => {
    const { submit } = ledger
    ledger.submit = async () => {
      throw new PekkaError('LEDGER_UNREACHABLE')
    }
    await assert.rejects(stakeOn(places, ledger, CREDIT))
    // Something else has taken its place in the lane.
    ledger.submit = submit
    const other = witnessPlaces(join(places.folder, 'other'))
    await Promise.all([
      writeSigner(other.blockKey, sha256(new Uint8Array([1]))),
      writeSigner(other.accountKey, sha256(new Uint8Array([2])))
    ])
    assert.equal(await unstakeFrom(other, ledger, CREDIT), 'signed')
    assert.equal(await stakeOn(places, ledger, CREDIT), 'signed')
    assert.deepEqual([[...ledger.applied.values()], await isLeft()], [['unstake', 'stake'], false])
  })
})
