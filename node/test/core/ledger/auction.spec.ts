import assert from 'node:assert/strict'
import {
  awardOf,
  CREDIT,
  DEVNET_PARAMETERS,
  equalBytes,
  toHex,
  type AuctionBid,
  type AuctionTerms,
  type Parameters
} from '@pekka/node/protocol'
import { lockFor } from '@pekka/node/ledger'
import { AuctionDesk, auctionOf, BID_MS, RESERVE, REVEAL_MS } from './auction-support.js'
import { bytes, claimOf, FULL_PARAMETERS, openMarket } from './support.js'

const desk = (parameters?: Parameters): AuctionDesk => new AuctionDesk(openMarket(3, parameters))
const KEY_MS = 30_000
const DEPOSIT = (2n * CREDIT) / 10n

describe('auctions (R31)', () => {
  it('the lowest bid wins and is paid the second lowest price; the rest of the lock goes back at the award', () => {
    const market = desk()
    const { chain } = market
    const before = chain.balance(market.market.owner)
    const auction = market.run([700n, 500n, 900n])
    const { award, state } = market.view(auction)
    assert.equal(state, 'awarded')
    assert.deepEqual(award, {
      provider: market.provider(1).provider,
      ask: market.provider(1).ask.ask,
      pricePerSecond: 700n,
      cap: RESERVE.cap
    })
    assert.equal(chain.account(market.market.owner).locked, RESERVE.cap)
    chain.done(market.market.client, { kind: 'offer', tasks: [market.offer(auction)] })
    const { task } = auction.terms
    assert.equal(market.view(auction).ended, 'sold')
    chain.done(market.agent(1), { kind: 'accept', task })
    chain.done(
      market.agent(1),
      { kind: 'commit', task, attempt: 1, claim: claimOf({ usage: { wallMs: 2_000, cpuMs: 0 } }) },
      3_000
    )
    const view = chain.view(task)
    assert.equal(view.paid, 1_400n)
    assert.equal(chain.balance(market.market.owner), before - 1_400n)
    // Its history begins with the auction's: who reads it can recompute the price.
    const kinds = view.transactions.map(id => kindOf(market, id))
    assert.deepEqual(kinds.slice(0, 2), ['auction-open', 'auction-bid'])
    assert.equal(kinds.filter(kind => kind === 'auction-reveal').length, 3)
    assert.deepEqual(kinds.slice(-3), ['offer', 'accept', 'commit'])
  })

  it('with levy, slice, hold-back and deposits switched on nothing is lost on the way', () => {
    const market = desk(FULL_PARAMETERS)
    const { chain } = market
    const auction = market.run([700n, 500n])
    const { task } = auction.terms
    chain.done(market.market.client, { kind: 'offer', tasks: [market.offer(auction)] })
    assert.equal(chain.account(market.market.owner).locked, lockFor({ cap: RESERVE.cap }, FULL_PARAMETERS))
    chain.done(market.agent(1), { kind: 'accept', task })
    chain.done(market.agent(1), { kind: 'commit', task, attempt: 1, claim: claimOf({}) }, 3_000)
    chain.pass(FULL_PARAMETERS.contestWindowMs + 1_000)
    assert.equal(chain.view(task).state, 'closed')
    assert.equal(chain.account(market.market.owner).locked, 0n)
  })

  it('one bidder is paid the reserve; a bid above the reserve wins nothing, and everything goes back', () => {
    const market = desk()
    assert.equal(market.view(market.run([400n])).award?.pricePerSecond, RESERVE.pricePerSecond)
    const second = market.run([400n, 1_500n])
    assert.equal(market.view(second).award?.pricePerSecond, RESERVE.pricePerSecond)
    const third = market.run([1_001n])
    assert.equal(market.view(third).ended, 'no-bid')
    assert.equal(market.chain.account(market.provider(0).owner).locked, 0n)
  })

  it('who does not reveal loses its deposit to the fund and is out', () => {
    const market = desk()
    const { chain } = market
    const auction = market.open()
    market.bid(0, auction, 100n)
    market.bid(1, auction, 600n)
    const before = chain.balance(market.provider(0).owner)
    assert.equal(chain.account(market.provider(0).owner).locked, DEPOSIT)
    chain.pass(BID_MS)
    market.reserve(auction)
    market.reveal(1, auction, 600n)
    assert.equal(market.view(auction).state, 'revealing')
    chain.pass(REVEAL_MS)
    const { award } = market.view(auction)
    assert.ok(award && equalBytes(award.provider, market.provider(1).provider))
    assert.equal(award.pricePerSecond, RESERVE.pricePerSecond)
    assert.equal(chain.balance(market.provider(0).owner), before)
    assert.equal(chain.account(market.provider(0).owner).locked, 0n)
    assert.equal(chain.state.get('system', 'system')?.fund, DEPOSIT)
    chain.fails(market.agent(0), market.revealBody(0, auction, 100n), 'TASK_STATE')
  })

  it('where the client reveals nothing the lowest bid wins at its own price, with the whole lock as cap', () => {
    const market = desk()
    const auction = market.open()
    market.bid(0, auction, 5_000n)
    market.bid(1, auction, 6_000n)
    market.chain.pass(BID_MS)
    market.reveal(0, auction, 5_000n)
    market.reveal(1, auction, 6_000n)
    market.chain.pass(REVEAL_MS)
    const { award } = market.view(auction)
    assert.equal(award?.pricePerSecond, 5_000n)
    assert.equal(award.cap, auction.terms.lock)
  })

  it('no offer in time: no-key, and all of it goes back (R4)', () => {
    const market = desk()
    const { chain } = market
    const before = chain.balance(market.market.owner)
    const auction = market.run([700n, 500n])
    const offer = market.offer(auction)
    chain.pass(KEY_MS)
    assert.equal(market.view(auction).ended, 'no-key')
    assert.equal(chain.balance(market.market.owner), before)
    // The id is taken: an offer that was held back starts nothing (R13), and who sent it hears so.
    chain.fails(market.market.client, { kind: 'offer', tasks: [offer] }, 'TASK_STATE')
    assert.equal(chain.state.get('task', toHex(offer.task)), undefined)
    chain.pass(4 * DEVNET_PARAMETERS.maxOfferLifeMs + 2_000)
    assert.equal(chain.state.get('auction', toHex(offer.task)), undefined)
  })

  it('nobody bids: it ends with the window for bids', () => {
    const market = desk()
    const auction = market.open()
    market.chain.pass(BID_MS)
    assert.equal(market.view(auction).ended, 'no-bid')
    assert.equal(market.chain.account(market.market.owner).locked, 0n)
  })

  it('cancelled in any state before its offer: locks and deposits go back, also of who had not revealed', () => {
    for (const until of ['bidding', 'revealing', 'awarded']) {
      const market = desk()
      const { chain } = market
      const auction = until === 'awarded' ? market.run([700n, 500n]) : market.open()
      if (until !== 'awarded') market.bid(0, auction, 700n)
      if (until === 'revealing') chain.pass(BID_MS)
      assert.equal(market.view(auction).state, until)
      chain.fails(market.stranger, { kind: 'cancel', task: auction.terms.task }, 'BODY_NOT_ALLOWED')
      chain.done(market.market.client, { kind: 'cancel', task: auction.terms.task })
      assert.equal(market.view(auction).ended, 'cancelled')
      assert.equal(chain.account(market.market.owner).locked, 0n)
      assert.equal(chain.account(market.provider(0).owner).locked, 0n)
      chain.fails(market.market.client, { kind: 'cancel', task: auction.terms.task }, 'TASK_STATE')
    }
  })

  it('a tie is decided by all salts: alike for everyone, whatever the order of the bids', () => {
    const market = desk()
    const auction = market.run([500n, 500n, 500n])
    const row = market.view(auction)
    assert.equal(row.award?.pricePerSecond, 500n)
    const turned = { ...row, bids: [...row.bids].reverse() }
    assert.deepEqual(awardOf(turned), awardOf(row))
    // Another salt of any bidder draws anew.
    const winners = new Set<string>()
    for (let seed = 0; seed < 32; seed++) winners.add(toHex(awardOf(withSalt(row, seed))?.provider ?? bytes(0)))
    assert.equal(winners.size, 3)
  })

  it('what is revealed is what was bound, by whom and for which auction', () => {
    const market = desk()
    const { chain } = market
    const auction = market.open()
    const other = market.open()
    market.bid(0, auction, 700n)
    // Somebody else's commitment, sent as one's own, can't be opened.
    chain.done(market.agent(1), {
      ...market.bidBody(1, auction, 1n),
      commitment: market.bidBody(0, auction, 700n).commitment
    })
    market.bid(0, other, 700n)
    chain.fails(market.agent(0), market.revealBody(0, auction, 700n), 'TASK_STATE')
    chain.fails(
      market.market.client,
      { kind: 'auction-reserve', auction: auction.terms.task, ...RESERVE },
      'TASK_STATE'
    )
    chain.pass(BID_MS)
    chain.fails(market.agent(2), market.bidBody(2, auction, 1n), 'TASK_STATE')
    chain.fails(market.agent(0), market.revealBody(0, auction, 699n), 'TRANSACTION_INVALID')
    chain.fails(market.agent(1), { ...market.revealBody(0, auction, 700n) }, 'TRANSACTION_INVALID')
    chain.fails(market.agent(2), market.revealBody(2, auction, 700n), 'CANDIDATE_NOT_NAMED')
    chain.fails(
      market.market.client,
      { kind: 'auction-reserve', auction: auction.terms.task, ...RESERVE, pricePerSecond: 1n },
      'TRANSACTION_INVALID'
    )
    chain.fails(
      market.stranger,
      { kind: 'auction-reserve', auction: auction.terms.task, ...RESERVE },
      'BODY_NOT_ALLOWED'
    )
    market.reveal(0, auction, 700n)
    chain.fails(market.agent(0), market.revealBody(0, auction, 700n), 'OBJECT_EXISTS')
  })

  it('a bid is one of a provider, bound to a live ask of its own that serves', () => {
    const market = desk()
    const { chain } = market
    const auction = market.open()
    const large = market.open(RESERVE, {
      resources: { milliCpus: 64_000, memoryBytes: 1 << 30, diskBytes: 0, gpu: null }
    })
    const body = market.bidBody(0, auction, 700n)
    chain.fails(market.agent(0), { ...body, ask: market.provider(1).ask.ask }, 'ASK_MISMATCH')
    chain.fails(market.agent(0), { ...body, auction: large.terms.task }, 'ASK_MISMATCH')
    chain.fails(market.agent(0), { ...body, auction: bytes(77) }, 'TASK_UNKNOWN')
    chain.done(market.agent(0), body)
    chain.fails(market.agent(0), body, 'OBJECT_EXISTS')
    chain.done(market.agent(1), { kind: 'withdraw-ask', ask: market.provider(1).ask.ask })
    chain.fails(market.agent(1), market.bidBody(1, auction, 1n), 'ASK_MISMATCH')
  })

  it('the offer after an award names the winner at its price, and says what was auctioned', () => {
    const market = desk()
    const { chain } = market
    const { client } = market.market
    const auction = market.run([700n, 500n])
    const offer = market.offer(auction)
    const [winner] = offer.candidates
    assert.ok(winner)
    const other = { ...winner, provider: market.provider(0).provider, ask: market.provider(0).ask.ask }
    for (const wrong of [
      { candidates: [{ ...winner, pricePerSecond: 500n }] },
      { candidates: [other] },
      { candidates: [winner, other] },
      { cap: offer.cap + 1n },
      { cap: offer.cap - 1n },
      { keyCommit: bytes(1) },
      { bundle: { ...offer.bundle, size: 1 } },
      { limits: { ...offer.limits, wallMs: 1_000 } }
    ]) {
      chain.fails(client, { kind: 'offer', tasks: [{ ...offer, ...wrong }] }, 'TRANSACTION_INVALID')
    }
    assert.equal(market.view(auction).state, 'awarded')
    chain.done(client, { kind: 'offer', tasks: [offer] })
    // Sent again, as after an answer that got lost: nothing happens (R13).
    chain.done(client, { kind: 'offer', tasks: [offer] })
    assert.equal(chain.account(market.market.owner).locked, RESERVE.cap)
  })

  it('an offer before the award, or of another lane, is refused', () => {
    const market = desk()
    const { chain } = market
    const { client } = market.market
    const row = market.run([700n])
    const auction = market.open()
    const early = { ...market.offer(row), task: auction.terms.task, nonce: auction.terms.nonce }
    chain.fails(client, { kind: 'offer', tasks: [early] }, 'TASK_STATE')
    chain.fails(market.stranger, { kind: 'offer', tasks: [market.offer(row)] }, 'BODY_NOT_ALLOWED')
  })

  it('what is locked is a step of 1, 2, 5; the cap stays below it; ids follow from nonces and are taken once', () => {
    const market = desk()
    const { chain } = market
    const { client } = market.market
    const open = (change: Partial<AuctionTerms>) => ({
      kind: 'auction-open' as const,
      terms: auctionOf(chain.network, client.account, RESERVE, change).terms
    })
    chain.fails(client, open({ lock: 3n * CREDIT }), 'TRANSACTION_INVALID')
    chain.fails(client, open({ task: bytes(3) }), 'TRANSACTION_INVALID')
    chain.fails(client, open({ lock: 20n * CREDIT }), 'DELEGATE_CAP')
    const once = open({})
    chain.done(client, once)
    chain.done(client, once)
    assert.equal(chain.account(market.market.owner).locked, 2n * CREDIT)
    const high = market.open({ ...RESERVE, cap: 2n * CREDIT + 1n })
    market.bid(0, high, 1n)
    chain.pass(BID_MS)
    chain.fails(client, { kind: 'auction-reserve', auction: high.terms.task, ...high.reserve }, 'TRANSACTION_INVALID')
  })

  it('a network of before has no auctions', () => {
    const { auction: _, ...before } = DEVNET_PARAMETERS
    const market = desk(before)
    const { terms } = auctionOf(market.chain.network, market.market.client.account)
    market.chain.fails(market.market.client, { kind: 'auction-open', terms }, 'BODY_NOT_YET')
  })
})

const withSalt = (row: ReturnType<AuctionDesk['view']>, seed: number): ReturnType<AuctionDesk['view']> => ({
  ...row,
  bids: row.bids.map((bid, i): AuctionBid =>
    i === 1 && bid.revealed !== null ? { ...bid, revealed: { ...bid.revealed, salt: bytes(seed) } } : bid
  )
})

function kindOf(market: AuctionDesk, id: Uint8Array): string {
  for (const { ordered } of market.chain.results)
    for (const { transaction } of ordered) if (equalBytes(transaction.id, id)) return transaction.transaction.body.kind
  return 'unknown'
}
