import assert from 'node:assert/strict'
import {
  CREDIT,
  DEVNET_PARAMETERS,
  encodeCanonical,
  encodeSigned,
  networkId,
  type Genesis,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { createLoneLedger, type LocalLedger } from '@pekka/node/agents/witness'
import { createVerifier, systemClock } from '@pekka/node/host/crypto'
import { MemoryLedgerStore, type LedgerBatch } from '@pekka/node/host/storage'
import { FREE_PER_SECOND } from '../../../src/agents/witness/free-rate.js'
import { makeDust, withDust } from '../../support/dust.js'
import { createTestNetwork, faucet, seed, type TestNetwork } from './support.js'

const quiet = { info: () => {}, error: () => {} }
const ACCOUNTS = 300
/** The most that come in of one second. */
const MOST = 2 * FREE_PER_SECOND

/** Lets everything go on that waits for nothing outside. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A disk that can be held up. */
class SlowStore extends MemoryLedgerStore {
  #held: Promise<void> | null = null
  #release: () => void = () => {}
  #asked: () => void = () => {}

  /** Resolves when a commit waits for the disk. */
  hold(): Promise<void> {
    this.#held = new Promise(resolve => (this.#release = resolve))
    return new Promise(resolve => (this.#asked = resolve))
  }

  release(): void {
    this.#held = null
    this.#release()
  }

  override async write(batch: LedgerBatch): Promise<void> {
    if (this.#held !== null) this.#asked()
    await this.#held
    await super.write(batch)
  }
}

describe('witness: dust', function () {
  this.timeout(60_000)
  let ledger: LocalLedger
  let store: SlowStore
  let verified: number

  async function open(network: TestNetwork, genesis: Genesis = network.genesis): Promise<void> {
    const verifier = createVerifier()
    const counting = {
      verify: (...sent: Parameters<typeof verifier.verify>) => {
        verified += 1
        return verifier.verify(...sent)
      }
    }
    verified = 0
    store = new SlowStore()
    const components = { store, signer: network.witness, verifier: counting, clock: systemClock, log: quiet }
    ledger = createLoneLedger(components, { genesis: encodeCanonical(genesis) })
    await ledger.start()
  }
  afterEach(() => ledger.stop())

  const indexOf = (outcome: TransactionOutcome): number => (outcome.status === 'refused' ? -1 : outcome.index)

  it('a bonded account’s transaction is in the very next commit, another’s in the next few', async () => {
    const network = createTestNetwork()
    const genesis = withDust(network.genesis, ACCOUNTS)
    await open(network, genesis)
    await network.demo.send(ledger, { kind: 'bond', amount: 4n * CREDIT })
    const dust = await makeDust(networkId(genesis), ACCOUNTS, 1_500)
    const { bytes: bonded } = await network.demo.sign(ledger, faucet())
    const { bytes: bare } = await network.providers[0].sign(ledger, faucet())

    const waits = store.hold()
    const [first = new Uint8Array(), ...rest] = dust
    const held = ledger.submit(first)
    await waits
    const answers = rest.map(bytes => ledger.submit(bytes))
    await turn()
    const honest = [ledger.submit(bonded), ledger.submit(bare)]
    await turn()
    store.release()

    const at = indexOf(await held)
    const [ofBonded, ofBare] = await Promise.all(honest)
    assert.ok(ofBonded && ofBare)
    assert.equal(indexOf(ofBonded), at + 1)
    assert.ok(indexOf(ofBare) > at && indexOf(ofBare) <= at + 3, `${indexOf(ofBare) - at} commits later`)
    const outcomes = await Promise.all(answers)
    const codes = new Set(outcomes.map(outcome => ('code' in outcome ? outcome.code : outcome.status)))
    // What comes after one that was turned away has no predecessor.
    assert.deepEqual(
      [...codes].filter(code => !['RATE_LIMITED', 'LANE_SEQUENCE', 'applied'].includes(code)),
      []
    )
    const applied = outcomes.filter(({ status }) => status === 'applied').length
    assert.ok(applied >= FREE_PER_SECOND - 1 && applied < 3 * FREE_PER_SECOND, `${applied}`)
    const last = Math.max(...outcomes.map(indexOf))
    assert.ok(last > at + 1, 'the dust waited')
    assert.ok(verified < 3 * FREE_PER_SECOND, 'what is turned away costs no signature')
    // What is asked for again is answered, also where there is no room for more.
    const again = await Promise.all(rest.map(bytes => ledger.submit(bytes)))
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status === 'applied') assert.deepEqual(again[i], outcome)
    }
  })

  it('asks of an account that has spent its bandwidth not even whether its signature holds', async () => {
    const bandwidth = { base: 4_000, freeBase: 4_000, perCredit: 0, windowMs: 3_600_000, includerBytes: 0 }
    const network = createTestNetwork({ ...DEVNET_PARAMETERS, bandwidth })
    await open(network)
    const signed = []
    for (let i = 0; i < 8; i++) signed.push(await network.demo.sign(ledger, faucet()))
    // At once: what waits counts as well.
    const outcomes = await Promise.all(signed.map(({ bytes }) => ledger.submit(bytes)))
    const applied = outcomes.filter(({ status }) => status === 'applied').length
    const spent = outcomes.filter(outcome => 'code' in outcome && outcome.code === 'BANDWIDTH_SPENT').length
    assert.ok(applied >= 3 && applied <= 5)
    assert.equal(spent, 8 - applied)
    assert.equal(verified, applied)
    // What is asked for again needn't be paid again.
    const again = await Promise.all(signed.map(({ bytes }) => ledger.submit(bytes)))
    assert.deepEqual(again.slice(0, applied), outcomes.slice(0, applied))
  })

  it('lets an honest account in beside twice as many forged ones as fit, of random accounts and in its name', async () => {
    const network = createTestNetwork()
    await open(network)
    const [honest] = network.providers
    const { transaction } = await network.demo.sign(ledger, faucet())
    const forged = async (account: Uint8Array) => {
      const signatures = [{ key: honest.signer.publicKey, signature: new Uint8Array(64).fill(1) }]
      const outcome = await ledger.submit(encodeSigned({ transaction: { ...transaction, account }, signatures }))
      return 'code' in outcome ? outcome.code : outcome.status
    }
    const codes = new Set<string>()
    for (let sent = 0; sent < 2 * MOST; sent += 32) {
      const accounts = Array.from({ length: 32 }, (_, at) => (at % 2 === 0 ? honest.account : seed()))
      for (const code of await Promise.all(accounts.map(forged))) codes.add(code)
      if (sent % 128 === 0) assert.equal((await honest.send(ledger, faucet())).status, 'applied')
    }
    assert.deepEqual(
      [...codes].filter(code => !['SIGNATURE_INVALID', 'RATE_LIMITED'].includes(code)),
      []
    )
  })
})
