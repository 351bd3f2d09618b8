import assert from 'node:assert/strict'
import { CREDIT, encodeSigned, toHex, witnessVouchMessage, type Body } from '@pekka/node/protocol'
import { candidatesFor, MAX_CHAINS, verifyTransaction } from '@pekka/node/ledger'
import { bytes, Chain, FULL_PARAMETERS, owner, policyOf, type Actor } from './support.js'

const WITNESS = bytes(50)
const stakeOf = (amount: bigint, epochs: readonly number[] = [], witness = WITNESS): Body => ({
  kind: 'stake',
  amount,
  witness,
  witnessSignature: new Uint8Array(64),
  chains: epochs.map(epoch => ({ epoch, tip: bytes(100 + epoch) }))
})

function two(): { chain: Chain; a: Actor; b: Actor } {
  const policies = [policyOf(1), policyOf(2)]
  const chain = new Chain({ policies, parameters: FULL_PARAMETERS })
  const [a, b] = policies.map(owner)
  assert.ok(a && b)
  return { chain, a, b }
}

describe('stake and committee', () => {
  it('stake leaves the balance, adds up, and seats whoever has registered a chain for the epoch', () => {
    const { chain, a, b } = two()
    chain.done(a, stakeOf(5n * CREDIT, [2, 3]))
    chain.done(a, stakeOf(CREDIT))
    chain.done(b, stakeOf(9n * CREDIT, [3], bytes(51)))
    assert.equal(chain.balance(a), 94n * CREDIT)
    const seats = (epoch: number): [string, bigint][] =>
      candidatesFor(chain.state, epoch).map(({ key, stake }) => [toHex(key), stake])
    assert.deepEqual(seats(2), [[toHex(WITNESS), 6n * CREDIT]])
    assert.deepEqual(
      seats(3),
      [
        [toHex(WITNESS), 6n * CREDIT],
        [toHex(bytes(51)), 9n * CREDIT]
      ].sort()
    )
    assert.deepEqual(seats(4), [])
  })

  it('chains can be renewed without stake; the latest eight epochs are kept', () => {
    const { chain, a } = two()
    chain.fails(a, stakeOf(0n, [2]), 'TRANSACTION_INVALID')
    chain.done(a, stakeOf(CREDIT, [2, 3, 4, 5]))
    chain.done(a, stakeOf(0n, [5, 6, 7, 8, 9, 10]))
    chain.fails(a, stakeOf(0n, [4, 4]), 'TRANSACTION_INVALID')
    const row = chain.state.get('witness', toHex(WITNESS))
    assert.deepEqual(
      row?.chains.map(({ epoch }) => epoch),
      [3, 4, 5, 6, 7, 8, 9, 10]
    )
    assert.equal(row.chains.length, MAX_CHAINS)
  })

  it('a block key belongs to who staked on it first, until the last of it is taken back', () => {
    const { chain, a, b } = two()
    chain.done(a, stakeOf(CREDIT))
    chain.fails(b, stakeOf(CREDIT), 'OBJECT_EXISTS')
    chain.fails(b, { kind: 'unstake', amount: 1n, witness: WITNESS }, 'ACCOUNT_UNKNOWN')
    chain.fails(a, { kind: 'unstake', amount: CREDIT + 1n, witness: WITNESS }, 'FUNDS_MISSING')
    chain.fails(a, { kind: 'unstake', amount: 0n, witness: WITNESS }, 'TRANSACTION_INVALID')
    chain.done(a, { kind: 'unstake', amount: CREDIT, witness: WITNESS })
    chain.done(b, stakeOf(CREDIT))
  })

  it('unstaked credits count for no election any more, and arrive after their time in T', () => {
    const { chain, a } = two()
    chain.done(a, stakeOf(5n * CREDIT, [2]))
    chain.done(a, { kind: 'unstake', amount: 2n * CREDIT, witness: WITNESS })
    assert.equal(candidatesFor(chain.state, 2)[0]?.stake, 3n * CREDIT)
    chain.pass(119_000)
    assert.equal(chain.balance(a), 95n * CREDIT)
    chain.pass(1_000)
    assert.equal(chain.balance(a), 97n * CREDIT)
  })

  it('fails without the money', () => {
    const { chain, a } = two()
    chain.fails(a, stakeOf(1_000n * CREDIT), 'FUNDS_MISSING')
  })

  it('is refused where the block key hasn’t vouched for the account', async () => {
    const { chain, a } = two()
    const made = chain.make(a, stakeOf(CREDIT))
    const asked: Uint8Array[] = []
    const verifier = (answer: boolean) => ({
      verify: (key: Uint8Array, message: Uint8Array): Promise<boolean> => {
        if (toHex(key) !== toHex(WITNESS)) return Promise.resolve(true)
        asked.push(message)
        return Promise.resolve(answer)
      }
    })
    await assert.rejects(verifyTransaction(encodeSigned(made), verifier(false)), { code: 'SIGNATURE_INVALID' })
    assert.ok(await verifyTransaction(encodeSigned(made), verifier(true)))
    assert.deepEqual(asked[0], witnessVouchMessage(chain.network, a.account))
  })
})
