import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CREDIT,
  decodeSigned,
  isPekkaError,
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
  #timestamp = 1_000
  #sequence = 0
  #previous: Uint8Array | null = null

  async time(): Promise<LedgerTime> {
    const parameters = { ...DEVNET_PARAMETERS, faucetLimit: 0n }
    // What is signed again isn't the same again.
    this.#timestamp += 1
    return { network: NETWORK, index: 1, timestamp: this.#timestamp, contractTime: 1, parents: [NETWORK], parameters }
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

  const issueOf = (error: unknown): string =>
    isPekkaError(error) && error.code === 'USAGE' ? String(error.data['issue']) : assert.fail(String(error))

  it('ends what was left, says so, and does nothing else until it is asked again', async () => {
    ledger.answers = 'none'
    await assert.rejects(stakeOn(places, ledger, 1_000n * CREDIT))
    ledger.answers = 'all'
    const other = await stakeOn(places, ledger, 500n * CREDIT).catch(issueOf)
    assert.match(other, /stake 1,?000.*has been carried out now.*run this command again/s)
    assert.deepEqual([[...ledger.applied.values()], await isLeft()], [['stake'], false])
    assert.equal(await unstakeFrom(places, ledger, CREDIT), 'signed')
    assert.deepEqual([...ledger.applied.values()], ['stake', 'unstake'])
  })

  it('says that another amount was refused, too, before it signs anything', async () => {
    const { submit } = ledger
    ledger.submit = async bytes => {
      const id = transactionId(decodeSigned(bytes).transaction)
      return { status: 'refused', id, code: 'FUNDS_MISSING', data: {} }
    }
    await assert.rejects(stakeOn(places, ledger, 1_000n * CREDIT), { code: 'FUNDS_MISSING' })
    assert.match(await unstakeFrom(places, ledger, CREDIT).catch(issueOf), /was refused, and is given up now/)
    ledger.submit = submit
    assert.equal(await stakeOn(places, ledger, CREDIT), 'signed')
    assert.deepEqual([...ledger.applied.values()], ['stake'])
  })

  for (const code of ['RATE_LIMITED', 'BANDWIDTH_SPENT'])
    it(`stakes once, though a witness said ${code} of what was under way through another one`, async () => {
      const { submit } = ledger
      const underWay: Uint8Array[] = []
      ledger.submit = async bytes => {
        underWay.push(bytes)
        throw new PekkaError('LEDGER_UNREACHABLE')
      }
      await assert.rejects(stakeOn(places, ledger, CREDIT))
      ledger.submit = async bytes => {
        const id = transactionId(decodeSigned(bytes).transaction)
        return { status: 'refused', id, code, data: {} }
      }
      await assert.rejects(stakeOn(places, ledger, CREDIT), { code })
      assert.equal(await isLeft(), true)
      ledger.submit = submit
      for (const bytes of underWay) await ledger.submit(bytes)
      assert.equal(await stakeOn(places, ledger, CREDIT), 'earlier')
      assert.deepEqual([[...ledger.applied.values()], await isLeft()], [['stake'], false])
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
