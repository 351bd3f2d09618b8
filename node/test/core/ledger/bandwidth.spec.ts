import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  CREDIT,
  SPINE_PARAMETERS,
  toHex,
  type BandwidthParameters,
  type Body,
  type Parameters
} from '@pekka/node/protocol'
import {
  bucketFor,
  bucketOf,
  capOf,
  executeCommit,
  FREE_ALIVE_MS,
  Overlay,
  ROW_UNITS,
  SIGNATURE_UNITS,
  TASK_UNITS,
  unitsAt,
  unitsOf,
  type VerifiedTransaction
} from '@pekka/node/ledger'
import { bytes, Chain, claimOf, openMarket, offerOf, outcomeOf, owner, policyOf, type Actor } from './support.js'

const BANDWIDTH: BandwidthParameters = {
  base: 10_000,
  freeBase: 3_000,
  perCredit: 1_000,
  windowMs: 100_000,
  includerBytes: 2_000
}
const parameters = (change: Partial<BandwidthParameters> = {}, more: Partial<Parameters> = {}): Parameters => ({
  ...SPINE_PARAMETERS,
  faucetLimit: 1_000n * CREDIT,
  ...more,
  bandwidth: { ...BANDWIDTH, ...change }
})
const sizeOf = ({ transaction, signatures, bytes: { length } }: VerifiedTransaction): number =>
  unitsOf(transaction, signatures.length, length)
const transferTo = (to: Actor): Body => ({ kind: 'transfer', to: to.account, amount: 1n })

