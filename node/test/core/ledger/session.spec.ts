import assert from 'node:assert/strict'
import {
  askSchema,
  CREDIT,
  sessionTermsSchema,
  toHex,
  type BodyOf,
  type CommitClaim,
  type OfferTask,
  type Parameters
} from '@pekka/node/protocol'
import { askOf, bytes, claimOf, FULL_PARAMETERS, HOLD_PRICE, offerOf, openMarket, PRICE } from './support.js'

const TERMS = { idleMs: 120_000, lifeMs: 3_600_000 }
const chain = (count: number) => ({ count, head: count === 0 ? null : bytes(1000 + count) })

/** A session of one machine or more: what happens in it, in words of a test. */
function keep(change: Partial<OfferTask> = {}, parameters?: Parameters, providers = 1) {
  const market = openMarket(providers, parameters)
  const before = market.chain.balance(market.client)
  const terms = offerOf(market.client.account, market.providers, { session: TERMS, ...change })
  const { task } = terms
  market.chain.done(market.client, { kind: 'offer', tasks: [terms] })
  const [first] = market.providers
  assert.ok(first)
  const own = market.chain.balance(first.owner)
  market.chain.done(first.agent, { kind: 'accept', task })
  const { agent, provider } = first
  let [output, cells] = [0, 0]
  const aliveBody = (came: number, ended: number, count = ++output): BodyOf<'alive'> => ({
    kind: 'alive',
    task,
    attempt: 1,
    count,
    head: bytes(2000 + count),
    session: { in: chain(came), cells: ended }
  })
  const claim = (wallMs: number, heldMs: number, came = 0, more: Partial<CommitClaim> = {}): CommitClaim =>
    claimOf({
      count: output,
      head: bytes(2000 + output),
      usage: { wallMs, cpuMs: 0 },
      session: { heldMs, in: chain(came), cells },
      ...more
    })
  const self = {
    market,
    chain: market.chain,
    task,
    agent,
    provider,
    before,
    own,
    owner: first.owner,
    claim,
    aliveBody,
    view: () => market.chain.view(task),
    row: () => market.chain.state.get('task', toHex(task)),
    progress: () => market.chain.view(task).attempts.at(-1)?.session,
    /** `ms` pass with a report every 10 s at most and one at the end: so many cells came after the first, so many ended. */
    live(ms: number, came: number, ended: number) {
      for (let left = ms; left > 0; left -= 10_000) {
        market.chain.pass(Math.min(left, 10_000))
        market.chain.done(agent, aliveBody(came, ended))
        cells = ended
      }
    },
    tranche: (made: CommitClaim): BodyOf<'tranche'> => ({ kind: 'tranche', task, attempt: 1, claim: made }),
    commit: (made: CommitClaim): BodyOf<'commit'> => ({ kind: 'commit', task, attempt: 1, claim: made })
  }
  return self
}

