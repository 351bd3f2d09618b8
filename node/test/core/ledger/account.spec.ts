import assert from 'node:assert/strict'
import { accountId, CREDIT, encodeCanonical, toHex, type Policy } from '@pekka/node/protocol'
import { laneHead, verifyTransaction } from '@pekka/node/ledger'
import {
  askOf,
  bytes,
  Chain,
  claimOf,
  delegateOf,
  FULL_PARAMETERS,
  grantOf,
  offerOf,
  openMarket,
  outcomeOf,
  owner,
  policyOf
} from './support.js'

const two = () => {
  const [a, b] = [policyOf(1), policyOf(2)]
  return { chain: new Chain({ policies: [a, b] }), a: owner(a), b: owner(b) }
}

describe('ledger: accounts, lanes and delegates', () => {
  describe('transfer', () => {
    it('moves credits between accounts', () => {
      const { chain, a, b } = two()
      chain.done(a, { kind: 'transfer', to: b.account, amount: CREDIT })
      assert.deepEqual([chain.balance(a), chain.balance(b)], [99n * CREDIT, 101n * CREDIT])
    })

    it('to oneself changes nothing', () => {
      const { chain, a } = two()
      chain.done(a, { kind: 'transfer', to: a.account, amount: CREDIT })
      assert.equal(chain.balance(a), 100n * CREDIT)
    })

    it('fails without money, to nobody, or of nothing', () => {
      const { chain, a, b } = two()
      chain.fails(a, { kind: 'transfer', to: b.account, amount: 100n * CREDIT + 1n }, 'FUNDS_MISSING')
      chain.fails(a, { kind: 'transfer', to: bytes(90), amount: 1n }, 'ACCOUNT_UNKNOWN')
      chain.fails(a, { kind: 'transfer', to: b.account, amount: 0n }, 'TRANSACTION_INVALID')
    })
  })

  describe('open-account', () => {
    it('locks the deposit with the account that opens it', () => {
      const [a, fresh] = [policyOf(1), policyOf(3)]
      const chain = new Chain({ policies: [a], parameters: FULL_PARAMETERS })
      chain.fails(owner(a), { kind: 'open-account', policy: fresh, deposit: 0n }, 'TRANSACTION_INVALID')
      chain.done(owner(a), { kind: 'open-account', policy: fresh, deposit: 55n })
      assert.equal(chain.account(owner(a)).locked, 55n)
      chain.fails(owner(a), { kind: 'open-account', policy: fresh, deposit: 55n }, 'OBJECT_EXISTS')
    })

    it('may be done by the new account itself where there is a faucet, and nowhere else', () => {
      const fresh = policyOf(3)
      const devnet = new Chain({ policies: [policyOf(1)] })
      devnet.done(owner(fresh), { kind: 'open-account', policy: fresh, deposit: 0n })
      devnet.done(owner(fresh), { kind: 'faucet', amount: CREDIT })
      assert.equal(devnet.balance(owner(fresh)), CREDIT)
      const parameters = { ...FULL_PARAMETERS, openDeposit: 0n, faucetLimit: 0n }
      const real = new Chain({ policies: [policyOf(1)], parameters })
      real.refuses(owner(fresh), { kind: 'open-account', policy: fresh, deposit: 0n }, 'ACCOUNT_UNKNOWN')
    })

    it('leaves nothing behind when its signature is another’s', () => {
      const fresh = policyOf(3)
      const chain = new Chain({ policies: [policyOf(1)] })
      const thief = { ...owner(fresh), signers: [bytes(4)] }
      chain.refuses(thief, { kind: 'open-account', policy: fresh, deposit: 0n }, 'SIGNATURE_INVALID')
    })

    it('refuses a policy that names a key twice', () => {
      const { chain, a } = two()
      const policy = { threshold: 2, keys: [bytes(5), bytes(5)] }
      chain.fails(a, { kind: 'open-account', policy, deposit: 0n }, 'TRANSACTION_INVALID')
    })
  })

  describe('account = policy', () => {
    const policy: Policy = { threshold: 2, keys: [bytes(1), bytes(2), bytes(3)] }
    const signed = (...signers: Uint8Array[]) => ({ account: accountId(policy), key: null, signers })

    it('needs as many of its keys as the threshold says, and no strangers', () => {
      const chain = new Chain({ policies: [policy] })
      const body = { kind: 'faucet' as const, amount: CREDIT }
      chain.refuses(signed(bytes(1)), body, 'SIGNATURE_INVALID')
      chain.refuses(signed(bytes(1), bytes(1)), body, 'SIGNATURE_INVALID')
      chain.refuses(signed(bytes(1), bytes(2), bytes(4)), body, 'SIGNATURE_INVALID')
      chain.done(signed(bytes(1), bytes(3)), body)
    })

    it('set-policy rotates the keys, and the id stays', () => {
      const chain = new Chain({ policies: [policy] })
      chain.done(signed(bytes(1), bytes(2)), { kind: 'set-policy', policy: policyOf(6) })
      const body = { kind: 'faucet' as const, amount: CREDIT }
      chain.refuses(signed(bytes(1), bytes(2)), body, 'SIGNATURE_INVALID')
      chain.done(signed(bytes(6)), body)
    })
  })

  describe('faucet', () => {
    it('gives up to the limit of an account in all', () => {
      const { chain, a, b } = two()
      chain.done(a, { kind: 'faucet', amount: 600n * CREDIT })
      chain.fails(a, { kind: 'faucet', amount: 401n * CREDIT }, 'FUNDS_MISSING')
      chain.done(a, { kind: 'faucet', amount: 400n * CREDIT })
      chain.fails(b, { kind: 'faucet', amount: 1n }, 'FUNDS_MISSING')
      assert.equal(chain.balance(a), 1100n * CREDIT)
    })
  })

  describe('R27: lanes', () => {
    it('sequence and previous are per account and key', () => {
      const { chain, client, owner: own } = openMarket()
      const before = laneHead(chain.state, own.account, null)?.sequence
      chain.done(own, { kind: 'faucet', amount: 1n })
      assert.equal(laneHead(chain.state, client.account, client.key)?.sequence, 0)
      assert.equal(laneHead(chain.state, own.account, null)?.sequence, (before ?? 0) + 1)
    })

    it('a wrong sequence or previous is refused and says what is expected', () => {
      const { chain, a } = two()
      const body = { kind: 'faucet' as const, amount: 1n }
      chain.refuses(a, body, 'LANE_SEQUENCE', { sequence: 1 })
      chain.refuses(a, body, 'LANE_SEQUENCE', { previous: bytes(7) })
      const made = chain.make(a, body, { sequence: 5 })
      const outcome = outcomeOf(chain.commit(0, [made]), made.id)
      assert.deepEqual('data' in outcome && outcome.data, { expected: '0' })
    })

    it('the same sequence twice: the first in order counts, the other is void and nobody is punished', () => {
      const { chain, a, b } = two()
      const first = chain.make(a, { kind: 'transfer', to: b.account, amount: 1n })
      const second = chain.make(a, { kind: 'transfer', to: b.account, amount: 2n })
      const result = chain.commit(0, [first, second])
      assert.equal(outcomeOf(result, first.id).status, 'applied')
      assert.equal(outcomeOf(result, second.id).status, 'refused')
      assert.equal(chain.balance(b), 100n * CREDIT + 1n)
    })

    it('a transaction that fails in execution uses its sequence, so its successors don’t hang', () => {
      const { chain, a, b } = two()
      chain.fails(a, { kind: 'transfer', to: b.account, amount: 1000n * CREDIT }, 'FUNDS_MISSING')
      assert.equal(laneHead(chain.state, a.account, null)?.sequence, 1)
      chain.done(a, { kind: 'transfer', to: b.account, amount: 1n })
    })

    it('the same transaction again changes nothing', () => {
      const { chain, a, b } = two()
      const made = chain.queue(a, { kind: 'transfer', to: b.account, amount: 1n })
      const result = chain.commit(0, [made])
      assert.equal(result.ordered.length, 1)
      assert.equal(chain.balance(b), 100n * CREDIT + 1n)
    })

    it('successors in one commit follow one another', () => {
      const { chain, a, b } = two()
      for (let i = 0; i < 5; i++) chain.queue(a, { kind: 'transfer', to: b.account, amount: 1n })
      assert.equal(chain.commit().ordered.length, 5)
      assert.equal(chain.balance(b), 100n * CREDIT + 5n)
    })
  })

  describe('R28: delegates', () => {
    it('spend up to the cap in all, spent and locked, and up to perTask a task', () => {
      const market = openMarket(1)
      const { chain, client } = market
      const offer = (cap: bigint) => ({
        kind: 'offer' as const,
        tasks: [offerOf(client.account, market.providers, { cap })]
      })
      chain.fails(client, offer(10n * CREDIT + 1n), 'DELEGATE_CAP')
      for (let i = 0; i < 5; i++) chain.done(client, offer(10n * CREDIT))
      chain.fails(client, offer(1n), 'DELEGATE_CAP')
      assert.equal(laneHead(chain.state, client.account, client.key)?.locked, 50n * CREDIT)
    })

    it('refunds give back, what was paid doesn’t', () => {
      const market = openMarket(1)
      const { chain, client } = market
      const [provider] = market.providers
      assert.ok(provider)
      const tasks = [offerOf(client.account, market.providers), offerOf(client.account, market.providers)]
      chain.done(client, { kind: 'offer', tasks })
      const [first, second] = tasks
      assert.ok(first && second)
      chain.done(client, { kind: 'cancel', task: first.task })
      chain.done(provider.agent, { kind: 'accept', task: second.task })
      const usage = { wallMs: 1000, cpuMs: 0 }
      const claim = {
        commitment: bytes(1),
        run: 1,
        count: 1,
        head: bytes(2),
        usage,
        outcome: 'ok' as const,
        stored: null,
        session: null
      }
      chain.done(provider.agent, { kind: 'commit', task: second.task, attempt: 1, claim }, 1000)
      const lane = laneHead(chain.state, client.account, client.key)
      assert.deepEqual([lane?.locked, lane?.spent], [0n, 1000n])
    })

    it('may do what was granted and nothing else', () => {
      const market = openMarket(1)
      const { chain, client } = market
      chain.refuses(client, { kind: 'transfer', to: bytes(1), amount: 1n }, 'BODY_NOT_ALLOWED')
      chain.refuses(client, { kind: 'accept', task: bytes(1) }, 'BODY_NOT_ALLOWED')
    })

    it('a grant holds a client’s bodies or an agent’s, never both and never the owner’s', () => {
      const { chain, a } = two()
      chain.fails(a, grantOf(bytes(5), ['offer', 'accept']), 'BODY_NOT_ALLOWED')
      chain.fails(a, grantOf(bytes(5), ['transfer']), 'BODY_NOT_ALLOWED')
      chain.fails(a, grantOf(bytes(5), ['ask', 'bond']), 'BODY_NOT_ALLOWED')
      chain.done(a, grantOf(bytes(5), ['offer']))
    })

    it('ends at its expiry and when it is revoked', () => {
      const { chain, a } = two()
      const delegate = delegateOf(a.account, bytes(5))
      chain.done(a, grantOf(bytes(5), ['cancel'], { expiry: chain.timestamp + 1000 }))
      chain.timestamp += 1001
      chain.refuses(delegate, { kind: 'cancel', task: bytes(1) }, 'DELEGATE_EXPIRED')
      chain.done(a, grantOf(bytes(5), ['cancel']))
      chain.fails(delegate, { kind: 'cancel', task: bytes(1) }, 'TASK_UNKNOWN')
      chain.done(a, { kind: 'revoke', key: bytes(5) })
      chain.refuses(delegate, { kind: 'cancel', task: bytes(1) }, 'DELEGATE_UNKNOWN')
      chain.fails(a, { kind: 'revoke', key: bytes(5) }, 'DELEGATE_UNKNOWN')
    })

    it('what a revoked delegate has open stays, and its refund is counted', () => {
      const market = openMarket(1)
      const { chain, client, owner: own } = market
      const terms = offerOf(client.account, market.providers)
      chain.done(client, { kind: 'offer', tasks: [terms] })
      chain.done(own, { kind: 'revoke', key: bytes(2) })
      assert.equal(chain.view(terms.task).state, 'offered')
      chain.done(own, { kind: 'cancel', task: terms.task })
      assert.equal(laneHead(chain.state, client.account, client.key)?.locked, 0n)
    })

    it('granting again renews: spent starts anew, what is locked still counts, the lane goes on', () => {
      const market = openMarket(1)
      const { chain, client, owner: own } = market
      const [provider] = market.providers
      assert.ok(provider)
      const offer = (cap: bigint) => offerOf(client.account, market.providers, { cap })
      const [paid, open] = [offer(2n * CREDIT), offer(10n * CREDIT)]
      chain.done(client, { kind: 'offer', tasks: [paid, open] })
      chain.done(provider.agent, { kind: 'accept', task: paid.task })
      const claim = claimOf({ usage: { wallMs: 1000, cpuMs: 0 } })
      chain.done(provider.agent, { kind: 'commit', task: paid.task, attempt: 1, claim }, 1000)
      assert.equal(laneHead(chain.state, client.account, client.key)?.spent, 1000n)
      chain.done(own, grantOf(bytes(2), ['offer', 'cancel'], { cap: 15n * CREDIT }))
      assert.equal(laneHead(chain.state, client.account, client.key)?.sequence, 1)
      chain.fails(client, { kind: 'offer', tasks: [offer(5n * CREDIT + 1n)] }, 'DELEGATE_CAP')
      chain.done(client, { kind: 'offer', tasks: [offer(5n * CREDIT)] })
    })

    it('a task belongs to a delegate’s lane: lane 0 makes no offers and runs none', () => {
      const market = openMarket(1)
      const { chain, owner: own } = market
      chain.refuses(own, { kind: 'offer', tasks: [offerOf(own.account, market.providers)] }, 'BODY_NOT_ALLOWED')
      chain.refuses(own, { kind: 'accept', task: bytes(1) }, 'BODY_NOT_ALLOWED')
    })
  })

  describe('R29: parents', () => {
    const body = { kind: 'faucet' as const, amount: 1n }

    it('must be final or the lane’s previous; an unknown one voids nothing', () => {
      const { chain, a } = two()
      chain.refuses(a, body, 'PARENT_UNKNOWN', { parents: [bytes(70)] })
      const first = chain.queue(a, body)
      chain.queue(a, body, { parents: [first.id] })
      assert.equal(chain.commit().ordered.length, 2)
      assert.equal(chain.send(a, body, 0, { parents: [first.id] }).status, 'applied')
    })

    it('are ascending and distinct', () => {
      const { chain, a } = two()
      const { id } = chain.queue(a, body)
      chain.commit()
      const both = [id, chain.network].sort((x, y) => (toHex(x) < toHex(y) ? 1 : -1))
      chain.refuses(a, body, 'TRANSACTION_INVALID', { parents: both })
      chain.refuses(a, body, 'TRANSACTION_INVALID', { parents: [id, id] })
      assert.equal(chain.send(a, body, 0, { parents: [...both].reverse() }).status, 'applied')
    })
  })

  describe('refused without a trace', () => {
    const body = { kind: 'faucet' as const, amount: 1n }

    it('another network', () => {
      const { chain, a } = two()
      chain.refuses(a, body, 'NETWORK_MISMATCH', { network: bytes(71) })
    })

    it('expired: the commit’s timestamp is later', () => {
      const { chain, a } = two()
      chain.refuses(a, body, 'TRANSACTION_EXPIRED', { expiry: chain.timestamp - 1 })
      assert.equal(chain.send(a, body, 0, { expiry: chain.timestamp }).status, 'applied')
    })

    it('an account that isn’t there', () => {
      const { chain } = two()
      chain.refuses(owner(policyOf(99)), body, 'ACCOUNT_UNKNOWN')
    })
  })

  describe('R22: bond', () => {
    it('unbonding takes its time in T, and reserved bond stays', () => {
      const market = openMarket(1, FULL_PARAMETERS)
      const { chain } = market
      const [provider] = market.providers
      assert.ok(provider)
      const terms = offerOf(market.client.account, market.providers)
      chain.done(market.client, { kind: 'offer', tasks: [terms] })
      chain.done(provider.agent, { kind: 'accept', task: terms.task })
      const reserved = chain.account(provider.owner).bondReserved
      assert.equal(reserved, (CREDIT * 3n) / 2n)
      chain.fails(provider.owner, { kind: 'unbond', amount: 50n * CREDIT }, 'FUNDS_MISSING')
      const before = chain.balance(provider.owner)
      chain.done(provider.owner, { kind: 'unbond', amount: 10n * CREDIT })
      chain.done(provider.owner, { kind: 'unbond', amount: 1n * CREDIT })
      assert.equal(chain.account(provider.owner).unbonding.length, 1, 'what is due at once is one part')
      assert.equal(chain.account(provider.owner).bond, 39n * CREDIT)
      chain.pass(119_000)
      assert.equal(chain.balance(provider.owner), before)
      chain.pass(1_000)
      assert.equal(chain.balance(provider.owner), before + 11n * CREDIT)
    })
  })

  describe('asks', () => {
    it('live at most 24 hours and go by themselves', () => {
      const market = openMarket(1)
      const [provider] = market.providers
      assert.ok(provider)
      const { chain } = market
      const late = askOf(provider.provider, 61, { expiry: chain.timestamp + 86_400_001 })
      chain.fails(provider.agent, { kind: 'ask', ask: late }, 'TRANSACTION_INVALID')
      const key = askOf(provider.provider, 61, { kemExpiry: chain.timestamp + 86_400_001 })
      chain.fails(provider.agent, { kind: 'ask', ask: key }, 'TRANSACTION_INVALID')
      const short = askOf(provider.provider, 61, { expiry: chain.timestamp + 5000 })
      chain.done(provider.agent, { kind: 'ask', ask: short })
      chain.fails(provider.agent, { kind: 'ask', ask: short }, 'OBJECT_EXISTS')
      const result = chain.commit(5001)
      assert.deepEqual(result.asks.map(toHex), [toHex(short.ask)])
      assert.equal(chain.state.get('ask', toHex(short.ask)), undefined)
    })

    it('need a provider and an id that follows from account and nonce', () => {
      const { chain, a } = two()
      const agent = delegateOf(a.account, bytes(5))
      chain.done(a, grantOf(bytes(5), ['ask']))
      chain.fails(agent, { kind: 'ask', ask: askOf(a.account, 1) }, 'ACCOUNT_UNKNOWN')
      chain.done(a, {
        kind: 'register-provider',
        name: 'p',
        operator: null,
        peerKey: bytes(1),
        peerSignature: bytes(1, 64)
      })
      chain.fails(agent, { kind: 'ask', ask: { ...askOf(a.account, 1), ask: bytes(44) } }, 'TRANSACTION_INVALID')
      chain.done(agent, { kind: 'ask', ask: askOf(a.account, 1) })
    })

    it('are withdrawn by their provider only', () => {
      const market = openMarket(2)
      const [first, second] = market.providers
      assert.ok(first && second)
      market.chain.fails(second.agent, { kind: 'withdraw-ask', ask: first.ask.ask }, 'ASK_MISMATCH')
      market.chain.done(first.agent, { kind: 'withdraw-ask', ask: first.ask.ask })
    })
  })

  describe('reserved bodies', () => {
    it('are refused with BODY_NOT_YET', async () => {
      const { chain, a } = two()
      const { transaction, signatures } = chain.make(a, { kind: 'faucet', amount: 1n })
      const later = encodeCanonical({
        transaction: { ...transaction, body: { kind: 'contest', task: bytes(1) } },
        signatures
      })
      await assert.rejects(verifyTransaction(later, { verify: async () => true }), { code: 'BODY_NOT_YET' })
    })
  })
})