describe('ledger: bandwidth credit (R30)', () => {
  const [alice, bob] = [owner(policyOf(1)), owner(policyOf(2))]
  let chain: Chain
  const start = (change: Partial<BandwidthParameters> = {}, more: Partial<Parameters> = {}): void => {
    chain = new Chain({ policies: [policyOf(1), policyOf(2)], parameters: parameters(change, more) })
  }
  const units = (actor: Actor, change: Partial<BandwidthParameters> = {}): number =>
    unitsAt(chain.account(actor), chain.timestamp, { ...BANDWIDTH, ...change })
  beforeEach(() => start())

  it('counts bytes, signatures and rows that stay', () => {
    const plain = chain.make(alice, transferTo(bob))
    assert.equal(sizeOf(plain), plain.bytes.length + SIGNATURE_UNITS)
    const opening = chain.make(alice, { kind: 'open-account', policy: policyOf(3), deposit: 0n })
    assert.equal(sizeOf(opening), opening.bytes.length + SIGNATURE_UNITS + ROW_UNITS)
    const tasks = [offerOf(alice.account, []), offerOf(alice.account, [])]
    const offer = chain.make(alice, { kind: 'offer', tasks })
    assert.equal(sizeOf(offer), offer.bytes.length + SIGNATURE_UNITS + 2 * TASK_UNITS)
  })

  it('an account that has used none has all, and a transaction takes its units, also where it fails', () => {
    assert.equal(units(alice), BANDWIDTH.base)
    const { id, bytes: own, ...sent } = chain.queue(alice, transferTo(bob))
    chain.commit()
    assert.equal(units(alice), BANDWIDTH.base - sizeOf({ id, bytes: own, ...sent }))
    assert.equal(units(bob), BANDWIDTH.base, 'who is sent something pays nothing')
    const before = units(alice)
    chain.fails(alice, { kind: 'transfer', to: bytes(90), amount: 1n }, 'ACCOUNT_UNKNOWN')
    assert.ok(units(alice) < before)
  })

  it('refuses what an account has no units for, without a trace, and says when it may come again', () => {
    for (let left = units(alice); left >= 900; left = units(alice)) chain.done(alice, transferTo(bob))
    chain.refuses(alice, transferTo(bob), 'BANDWIDTH_SPENT')
    const refused = chain.make(alice, transferTo(bob))
    const outcome = outcomeOf(chain.commit(0, [refused]), refused.id)
    assert.equal(outcome.status, 'refused')
    const seconds = Number('data' in outcome ? outcome.data['seconds'] : 0)
    assert.ok(seconds > 0 && seconds <= 10)
    chain.done(bob, transferTo(alice))
    chain.done(alice, transferTo(bob), seconds * 1_000)
  })

  it('gives all back within a window, in proportion to the time, and never more', () => {
    for (let i = 0; i < 5; i++) chain.done(alice, transferTo(bob))
    const left = units(alice)
    chain.timestamp += BANDWIDTH.windowMs / 10
    assert.equal(units(alice), Math.min(BANDWIDTH.base, left + BANDWIDTH.base / 10))
    chain.timestamp += 10 * BANDWIDTH.windowMs
    assert.equal(units(alice), BANDWIDTH.base)
  })

  it('a bond gives none at once, and lets more come back', () => {
    chain.done(alice, { kind: 'bond', amount: 10n * CREDIT })
    const left = units(alice)
    assert.ok(left < BANDWIDTH.base)
    assert.equal(capOf(chain.account(alice), BANDWIDTH), BANDWIDTH.base + 10 * BANDWIDTH.perCredit)
    chain.timestamp += BANDWIDTH.windowMs / 4
    assert.equal(units(alice), left + (BANDWIDTH.base + 10_000) / 4)
    chain.timestamp += BANDWIDTH.windowMs
    assert.equal(units(alice), BANDWIDTH.base + 10_000)
    chain.done(alice, { kind: 'unbond', amount: 10n * CREDIT })
    assert.equal(units(alice), BANDWIDTH.base, 'what the bond let come goes with it')
  })

  it('money that goes round gives nobody more than it gives one', () => {
    // All that Alice has is bonded by one after the other: without the rule each would have ten times its base at once.
    start({ perCredit: 1_000, windowMs: 1_000_000 }, { unbondMs: 1 })
    const moved = 90n * CREDIT
    let [from, to] = [alice, bob]
    let used = 0
    for (let i = 0; i < 3; i++) {
      used += sizeOf(chain.queue(from, { kind: 'bond', amount: moved }))
      used += sizeOf(chain.queue(from, { kind: 'unbond', amount: moved }))
      chain.commit(1)
      chain.commit(2)
      used += sizeOf(chain.queue(from, { kind: 'transfer', to: to.account, amount: moved }))
      chain.commit()
      ;[from, to] = [to, from]
    }
    assert.ok(units(alice) + units(bob) + used <= 2 * BANDWIDTH.base + 20)
  })

  it('an escrow counts as a bond while it is locked', () => {
    const market = openMarket(1, parameters({ base: 1_000_000, windowMs: 1_000 }))
    chain = market.chain
    const cap = (): number => capOf(chain.account(market.owner), { ...BANDWIDTH, base: 1_000_000 })
    const terms = offerOf(market.client.account, market.providers, { cap: 5n * CREDIT })
    chain.done(market.client, { kind: 'offer', tasks: [terms] })
    assert.equal(cap(), 1_000_000 + 5 * BANDWIDTH.perCredit)
    chain.done(market.client, { kind: 'cancel', task: terms.task })
    assert.equal(cap(), 1_000_000)
  })

  it('who was opened with a deposit has the whole base at once; who opened itself has the small one', () => {
    start({ base: 20_000 }, { openDeposit: 55n, faucetLimit: 0n })
    const fresh = owner(policyOf(3))
    chain.done(alice, { kind: 'open-account', policy: policyOf(3), deposit: 55n })
    chain.done(alice, { kind: 'transfer', to: fresh.account, amount: 100n })
    assert.equal(units(fresh, { base: 20_000 }), 20_000)
    chain.done(fresh, transferTo(alice))
    start()
    chain.done(fresh, { kind: 'open-account', policy: policyOf(3), deposit: 0n })
    assert.ok(units(fresh) <= BANDWIDTH.freeBase)
    chain.done(alice, { kind: 'open-account', policy: policyOf(4), deposit: 0n })
    assert.equal(units(owner(policyOf(4))), BANDWIDTH.freeBase, 'nor who was opened for nothing')
  })

  it('costs a provider nothing where it moves on a task that names it, and the whole where that fails', () => {
    const market = openMarket(2, parameters({ base: 1_000_000 }))
    chain = market.chain
    const [first, second] = market.providers
    assert.ok(first && second)
    const terms = offerOf(market.client.account, [first])
    chain.done(market.client, { kind: 'offer', tasks: [terms] })
    const spent = (): number => (chain.account(first.owner).bandwidth?.units ?? 0) - 1_000_000
    const before = spent()
    chain.done(first.agent, { kind: 'accept', task: terms.task })
    assert.equal(spent(), before)
    chain.fails(first.agent, { kind: 'accept', task: terms.task }, 'TASK_STATE')
    assert.ok(spent() < before)
    const rest = spent()
    chain.done(first.agent, {
      kind: 'commit',
      task: terms.task,
      attempt: 1,
      claim: claimOf({ usage: { wallMs: 1, cpuMs: 1 } })
    })
    assert.equal(spent(), rest)
    const other = chain.account(second.owner).bandwidth?.units ?? 0
    chain.fails(second.agent, { kind: 'accept', task: terms.task }, 'TASK_STATE')
    assert.ok((chain.account(second.owner).bandwidth?.units ?? 0) < other, 'whom the task does not name pays')
  })

  it('alive of an open task is free as often as a provider sends one, also where commits bring two closer together', () => {
    const market = openMarket(1, parameters({ base: 1_000_000, perCredit: 0, windowMs: 1_000_000_000 }))
    chain = market.chain
    const [provider] = market.providers
    assert.ok(provider)
    const terms = offerOf(market.client.account, [provider])
    chain.done(market.client, { kind: 'offer', tasks: [terms] })
    chain.done(provider.agent, { kind: 'accept', task: terms.task })
    const left = (): number => chain.account(provider.owner).bandwidth?.units ?? 0
    let count = 0
    const alive = (): number => {
      const before = left()
      chain.done(provider.agent, {
        kind: 'alive',
        task: terms.task,
        attempt: 1,
        count: ++count,
        head: bytes(count),
        session: null
      })
      return before - left()
    }
    assert.ok(alive() > 500, 'right after the accept')
    chain.pass(FREE_ALIVE_MS)
    assert.ok(alive() <= 0)
    assert.ok(alive() > 500, 'again at once')
    chain.pass(FREE_ALIVE_MS - 1_000)
    assert.ok(alive() > 500)
    chain.pass(FREE_ALIVE_MS)
    assert.ok(alive() <= 0)
  })

  it('counts nothing where the parameters name no bandwidth', () => {
    const { bandwidth: _, ...before } = SPINE_PARAMETERS
    const old = new Chain({ policies: [policyOf(1), policyOf(2)], parameters: before })
    for (let i = 0; i < 50; i++) old.done(alice, transferTo(bob))
    assert.equal('bandwidth' in old.account(alice), false)
  })

  it('buckets accounts by what is behind them', () => {
    const fresh = new Chain({
      policies: [policyOf(1)],
      balance: 20_000n * CREDIT,
      parameters: parameters({ base: 1_000_000 })
    })
    const bucketAfter = (amount: bigint): number => {
      fresh.done(alice, { kind: 'bond', amount })
      return bucketOf(fresh.state, alice.account)
    }
    assert.equal(bucketOf(fresh.state, alice.account), 0)
    assert.equal(bucketOf(fresh.state, bytes(90)), 0, 'who isn’t there')
    // In all: a millionth, 1, 2, 4, 16,004 credits.
    assert.deepEqual([1n, CREDIT - 1n, CREDIT, 2n * CREDIT, 16_000n * CREDIT].map(bucketAfter), [1, 2, 3, 4, 15])
  })

  it('what an offer has paid for is never in the bucket of those with nothing behind them', () => {
    const market = openMarket(1, parameters({ base: 1_000_000 }))
    const [provider] = market.providers
    assert.ok(provider)
    const terms = offerOf(market.client.account, [provider])
    market.chain.done(market.client, { kind: 'offer', tasks: [terms] })
    const { account, key } = provider.agent
    const row = market.chain.state.get('account', toHex(account)) ?? assert.fail()
    const state = new Overlay(market.chain.state)
    state.put('account', toHex(account), { ...row, bond: 0n })
    const bucketOfBody = (body: Body) =>
      bucketFor(state, {
        v: 1,
        network: bytes(1),
        account,
        key,
        sequence: 0,
        previous: null,
        parents: [],
        expiry: 0,
        body
      })
    assert.equal(bucketOf(state, account), 0)
    assert.equal(bucketOfBody({ kind: 'accept', task: terms.task }), 1)
    assert.equal(bucketOfBody({ kind: 'accept', task: bytes(77) }), 0, 'a task that isn’t there')
    assert.equal(bucketOfBody({ kind: 'faucet', amount: 1n }), 0)
  })

  describe('the includer’s quota', () => {
    const [w1, w2] = [bytes(70), bytes(71)]
    const include = (includers: Uint8Array[], transactions: VerifiedTransaction[]) => {
      const result = executeCommit(chain.state, {
        timestamp: chain.timestamp,
        transactions,
        includers,
        witness: w1,
        isFinal: () => false
      })
      chain.state.write(result.writes)
      return result
    }
    const vain = (sequence: number): VerifiedTransaction =>
      chain.make(alice, transferTo(bob), { sequence, previous: bytes(1) })

    it('leaves out what a witness brings that has brought too much in vain, and nothing of others', () => {
      const wasted = [7, 8, 9, 10, 11, 12].map(vain)
      assert.ok(wasted.reduce((sum, { bytes }) => sum + bytes.length, 0) > BANDWIDTH.includerBytes)
      assert.equal(
        include(
          wasted.map(() => w1),
          wasted
        ).refused.length,
        6
      )
      assert.equal(chain.state.get('includer', toHex(w1))?.left, 0)
      const good = chain.make(alice, transferTo(bob))
      const [outcome] = include([w1], [good]).refused.map(({ outcome }) => outcome)
      assert.equal(outcome?.status === 'refused' && outcome.code, 'RATE_LIMITED')
      assert.equal(include([w2], [good]).ordered.length, 1, 'another witness may bring the very same')
      chain.timestamp += BANDWIDTH.windowMs
      const later = chain.make(bob, transferTo(alice))
      assert.equal(include([w1], [later]).ordered.length, 1, 'and in time it may again')
    })

    it('counts nothing that was ordered, and nobody where one witness decides alone', () => {
      include([w1], [chain.make(alice, transferTo(bob))])
      assert.equal(chain.state.get('includer', toHex(w1)), undefined)
      chain.commit(0, [vain(7)])
      assert.equal([...chain.state.keys('includer')].length, 0)
    })
  })

  it('whatever an account does: no more than its base and what came back since, never below nothing', () => {
    const move = fc.record({
      who: fc.nat(1),
      what: fc.constantFrom('transfer' as const, 'bond' as const, 'unbond' as const, 'wrong' as const),
      wait: fc.oneof(fc.nat(200), fc.nat(30_000)),
      amount: fc.bigInt(1n, 40n * CREDIT)
    })
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), moves => {
        start({}, { unbondMs: 1_000 })
        const began = chain.timestamp
        const used = [0, 0]
        for (const { who, what, wait, amount } of moves) {
          const [actor, other] = who === 0 ? [alice, bob] : [bob, alice]
          const bodies: Record<typeof what, Body> = {
            transfer: { kind: 'transfer', to: other.account, amount },
            bond: { kind: 'bond', amount },
            unbond: { kind: 'unbond', amount },
            wrong: { kind: 'transfer', to: bytes(90), amount }
          }
          const made = chain.queue(actor, bodies[what])
          // Every invariant is checked after each commit, those of bandwidth among them.
          const outcome = outcomeOf(chain.commit(wait), made.id)
          if (outcome.status !== 'refused') used[who] = (used[who] ?? 0) + sizeOf(made)
        }
        // All the money there is, bonded for the whole time, and the bases.
        const passed = chain.timestamp - began
        const most =
          2 * BANDWIDTH.base + ((2 * BANDWIDTH.base + 200 * BANDWIDTH.perCredit) * passed) / BANDWIDTH.windowMs
        assert.ok((used[0] ?? 0) + (used[1] ?? 0) <= most)
      }),
      { numRuns: 60 }
    )
  })
})