describe('ledger: sessions (R33)', () => {
  describe('offer', () => {
    it('names the price of waiting that the ask says, and only for a session', () => {
      const market = openMarket(1)
      const make = (change: Partial<OfferTask>, holdPricePerSecond: bigint | null) => {
        const terms = offerOf(market.client.account, market.providers, change)
        return { ...terms, candidates: terms.candidates.map(one => ({ ...one, holdPricePerSecond })) }
      }
      for (const wrong of [
        make({ session: TERMS }, HOLD_PRICE + 1n),
        make({ session: TERMS }, null),
        make({}, HOLD_PRICE)
      ]) {
        market.chain.fails(market.client, { kind: 'offer', tasks: [wrong] }, 'ASK_MISMATCH')
      }
      market.chain.done(market.client, { kind: 'offer', tasks: [make({ session: TERMS }, HOLD_PRICE)] })
    })

    it('finds nobody where machines are not kept', () => {
      const market = openMarket(1)
      const [first] = market.providers
      assert.ok(first)
      const ask = askOf(first.provider, 88, { holdPricePerSecond: null })
      market.chain.done(first.agent, { kind: 'ask', ask })
      const terms = offerOf(market.client.account, [{ provider: first.provider, ask }], { session: TERMS })
      market.chain.fails(market.client, { kind: 'offer', tasks: [terms] }, 'ASK_MISMATCH')
    })

    it('waiting costs no more than running, and nobody waits for longer than it lives', () => {
      const ask = askOf(bytes(1), 1)
      assert.equal(askSchema.safeParse({ ...ask, holdPricePerSecond: PRICE }).success, true)
      assert.equal(askSchema.safeParse({ ...ask, holdPricePerSecond: PRICE + 1n }).success, false)
      assert.equal(sessionTermsSchema.safeParse({ idleMs: 2000, lifeMs: 1999 }).success, false)
    })
  })

  describe('RUNNING: alive', () => {
    it('tells waiting from running where both ends of a stretch say so', () => {
      const session = keep()
      session.live(8000, 0, 0)
      assert.deepEqual([session.progress()?.busyMs, session.progress()?.idleMs], [8000, 0], 'cell 0 runs')
      session.live(5000, 0, 1)
      assert.deepEqual([session.progress()?.busyMs, session.progress()?.idleMs], [8000, 0], 'it ended somewhere')
      session.live(20_000, 0, 1)
      assert.deepEqual([session.progress()?.busyMs, session.progress()?.idleMs], [8000, 20_000])
      session.live(4000, 1, 2)
      assert.deepEqual(
        [session.progress()?.busyMs, session.progress()?.idleMs],
        [8000, 20_000],
        'a cell came and ended'
      )
    })

    it('a chain never goes back, and has one head at one length', () => {
      const session = keep()
      session.live(2000, 2, 2)
      const { chain: ledger, agent } = session
      const good = session.aliveBody(2, 2)
      ledger.fails(agent, session.aliveBody(1, 2), 'TRANSACTION_INVALID')
      ledger.fails(agent, session.aliveBody(2, 1), 'TRANSACTION_INVALID')
      ledger.fails(agent, { ...good, count: 0 }, 'TRANSACTION_INVALID')
      ledger.fails(agent, { ...good, count: 1, head: bytes(5) }, 'TRANSACTION_INVALID')
      const other = { in: { count: 2, head: bytes(6) }, cells: 2 }
      ledger.fails(agent, { ...good, session: other }, 'TRANSACTION_INVALID')
      ledger.done(agent, good)
    })

    it('says the chains in a session, and in no other task', () => {
      const session = keep()
      session.chain.fails(session.agent, { ...session.aliveBody(0, 0), session: null }, 'TRANSACTION_INVALID')
      const plain = keep({ session: null })
      plain.chain.fails(plain.agent, plain.aliveBody(0, 0), 'TRANSACTION_INVALID')
      plain.chain.fails(plain.agent, plain.commit(plain.claim(0, 0)), 'TRANSACTION_INVALID')
      plain.chain.fails(plain.agent, plain.tranche(claimOf()), 'TRANSACTION_INVALID')
      plain.chain.fails(plain.market.client, { kind: 'close', task: plain.task }, 'TASK_STATE')
    })

    it('the limit of a cell does not end a session', () => {
      const session = keep({ limits: { wallMs: 5000, cpuMs: 5000, outputBytes: 1 } })
      session.live(60_000, 0, 1)
      assert.equal(session.view().state, 'running')
    })
  })

  describe('RUNNING: tranche', () => {
    it('pays what was run and waited for so far out of the lock, and the session goes on', () => {
      const session = keep()
      session.live(10_000, 0, 0)
      session.live(30_000, 0, 1)
      session.chain.done(session.agent, session.tranche(session.claim(12_000, 28_000)))
      const view = session.view()
      const paid = 12n * PRICE + 28n * HOLD_PRICE
      assert.deepEqual([view.state, view.paid, view.refunded], ['running', paid, 0n])
      assert.equal(session.chain.balance(session.owner), session.own + paid)
      assert.equal(session.chain.account(session.market.client).locked, CREDIT - paid)
      assert.equal(session.chain.balance(session.market.client), session.before - CREDIT)
    })

    it('is cumulative: the next one pays the difference, and the commit the rest', () => {
      const session = keep()
      session.live(10_000, 0, 0)
      session.chain.done(session.agent, session.tranche(session.claim(10_000, 0)))
      session.live(10_000, 0, 1)
      session.chain.done(session.agent, session.tranche(session.claim(13_000, 7_000)))
      assert.equal(session.view().paid, 13n * PRICE + 7n * HOLD_PRICE)
      session.live(5000, 1, 2)
      session.chain.done(session.agent, session.commit(session.claim(15_000, 10_000, 1)))
      const view = session.view()
      assert.deepEqual([view.state, view.reason], ['settled', 'not-rerun'])
      assert.equal(view.paid, 15n * PRICE + 10n * HOLD_PRICE)
      assert.equal(session.chain.balance(session.owner), session.own + view.paid)
      assert.equal(session.chain.balance(session.market.client), session.before - view.paid)
      assert.equal(session.chain.state.get('provider', toHex(session.provider))?.completed, 1)
    })

    it('can’t be replayed, and never goes back', () => {
      const session = keep()
      session.live(20_000, 2, 2)
      session.chain.done(session.agent, session.tranche(session.claim(15_000, 3000, 2)))
      const { paid } = session.view()
      session.live(10_000, 2, 2)
      for (const wrong of [
        session.claim(15_000, 3000, 2),
        session.claim(10_000, 2000, 2),
        session.claim(14_999, 9000, 2),
        session.claim(18_000, 2999, 2),
        session.claim(16_000, 4000, 1),
        session.claim(16_000, 4000, 2, { count: 1 }),
        session.claim(16_000, 4000, 2, { head: bytes(3) }),
        session.claim(16_000, 4000, 2, { run: 2 })
      ]) {
        session.chain.fails(session.agent, session.tranche(wrong), 'TRANSACTION_INVALID')
      }
      assert.equal(session.view().paid, paid)
      session.chain.fails(session.agent, session.commit(session.claim(10_000, 2000, 2)), 'TRANSACTION_INVALID')
      session.chain.done(session.agent, session.tranche(session.claim(16_000, 4000, 2)))
    })

    it('what a tranche fixed stands for later reports too', () => {
      const session = keep()
      session.live(10_000, 0, 1)
      session.chain.done(session.agent, session.tranche(session.claim(9000, 1000, 3)))
      session.chain.fails(session.agent, session.aliveBody(2, 3), 'TRANSACTION_INVALID', 1000)
      session.chain.done(session.agent, session.aliveBody(3, 4), 1000)
    })

    it('never pays for time after the last alive', () => {
      const session = keep()
      session.live(10_000, 0, 0)
      session.chain.pass(5000)
      session.chain.fails(session.agent, session.tranche(session.claim(10_001, 0)), 'LIMIT_EXCEEDED')
      session.chain.fails(session.agent, session.commit(session.claim(10_001, 0)), 'LIMIT_EXCEEDED')
      session.chain.done(session.agent, session.tranche(session.claim(10_000, 0)))
    })

    it('a second is paid once: as running or as waiting', () => {
      const session = keep()
      session.live(10_000, 0, 0)
      session.live(10_000, 1, 1)
      session.chain.fails(session.agent, session.tranche(session.claim(15_000, 5001, 1)), 'LIMIT_EXCEEDED')
      session.chain.done(session.agent, session.tranche(session.claim(15_000, 5000, 1)))
    })

    it('time that was known to wait is not paid as running, nor the other way round', () => {
      const session = keep()
      session.live(10_000, 0, 0)
      session.live(2000, 0, 1)
      session.live(10_000, 0, 1)
      assert.deepEqual([session.progress()?.busyMs, session.progress()?.idleMs], [10_000, 10_000])
      session.chain.fails(session.agent, session.tranche(session.claim(12_001, 0)), 'LIMIT_EXCEEDED')
      session.chain.fails(session.agent, session.tranche(session.claim(0, 12_001)), 'LIMIT_EXCEEDED')
      session.chain.done(session.agent, session.tranche(session.claim(12_000, 10_000)))
    })

    it('pays at most the cap in all', () => {
      const session = keep({ cap: 5n * PRICE })
      session.live(10_000, 0, 0)
      session.chain.done(session.agent, session.tranche(session.claim(4000, 0)))
      session.live(10_000, 0, 0)
      session.chain.done(session.agent, session.tranche(session.claim(20_000, 0)))
      assert.equal(session.view().paid, 5n * PRICE)
      session.live(10_000, 0, 1)
      session.chain.done(session.agent, session.commit(session.claim(30_000, 0)))
      assert.deepEqual([session.view().paid, session.view().refunded], [5n * PRICE, 0n])
    })

    it('is for the provider of the current attempt of a session that goes on', () => {
      const session = keep({}, undefined, 2)
      session.live(10_000, 0, 0)
      const [, second] = session.market.providers
      assert.ok(second)
      session.chain.fails(second.agent, session.tranche(session.claim(1, 0)), 'CANDIDATE_NOT_NAMED')
      const stopped = session.claim(1, 0, 0, { outcome: 'stopped' })
      session.chain.fails(session.agent, session.tranche(stopped), 'TRANSACTION_INVALID')
      session.chain.done(session.market.client, { kind: 'close', task: session.task })
      session.chain.fails(session.agent, session.tranche(session.claim(1, 0)), 'TASK_STATE')
    })

    it('is listed in place of the one before', () => {
      const session = keep()
      let last = bytes(0)
      for (let i = 1; i <= 5; i++) {
        session.live(10_000, 0, 0)
        last = session.chain.done(session.agent, session.tranche(session.claim(i * 10_000, 0))).id
      }
      assert.equal(session.view().transactions.length, 3, 'offer, accept, the last tranche')
      assert.deepEqual(session.view().transactions.at(-1), last)
      assert.deepEqual(session.progress()?.tranche?.transaction, last)
      assert.equal(session.progress()?.tranche?.claim.usage.wallMs, 50_000)
    })

    it('without one for trancheMs the provider is lost, however alive it is', () => {
      const session = keep({ session: { ...TERMS, idleMs: 3_600_000 } })
      session.live(10_000, 1, 2)
      session.chain.done(session.agent, session.tranche(session.claim(10_000, 0, 1)))
      session.live(590_000, 1, 2)
      assert.equal(session.view().state, 'running')
      session.chain.pass(10_000)
      const view = session.view()
      assert.deepEqual([view.state, view.reason, view.paid], ['settled', 'provider-lost', 10n * PRICE])
    })

    it('a tranche in time keeps it', () => {
      const session = keep({ session: { ...TERMS, idleMs: 3_600_000 } })
      session.live(590_000, 0, 1)
      session.chain.done(session.agent, session.tranche(session.claim(10_000, 500_000)))
      session.live(300_000, 0, 1)
      assert.equal(session.view().state, 'running')
    })

    it('holds back its part, and takes the levy once, at the end', () => {
      const session = keep({}, FULL_PARAMETERS)
      const { slice } = session.view()
      assert.equal(slice, 1_500_000n)
      session.live(10_000, 0, 0)
      session.chain.done(session.agent, session.tranche(session.claim(10_000, 0)))
      assert.equal(session.row()?.held, 2500n)
      assert.equal(session.chain.balance(session.owner), session.own + 7500n)
      assert.equal(session.chain.account(session.owner).bondReserved, slice, 'the slice answers for what comes')
      session.live(10_000, 0, 0)
      session.chain.done(session.agent, session.commit(session.claim(20_000, 0)))
      const view = session.view()
      assert.deepEqual([view.paid, view.levy, view.deposit], [20_000n, 750n, 777n])
      assert.equal(view.lock, view.paid + view.refunded + view.levy + view.deposit)
      assert.equal(session.chain.balance(session.owner), session.own + 15_000n)
      session.chain.pass(60_000)
      assert.equal(session.view().state, 'closed')
      assert.equal(session.chain.balance(session.owner), session.own + 20_000n)
      assert.equal(session.chain.account(session.market.client).locked, 0n)
    })
  })

  describe('a lost provider', () => {
    it('before later cells came, another machine begins anew', () => {
      const session = keep({}, undefined, 2)
      session.live(10_000, 0, 1)
      session.chain.pass(30_000)
      assert.deepEqual([session.view().state, session.view().attempts[0]?.ended], ['offered', 'lapsed'])
    })

    it('after later cells came, nobody goes on with it: all back', () => {
      const session = keep({}, undefined, 2)
      session.live(10_000, 1, 1)
      session.chain.pass(30_000)
      const view = session.view()
      assert.deepEqual([view.state, view.reason, view.refunded], ['closed', 'provider-lost', CREDIT])
    })

    it('after a tranche it is settled with what was paid, and nobody goes on with it', () => {
      const session = keep({}, undefined, 2)
      session.live(10_000, 0, 0)
      session.chain.done(session.agent, session.tranche(session.claim(10_000, 0)))
      session.chain.pass(30_000)
      const view = session.view()
      assert.deepEqual([view.state, view.reason, view.attempts.length], ['settled', 'provider-lost', 1])
      assert.deepEqual([view.paid, view.refunded], [10n * PRICE, CREDIT - 10n * PRICE])
      assert.equal(view.attempts[0]?.ended, 'lapsed')
      assert.equal(session.chain.state.get('provider', toHex(session.provider))?.failed, 1)
      session.chain.fails(session.agent, session.commit(session.claim(10_000, 0)), 'TASK_STATE')
    })

    it('fail is as a lapse: what tranches fixed stays paid', () => {
      const session = keep()
      session.live(10_000, 0, 0)
      session.chain.done(session.agent, session.tranche(session.claim(10_000, 0)))
      session.chain.done(session.agent, { kind: 'fail', task: session.task, attempt: 1, reason: 'shutdown' })
      const view = session.view()
      assert.deepEqual([view.reason, view.paid, view.attempts[0]?.reason], ['provider-lost', 10n * PRICE, 'shutdown'])
    })
  })

  describe('the end', () => {
    it('close: the provider commits, and it ended as it should', () => {
      const session = keep()
      session.live(10_000, 0, 1)
      session.chain.done(session.market.client, { kind: 'close', task: session.task }, 1000)
      assert.deepEqual([session.view().state, session.view().sessionEndedAt], ['stopping', session.chain.timestamp])
      session.chain.done(session.agent, session.commit(session.claim(4000, 6000)))
      assert.deepEqual([session.view().state, session.view().reason], ['settled', 'not-rerun'])
    })

    it('a close that cuts a cell short is stopped', () => {
      const session = keep()
      session.live(10_000, 0, 0)
      session.chain.done(session.market.client, { kind: 'close', task: session.task })
      session.chain.done(session.agent, session.commit(session.claim(4000, 0, 0, { outcome: 'stopped' })))
      assert.equal(session.view().reason, 'stopped')
    })

    it('close is for the lane that offered it', () => {
      const session = keep()
      const other = { account: session.market.client.account, key: bytes(3), signers: [bytes(3)] }
      const grant = { cap: CREDIT, perTask: CREDIT, expiry: session.chain.timestamp + 1_000_000 }
      session.chain.done(session.market.owner, {
        kind: 'grant',
        delegate: { key: bytes(3), bodies: ['offer', 'close'], ...grant }
      })
      session.chain.fails(other, { kind: 'close', task: session.task }, 'BODY_NOT_ALLOWED')
    })

    for (const kind of ['close', 'cancel'] as const) {
      it(`${kind}: an alive after it covers the time up to it, and no more`, () => {
        const session = keep()
        session.live(10_000, 0, 0)
        session.chain.pass(4000)
        session.chain.done(session.market.client, { kind, task: session.task })
        const { deadline } = session.view()
        session.chain.pass(5000)
        session.chain.done(session.agent, session.aliveBody(0, 0))
        assert.equal(session.view().deadline, deadline, 'the grace is not renewed')
        const outcome = 'stopped' as const
        session.chain.fails(session.agent, session.commit(session.claim(14_001, 0, 0, { outcome })), 'LIMIT_EXCEEDED')
        session.chain.done(session.agent, session.commit(session.claim(14_000, 0, 0, { outcome })))
        assert.deepEqual([session.view().reason, session.view().paid], ['stopped', 14n * PRICE])
      })
    }

    it('cancel without a commit: what tranches fixed stays paid, the rest comes back', () => {
      const session = keep()
      session.live(10_000, 0, 0)
      session.chain.done(session.agent, session.tranche(session.claim(10_000, 0)))
      session.chain.done(session.market.client, { kind: 'cancel', task: session.task })
      session.chain.pass(30_000)
      const view = session.view()
      assert.deepEqual([view.state, view.reason, view.paid], ['settled', 'stopped', 10n * PRICE])
      assert.equal(session.chain.state.get('provider', toHex(session.provider))?.failed, 0)
    })

    it('close without a commit: the provider is lost', () => {
      const session = keep()
      session.live(10_000, 1, 2)
      session.chain.done(session.market.client, { kind: 'close', task: session.task })
      session.chain.pass(30_000)
      const view = session.view()
      assert.deepEqual([view.state, view.reason, view.refunded], ['closed', 'provider-lost', CREDIT])
      assert.equal(session.chain.state.get('provider', toHex(session.provider))?.failed, 1)
    })

    it('waits for idleMs, then the ledger ends it: waiting is paid no longer', () => {
      const session = keep()
      session.live(10_000, 0, 1)
      session.live(110_000, 0, 1)
      assert.equal(session.view().state, 'running')
      session.chain.pass(20_000)
      assert.equal(session.view().state, 'stopping')
      assert.equal(session.view().sessionEndedAt, session.chain.timestamp - 10_000)
      session.chain.done(session.agent, session.aliveBody(0, 1))
      session.chain.fails(session.agent, session.commit(session.claim(10_000, 120_001)), 'LIMIT_EXCEEDED')
      session.chain.done(session.agent, session.commit(session.claim(10_000, 120_000)))
      assert.deepEqual([session.view().reason, session.view().paid], ['not-rerun', 10n * PRICE + 120n * HOLD_PRICE])
    })

    it('a cell that comes begins the waiting anew', () => {
      const session = keep()
      session.live(100_000, 0, 1)
      session.live(10_000, 1, 1)
      session.live(100_000, 1, 2)
      assert.equal(session.view().state, 'running')
    })

    it('so does a cell that came and ended between two reports', () => {
      const session = keep()
      session.live(100_000, 0, 1)
      session.live(10_000, 1, 2)
      session.live(100_000, 1, 2)
      assert.equal(session.view().state, 'running')
    })

    it('a timer that runs late, between two commits, gives it no more time', () => {
      const session = keep({ session: { idleMs: 60_000, lifeMs: 60_500 } })
      session.live(60_000, 0, 0)
      session.chain.pass(1000)
      assert.equal(session.view().state, 'stopping')
      session.chain.done(session.agent, session.aliveBody(0, 1))
      session.chain.fails(session.agent, session.commit(session.claim(60_501, 0)), 'LIMIT_EXCEEDED')
    })

    it('lives for lifeMs at most, however busy', () => {
      const session = keep({ session: { idleMs: 60_000, lifeMs: 60_000 } })
      session.live(59_000, 0, 0)
      session.chain.pass(1000)
      assert.equal(session.view().state, 'stopping')
      session.chain.pass(30_000)
      assert.deepEqual([session.view().state, session.view().reason], ['closed', 'provider-lost'])
    })

    it('the provider may end it: cells that ran are paid', () => {
      const session = keep()
      session.live(10_000, 2, 3)
      session.chain.done(session.agent, session.commit(session.claim(6000, 4000, 2)))
      assert.deepEqual([session.view().state, session.view().reason], ['settled', 'not-rerun'])
      assert.equal(session.view().attempts[0]?.claim?.session?.cells, 3)
    })
  })
})
