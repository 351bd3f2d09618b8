import assert from 'node:assert/strict'
import fc from 'fast-check'
import { accountId, CREDIT, toHex, type Body, type Policy } from '@pekka/node/protocol'
import { bytes, Chain, delegateOf, dump, grantOf, owner, policyOf, type Actor } from './support.js'

const DELAY = 60_000
const GUARDIANS: Policy = { threshold: 2, keys: [bytes(11), bytes(12), bytes(13)] }
const NEW = policyOf(21)
const [own, lost, stranger] = [policyOf(1), owner(policyOf(1)), owner(policyOf(2))]
const guardians = owner(GUARDIANS)
const found: Actor = { account: lost.account, key: null, signers: NEW.keys }

const recoverBody: Body = { kind: 'recover', account: lost.account, policy: NEW }
const cancelBody: Body = { kind: 'cancel-recovery', account: lost.account }
const guarded = (delayMs = DELAY): Body => ({
  kind: 'set-recovery',
  recovery: { guardians: guardians.account, delayMs }
})

function guardedChain(): Chain {
  const chain = new Chain({ policies: [own, policyOf(2), GUARDIANS] })
  chain.done(lost, guarded())
  return chain
}

describe('ledger: recovery of an account', () => {
  it('gives the account the keys that its guardians named, once the delay is over, and no sooner', () => {
    const chain = guardedChain()
    chain.done(guardians, recoverBody)
    chain.pass(DELAY - 1_000)
    assert.deepEqual(chain.account(lost).policy, own)
    chain.refuses(found, { kind: 'transfer', to: stranger.account, amount: 1n }, 'SIGNATURE_INVALID')
    chain.pass(1_000)
    assert.deepEqual(chain.account(lost).policy, NEW)
    assert.equal(chain.account(lost).recovering, undefined)
    chain.done(found, { kind: 'transfer', to: stranger.account, amount: 1n })
    chain.refuses(lost, { kind: 'transfer', to: stranger.account, amount: 1n }, 'SIGNATURE_INVALID')
  })

  it('moves no money, and leaves id, delegates and guardians as they are', () => {
    const chain = guardedChain()
    chain.done(lost, grantOf(bytes(3), ['cancel']))
    const before = chain.account(lost)
    chain.done(guardians, recoverBody)
    chain.pass(DELAY)
    const { bandwidth: _, policy: __, ...after } = chain.account(lost)
    const { bandwidth: ___, policy: ____, ...kept } = before
    assert.deepEqual(after, kept)
    assert.ok(chain.state.get('lane', `${toHex(lost.account)}/${toHex(bytes(3))}`)?.delegate)
  })

  it('runs in contract time: a ledger that stood still takes nothing from the owner’s time', () => {
    const chain = guardedChain()
    chain.done(guardians, recoverBody)
    chain.commit(10 * DELAY)
    assert.deepEqual(chain.account(lost).policy, own)
  })

  it('is ended by the owner until the last moment, and by the guardians', () => {
    for (const who of [lost, guardians]) {
      const chain = guardedChain()
      chain.done(guardians, recoverBody)
      chain.pass(DELAY - 1_000)
      chain.done(who, cancelBody)
      chain.pass(2 * DELAY)
      assert.deepEqual(chain.account(lost).policy, own)
      chain.fails(who, cancelBody, 'NOT_ON_LEDGER')
    }
  })

  it('is ended by other keys or other guardians that the owner sets', () => {
    const bodies: Body[] = [
      { kind: 'set-policy', policy: own },
      guarded(2 * DELAY),
      { kind: 'set-recovery', recovery: null }
    ]
    for (const body of bodies) {
      const chain = guardedChain()
      chain.done(guardians, recoverBody)
      chain.done(lost, body)
      chain.pass(2 * DELAY)
      assert.deepEqual(chain.account(lost).policy, own, body.kind)
    }
  })

  it('is nobody’s but the guardians’, as many of them as their policy says, and one at a time', () => {
    const chain = new Chain({ policies: [own, policyOf(2), GUARDIANS] })
    chain.fails(guardians, recoverBody, 'BODY_NOT_ALLOWED')
    chain.done(lost, guarded())
    chain.fails(stranger, recoverBody, 'BODY_NOT_ALLOWED')
    chain.fails(stranger, cancelBody, 'BODY_NOT_ALLOWED')
    chain.refuses({ ...guardians, signers: [bytes(11)] }, recoverBody, 'SIGNATURE_INVALID')
    chain.fails(guardians, { kind: 'recover', account: bytes(90), policy: NEW }, 'ACCOUNT_UNKNOWN')
    const twice = { threshold: 1, keys: [bytes(5), bytes(5)] }
    chain.fails(guardians, { kind: 'recover', account: lost.account, policy: twice }, 'TRANSACTION_INVALID')
    chain.done(guardians, recoverBody)
    chain.fails(guardians, recoverBody, 'OBJECT_EXISTS')
  })

  it('is never a delegate’s: neither to guard, nor to recover, nor to end', () => {
    const chain = guardedChain()
    const delegate = delegateOf(guardians.account, bytes(4))
    chain.fails(guardians, grantOf(bytes(4), ['recover']), 'BODY_NOT_ALLOWED')
    chain.done(guardians, grantOf(bytes(4), ['cancel']))
    for (const body of [guarded(), recoverBody, cancelBody]) chain.refuses(delegate, body, 'BODY_NOT_ALLOWED')
  })

  it('names guardians that are there, and not the account itself', () => {
    const chain = new Chain({ policies: [own] })
    chain.fails(lost, guarded(), 'ACCOUNT_UNKNOWN')
    const self = { guardians: lost.account, delayMs: DELAY }
    chain.fails(lost, { kind: 'set-recovery', recovery: self }, 'TRANSACTION_INVALID')
  })

  it('survives a rotation of the guardians’ own keys', () => {
    const chain = guardedChain()
    chain.done(guardians, { kind: 'set-policy', policy: policyOf(31) })
    chain.refuses(guardians, recoverBody, 'SIGNATURE_INVALID')
    chain.done({ ...guardians, signers: [bytes(31)] }, recoverBody)
  })

  it('walks of owners, guardians and strangers: invariants hold, and keys change only as the rules say', () => {
    const accounts = [1, 2, 3].map(seed => accountId(policyOf(seed)))
    const pick = <T>(list: readonly T[], at: number): T => list[at % list.length] as T
    const move = fc.record({ who: fc.nat(2), what: fc.nat(7), on: fc.nat(2), key: fc.nat(4), wait: fc.nat(70_000) })
    // Guards the one before it, most of the time.
    const guardOf = (on: number) => pick(accounts, on + 1)
    const bodyOf = ({ who, what, on, key }: { who: number; what: number; on: number; key: number }): Body => {
      const policy = key === 4 ? { threshold: 2, keys: [bytes(1), bytes(2)] } : policyOf(1 + key)
      const target = pick(accounts, on)
      const guardians = key > 0 ? guardOf(who) : target
      if (what === 0) return { kind: 'set-recovery', recovery: { guardians, delayMs: DELAY } }
      if (what === 1) return { kind: 'set-recovery', recovery: null }
      if (what === 2) return { kind: 'set-policy', policy }
      if (what === 3 || what === 7) return { kind: 'cancel-recovery', account: key > 1 ? pick(accounts, who) : target }
      if (what === 4) return { kind: 'transfer', to: target, amount: CREDIT }
      return { kind: 'recover', account: target, policy }
    }
    const ends = new Set<string>()
    const walk = (moves: { who: number; what: number; on: number; key: number; wait: number }[]) => {
      const chain = new Chain({ policies: [1, 2, 3].map(policyOf) })
      accounts.forEach((account, on) => {
        const recovery = { guardians: guardOf(on), delayMs: DELAY }
        chain.done({ account, key: null, signers: [bytes(on + 1)] }, { kind: 'set-recovery', recovery })
      })
      for (const one of moves) {
        const account = (one.what === 5 || one.what === 6) && one.key > 1 ? guardOf(one.on) : pick(accounts, one.who)
        const before = new Map(accounts.map(id => [toHex(id), chain.account({ account: id, key: null, signers: [] })]))
        // Whoever holds the keys now signs.
        const { threshold, keys } = before.get(toHex(account))?.policy ?? own
        const body = bodyOf(one)
        const outcome = chain.send({ account, key: null, signers: keys.slice(0, threshold) }, body)
        chain.commit(one.wait % 2_001)
        if (one.wait > 50_000) chain.pass(DELAY)
        for (const id of accounts) {
          const [was, is] = [before.get(toHex(id)), chain.account({ account: id, key: null, signers: [] })]
          if (toHex(accountId(was?.policy ?? own)) === toHex(accountId(is.policy))) continue
          const byOwner = outcome.status === 'applied' && body.kind === 'set-policy' && toHex(id) === toHex(account)
          const due = was?.recovering !== undefined || (outcome.status === 'applied' && body.kind === 'recover')
          ends.add(byOwner ? 'rotated' : 'recovered')
          assert.ok(byOwner || due, 'keys change by the owner or by a recovery under way')
        }
        ends.add(`${body.kind}: ${'code' in outcome ? outcome.code : outcome.status}`)
      }
      return dump(chain.state)
    }
    fc.assert(
      fc.property(fc.array(move, { minLength: 10, maxLength: 40 }), moves => {
        walk(moves)
      }),
      { numRuns: 20, seed: 5 }
    )
    const wanted = ['rotated', 'recovered', 'recover: applied', 'recover: OBJECT_EXISTS', 'cancel-recovery: applied']
    assert.deepEqual(
      wanted.filter(end => !ends.has(end)),
      []
    )
  })
})
