import assert from 'node:assert/strict'
import { CREDIT, toHex } from '@pekka/node/protocol'
import {
  bytes,
  claimOf,
  FULL_PARAMETERS,
  LIMITS,
  offerOf,
  offerTask,
  openMarket,
  PRICE,
  type Market
} from './support.js'

const at = (market: Market, i: number) => {
  const provider = market.providers[i]
  assert.ok(provider)
  return provider
}
const accept = (market: Market, i: number, task: Uint8Array, ms = 0) =>
  market.chain.done(at(market, i).agent, { kind: 'accept', task }, ms)

describe('ledger: the state machine of a task (PROTOCOL §9)', () => {
  describe('– : offer', () => {
    it('locks the cap and opens the first window', () => {
      const market = openMarket()
      const before = market.chain.balance(market.client)
      const task = offerTask(market)
      const view = market.chain.view(task)
      assert.equal(view.state, 'offered')
      assert.equal(view.lock, CREDIT)
      assert.equal(market.chain.balance(market.client), before - CREDIT)
      assert.equal(market.chain.account(market.client).locked, CREDIT)
      assert.equal(view.deadline, market.chain.contractTime + 60_000)
    })

    it('R13: a second offer with the same id is a no-op, whatever its sequence', () => {
      const market = openMarket()
      const terms = offerOf(market.client.account, market.providers)
      market.chain.done(market.client, { kind: 'offer', tasks: [terms] })
      const before = market.chain.view(terms.task)
      market.chain.done(market.client, { kind: 'offer', tasks: [{ ...terms, cap: 5n * CREDIT }] })
      assert.deepEqual(market.chain.view(terms.task), before)
      assert.equal(market.chain.account(market.client).locked, CREDIT)
    })

    it('R13: an offer that was held back until the task had closed starts nothing', () => {
      const market = openMarket()
      const terms = offerOf(market.client.account, market.providers)
      market.chain.done(market.client, { kind: 'offer', tasks: [terms] })
      market.chain.done(market.client, { kind: 'cancel', task: terms.task })
      assert.equal(market.chain.view(terms.task).state, 'closed')
      market.chain.done(market.client, { kind: 'offer', tasks: [terms] }, 100_000)
      assert.equal(market.chain.state.get('task', toHex(terms.task)), undefined)
      assert.equal(market.chain.account(market.client).locked, 0n)
    })

    it('R13: an offer whose expiry is more than two minutes ahead is refused', () => {
      const market = openMarket()
      const tasks = [offerOf(market.client.account, market.providers)]
      market.chain.refuses(market.client, { kind: 'offer', tasks }, 'TRANSACTION_INVALID', {
        expiry: market.chain.timestamp + 120_001
      })
    })

    it('R1: names live asks at their published price, image and size, or fails', () => {
      const market = openMarket()
      const good = offerOf(market.client.account, market.providers)
      const [first] = good.candidates
      assert.ok(first)
      for (const wrong of [
        { candidates: [{ ...first, pricePerSecond: PRICE + 1n }] },
        { candidates: [{ ...first, ask: bytes(99) }] },
        { candidates: [{ ...first, provider: at(market, 1).provider }] },
        { image: { name: 'base', digest: bytes(98) } },
        { image: { name: 'other', digest: good.image.digest } },
        { resources: { ...good.resources, memoryBytes: good.resources.memoryBytes + 1 } }
      ]) {
        const terms = { ...offerOf(market.client.account, market.providers), ...wrong }
        market.chain.fails(market.client, { kind: 'offer', tasks: [terms] }, 'ASK_MISMATCH')
      }
    })

    it('fails when a withdrawn or expired ask is named', () => {
      const market = openMarket()
      const [first, second] = [at(market, 0), at(market, 1)]
      market.chain.done(first.agent, { kind: 'withdraw-ask', ask: first.ask.ask })
      const terms = offerOf(market.client.account, [first])
      market.chain.fails(market.client, { kind: 'offer', tasks: [terms] }, 'ASK_MISMATCH')
      market.chain.timestamp = second.ask.expiry + 1
      market.chain.fails(
        market.client,
        { kind: 'offer', tasks: [offerOf(market.client.account, [second])] },
        'ASK_MISMATCH'
      )
      assert.equal(market.chain.state.get('ask', toHex(second.ask.ask)), undefined, 'it is gone from the state')
    })

    it('is all or nothing over its tasks', () => {
      const market = openMarket()
      const tasks = [
        offerOf(market.client.account, market.providers),
        offerOf(market.client.account, market.providers, { cap: 11n * CREDIT })
      ]
      market.chain.fails(market.client, { kind: 'offer', tasks }, 'DELEGATE_CAP')
      assert.equal(market.chain.account(market.client).locked, 0n)
    })

    it('refuses an id that another account chose', () => {
      const market = openMarket()
      const terms = offerOf(at(market, 0).provider, market.providers)
      market.chain.fails(market.client, { kind: 'offer', tasks: [terms] }, 'TRANSACTION_INVALID')
    })
  })

  describe('OFFERED: accept', () => {
    it('R1: candidate 1 may accept at once, candidate 2 when its window opens', () => {
      const market = openMarket()
      const task = offerTask(market)
      market.chain.fails(at(market, 1).agent, { kind: 'accept', task }, 'CANDIDATE_NOT_NAMED', 1000)
      market.chain.fails(at(market, 1).agent, { kind: 'accept', task }, 'CANDIDATE_NOT_NAMED', 1999)
      accept(market, 1, task, 1)
      assert.equal(market.chain.view(task).attempts[0]?.candidate, 1)
    })

    it('R1: the window opens earlier when all before it declined', () => {
      const market = openMarket()
      const task = offerTask(market)
      market.chain.done(at(market, 0).agent, { kind: 'decline', task })
      accept(market, 1, task)
      assert.equal(market.chain.view(task).state, 'running')
    })

    it('R1: the first accept in ledger order wins', () => {
      const market = openMarket()
      const task = offerTask(market)
      market.chain.pass(3000)
      accept(market, 1, task)
      market.chain.fails(at(market, 0).agent, { kind: 'accept', task }, 'TASK_STATE')
    })

    it('is for named candidates only', () => {
      const market = openMarket(3)
      const terms = offerOf(market.client.account, market.providers.slice(0, 2))
      market.chain.done(market.client, { kind: 'offer', tasks: [terms] })
      market.chain.pass(10_000)
      market.chain.fails(at(market, 2).agent, { kind: 'accept', task: terms.task }, 'CANDIDATE_NOT_NAMED')
      market.chain.fails(at(market, 2).agent, { kind: 'accept', task: bytes(77) }, 'TASK_UNKNOWN')
    })

    it('R22: needs free bond for the slice, which stays reserved until the task is settled', () => {
      const market = openMarket(1, { ...FULL_PARAMETERS, sliceFactorMilli: 6000 })
      const first = offerTask(market, { cap: 8n * CREDIT })
      const second = offerTask(market, { cap: CREDIT })
      accept(market, 0, first)
      assert.equal(market.chain.account(at(market, 0).owner).bondReserved, 48n * CREDIT)
      market.chain.fails(at(market, 0).agent, { kind: 'accept', task: second }, 'FUNDS_MISSING')
      market.chain.done(at(market, 0).agent, { kind: 'commit', task: first, attempt: 1, claim: claimOf() }, 2000)
      assert.equal(market.chain.account(at(market, 0).owner).bondReserved, 0n)
      accept(market, 0, second)
    })

    it('nobody within startWithin: REFUNDED no-provider, all back', () => {
      const market = openMarket()
      const before = market.chain.balance(market.client)
      const task = offerTask(market)
      market.chain.pass(59_000)
      assert.equal(market.chain.view(task).state, 'offered')
      market.chain.pass(1_000)
      const view = market.chain.view(task)
      assert.deepEqual([view.state, view.reason, view.refunded, view.paid], ['closed', 'no-provider', CREDIT, 0n])
      assert.equal(market.chain.balance(market.client), before)
    })

    it('finishBy ends the wait earlier', () => {
      const market = openMarket()
      const task = offerTask(market, { finishBy: market.chain.contractTime + 5_000 })
      market.chain.pass(5_000)
      assert.deepEqual([market.chain.view(task).state, market.chain.view(task).reason], ['closed', 'no-provider'])
    })
  })

  describe('OFFERED: decline and cancel', () => {
    it('the last one left declines: REFUNDED no-provider at once', () => {
      const market = openMarket()
      const task = offerTask(market)
      market.chain.done(at(market, 1).agent, { kind: 'decline', task })
      assert.equal(market.chain.view(task).state, 'offered')
      market.chain.done(at(market, 0).agent, { kind: 'decline', task })
      assert.deepEqual([market.chain.view(task).state, market.chain.view(task).reason], ['closed', 'no-provider'])
    })

    it('who declined is out', () => {
      const market = openMarket()
      const task = offerTask(market)
      market.chain.done(at(market, 0).agent, { kind: 'decline', task })
      market.chain.fails(at(market, 0).agent, { kind: 'accept', task }, 'CANDIDATE_NOT_NAMED')
      market.chain.fails(at(market, 0).agent, { kind: 'decline', task }, 'CANDIDATE_NOT_NAMED')
    })

    it('R10: cancel before accept gives all back', () => {
      const market = openMarket()
      const task = offerTask(market)
      market.chain.done(market.client, { kind: 'cancel', task })
      const view = market.chain.view(task)
      assert.deepEqual([view.state, view.reason, view.refunded], ['closed', 'cancelled', CREDIT])
      assert.equal(view.cancelledAt, market.chain.timestamp)
    })

    it('R38: another delegate of the account cannot cancel it; the account key can', () => {
      const market = openMarket()
      const other = { account: market.client.account, key: bytes(3), signers: [bytes(3)] }
      market.chain.done(market.owner, {
        kind: 'grant',
        delegate: {
          key: bytes(3),
          cap: CREDIT,
          perTask: CREDIT,
          bodies: ['offer', 'cancel'],
          expiry: market.chain.timestamp + 1_000_000
        }
      })
      const task = offerTask(market)
      market.chain.fails(other, { kind: 'cancel', task }, 'BODY_NOT_ALLOWED')
      market.chain.done(market.owner, { kind: 'cancel', task })
      assert.equal(market.chain.view(task).state, 'closed')
    })
  })

  describe('RUNNING', () => {
    it('R2: alive renews the lease', () => {
      const market = openMarket()
      const task = offerTask(market)
      accept(market, 0, task)
      for (let i = 0; i < 10; i++) {
        market.chain.pass(20_000)
        market.chain.done(at(market, 0).agent, {
          kind: 'alive',
          task,
          attempt: 1,
          count: i,
          head: bytes(i),
          session: null
        })
      }
      assert.equal(market.chain.view(task).state, 'running')
      assert.equal(market.chain.view(task).attempts[0]?.count, 9)
      assert.equal(market.chain.view(task).transactions.length, 2, 'alive is not listed')
    })

    it('R2: a lapsed lease opens the next attempt, and the provider that failed is out', () => {
      const market = openMarket()
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.pass(30_000)
      const view = market.chain.view(task)
      assert.deepEqual([view.state, view.attempts[0]?.ended], ['offered', 'lapsed'])
      market.chain.fails(at(market, 0).agent, { kind: 'accept', task }, 'CANDIDATE_NOT_NAMED')
      market.chain.fails(
        at(market, 0).agent,
        { kind: 'alive', task, attempt: 1, count: 1, head: bytes(1), session: null },
        'TASK_STATE'
      )
      accept(market, 1, task)
      assert.equal(market.chain.view(task).attempts.length, 2)
    })

    it('a lapse with nobody left: REFUNDED provider-lost', () => {
      const market = openMarket(1)
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.pass(30_000)
      const view = market.chain.view(task)
      assert.deepEqual([view.state, view.reason, view.refunded], ['closed', 'provider-lost', CREDIT])
      assert.equal(market.chain.state.get('provider', toHex(at(market, 0).provider))?.failed, 1)
    })

    it('fail is as a lapse, only sooner', () => {
      const market = openMarket()
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.done(at(market, 0).agent, { kind: 'fail', task, attempt: 1, reason: 'sandbox' })
      const view = market.chain.view(task)
      assert.deepEqual(
        [view.state, view.attempts[0]?.ended, view.attempts[0]?.reason],
        ['offered', 'failed', 'sandbox']
      )
      accept(market, 1, task)
      market.chain.done(at(market, 1).agent, { kind: 'fail', task, attempt: 2, reason: 'shutdown' })
      assert.deepEqual([market.chain.view(task).state, market.chain.view(task).reason], ['closed', 'provider-lost'])
    })

    it('accept + wall limit + grace ends it however alive it is', () => {
      const market = openMarket(1)
      const task = offerTask(market, { limits: { ...LIMITS, wallMs: 60_000 } })
      accept(market, 0, task)
      for (let i = 0; i < 8; i++) {
        market.chain.pass(10_000)
        market.chain.done(at(market, 0).agent, {
          kind: 'alive',
          task,
          attempt: 1,
          count: i,
          head: bytes(i),
          session: null
        })
      }
      market.chain.pass(10_000)
      assert.deepEqual([market.chain.view(task).state, market.chain.view(task).reason], ['closed', 'provider-lost'])
    })

    it('commit settles in the same commit and pays the price, rounded up', () => {
      const market = openMarket(1)
      const [before, own] = [market.chain.balance(market.client), market.chain.balance(at(market, 0).owner)]
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.done(
        at(market, 0).agent,
        { kind: 'commit', task, attempt: 1, claim: claimOf({ usage: { wallMs: 1501, cpuMs: 0 } }) },
        1501
      )
      const view = market.chain.view(task)
      assert.deepEqual(
        [view.state, view.reason, view.paid, view.refunded],
        ['settled', 'not-rerun', 1501n, CREDIT - 1501n]
      )
      assert.equal(market.chain.balance(at(market, 0).owner), own + 1501n)
      assert.equal(market.chain.balance(market.client), before - 1501n)
      assert.equal(market.chain.state.get('provider', toHex(at(market, 0).provider))?.completed, 1)
    })

    it('pays at most the cap', () => {
      const market = openMarket(1)
      const task = offerTask(market, { cap: 1000n })
      accept(market, 0, task)
      market.chain.done(
        at(market, 0).agent,
        { kind: 'commit', task, attempt: 1, claim: claimOf({ usage: { wallMs: 5000, cpuMs: 0 } }) },
        5000
      )
      assert.equal(market.chain.view(task).paid, 1000n)
    })

    it('refuses more usage than the timestamps leave room for, or than the wall limit', () => {
      const market = openMarket(1)
      const task = offerTask(market, { limits: { ...LIMITS, wallMs: 4000 } })
      accept(market, 0, task)
      const commit = (wallMs: number) => ({
        kind: 'commit' as const,
        task,
        attempt: 1,
        claim: claimOf({ usage: { wallMs, cpuMs: 0 } })
      })
      market.chain.fails(at(market, 0).agent, commit(3001), 'LIMIT_EXCEEDED', 2000)
      market.chain.fails(at(market, 0).agent, commit(4001), 'LIMIT_EXCEEDED', 20_000)
      market.chain.done(at(market, 0).agent, commit(4000))
    })

    it('bounds usage by timestamps, not by contract time, which lags after every pause (R12)', () => {
      const market = openMarket(1)
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.done(
        at(market, 0).agent,
        { kind: 'commit', task, attempt: 1, claim: claimOf({ usage: { wallMs: 300_000, cpuMs: 0 } }) },
        300_000
      )
      assert.equal(market.chain.view(task).paid, 300_000n)
    })

    it('only the current attempt of its provider may commit', () => {
      const market = openMarket()
      const task = offerTask(market)
      accept(market, 0, task)
      const commit = (attempt: number) => ({
        kind: 'commit' as const,
        task,
        attempt,
        claim: claimOf({ usage: { wallMs: 1, cpuMs: 1 } })
      })
      market.chain.fails(at(market, 1).agent, commit(1), 'CANDIDATE_NOT_NAMED')
      market.chain.fails(at(market, 0).agent, commit(2), 'CANDIDATE_NOT_NAMED')
      market.chain.done(at(market, 0).agent, commit(1))
      market.chain.fails(at(market, 0).agent, commit(1), 'TASK_STATE')
    })

    it('outcome stopped without a cancel is refused', () => {
      const market = openMarket(1)
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.fails(
        at(market, 0).agent,
        { kind: 'commit', task, attempt: 1, claim: claimOf({ outcome: 'stopped' }) },
        'TRANSACTION_INVALID',
        5000
      )
    })
  })

  describe('OFFERED(n+1): a late commit', () => {
    it('R2: counts until another has accepted', () => {
      const market = openMarket()
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.pass(31_000)
      assert.equal(market.chain.view(task).state, 'offered')
      market.chain.done(at(market, 0).agent, { kind: 'commit', task, attempt: 1, claim: claimOf() })
      assert.equal(market.chain.view(task).state, 'settled')
      assert.equal(market.chain.state.get('provider', toHex(at(market, 0).provider))?.failed, 0)
    })

    it('R2: is void after another has accepted; one attempt at most is paid', () => {
      const market = openMarket()
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.pass(30_000)
      accept(market, 1, task)
      market.chain.fails(at(market, 0).agent, { kind: 'commit', task, attempt: 1, claim: claimOf() }, 'TASK_STATE')
      market.chain.done(at(market, 1).agent, { kind: 'commit', task, attempt: 2, claim: claimOf() }, 2000)
      assert.equal(market.chain.view(task).paid, 1500n)
    })

    it('is not for a provider that gave up itself', () => {
      const market = openMarket()
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.done(at(market, 0).agent, { kind: 'fail', task, attempt: 1, reason: 'internal' })
      market.chain.fails(
        at(market, 0).agent,
        { kind: 'commit', task, attempt: 1, claim: claimOf() },
        'TASK_STATE',
        5000
      )
    })
  })

  describe('STOPPING', () => {
    const stop = (ms: number) => {
      const market = openMarket(1)
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.done(market.client, { kind: 'cancel', task }, ms)
      assert.equal(market.chain.view(task).state, 'stopping')
      return { market, task, provider: at(market, 0) }
    }

    it('R10: pays the claimed time, at most from accept to cancel', () => {
      const { market, task, provider } = stop(2000)
      market.chain.done(
        provider.agent,
        { kind: 'commit', task, attempt: 1, claim: claimOf({ outcome: 'stopped', usage: { wallMs: 2900, cpuMs: 0 } }) },
        1500
      )
      const view = market.chain.view(task)
      assert.deepEqual([view.state, view.reason, view.paid], ['settled', 'stopped', 2000n])
    })

    it('takes the run’s own outcome when it had ended before the cancel reached it', () => {
      const { market, task, provider } = stop(2000)
      market.chain.done(
        provider.agent,
        { kind: 'commit', task, attempt: 1, claim: claimOf({ usage: { wallMs: 1200, cpuMs: 0 } }) },
        100
      )
      assert.deepEqual([market.chain.view(task).reason, market.chain.view(task).paid], ['stopped', 1200n])
      assert.equal(market.chain.view(task).attempts[0]?.claim?.outcome, 'ok')
    })

    it('R10: no commit, no pay: full refund after the grace', () => {
      const { market, task } = stop(2000)
      market.chain.pass(29_000)
      assert.equal(market.chain.view(task).state, 'stopping')
      market.chain.pass(1_000)
      const view = market.chain.view(task)
      assert.deepEqual(
        [view.state, view.reason, view.refunded, view.attempts[0]?.ended],
        ['closed', 'cancelled', CREDIT, 'cancelled']
      )
    })

    it('a second cancel changes nothing', () => {
      const { market, task } = stop(2000)
      market.chain.fails(market.client, { kind: 'cancel', task }, 'TASK_STATE')
    })
  })

  describe('SETTLED and CLOSED', () => {
    it('W passes, then the object is deleted and the delegate has its deposit back', () => {
      const market = openMarket(1, FULL_PARAMETERS)
      const provider = at(market, 0)
      const own = market.chain.balance(provider.owner)
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.done(
        provider.agent,
        { kind: 'commit', task, attempt: 1, claim: claimOf({ usage: { wallMs: 1000, cpuMs: 0 } }) },
        1000
      )
      const settled = market.chain.view(task)
      assert.equal(settled.lock, settled.paid + settled.refunded + settled.levy + settled.deposit)
      assert.deepEqual([settled.paid, settled.levy, settled.deposit], [1000n, 38n, 777n])
      assert.equal(market.chain.balance(provider.owner), own + 750n, 'a quarter is held back')
      assert.equal(market.chain.account(market.client).locked, 777n)
      market.chain.pass(59_000)
      assert.equal(market.chain.view(task).state, 'settled')
      market.chain.pass(1_000)
      assert.equal(market.chain.view(task).state, 'closed')
      assert.equal(market.chain.state.get('task', toHex(task)), undefined)
      assert.equal(market.chain.balance(provider.owner), own + 1000n)
      assert.equal(market.chain.account(market.client).locked, 0n)
    })
  })

  describe('R12: contract time', () => {
    it('a pause of the ledger lapses nobody: T moves 2 s at most a commit', () => {
      const market = openMarket(1)
      const task = offerTask(market)
      accept(market, 0, task)
      market.chain.done(
        at(market, 0).agent,
        { kind: 'alive', task, attempt: 1, count: 1, head: bytes(1), session: null },
        600_000
      )
      assert.equal(market.chain.view(task).state, 'running')
    })

    it('what was cut off is never caught up', () => {
      const market = openMarket()
      const before = market.chain.contractTime
      market.chain.commit(60_000)
      market.chain.commit(500)
      assert.equal(market.chain.contractTime - before, 2_500)
    })

    it('timers run at the start of a commit: an accept in the commit in which the offer ends comes too late', () => {
      const market = openMarket(1)
      const task = offerTask(market)
      market.chain.pass(59_000)
      market.chain.fails(at(market, 0).agent, { kind: 'accept', task }, 'TASK_UNKNOWN', 1000)
    })

    it('a commit runs a bounded number of timers, the next one the rest', () => {
      const market = openMarket(1)
      const terms = Array.from({ length: 10 }, () =>
        Array.from({ length: 30 }, () => offerOf(market.client.account, market.providers, { cap: 1000n }))
      )
      for (const tasks of terms) market.chain.queue(market.client, { kind: 'offer', tasks })
      market.chain.commit()
      market.chain.pass(60_000)
      const open = () => [...market.chain.state.keys('task')].length
      assert.equal(open(), 300 - 256)
      market.chain.commit()
      assert.equal(open(), 0)
    })
  })
})
