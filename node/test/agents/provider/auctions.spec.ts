import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { random } from '@pekka/node/host/crypto'
import { toHex, type Ask, type AuctionView, type Body, type TransactionOutcome } from '@pekka/node/protocol'
import { Auctions, awardedPrice, MAX_OPEN_BIDS } from '../../../src/agents/provider/ledger/auctions.js'
import { paidMs } from '../../../src/agents/provider/machine/workshop.js'
import { AuctionDesk, BID_MS } from '../../core/ledger/auction-support.js'
import { bytes, offerOf, openMarket } from '../../core/ledger/support.js'

type Ordered = Exclude<TransactionOutcome, { status: 'refused' }>

describe('provider: bids in auctions (R31)', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-bids-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const desk = new AuctionDesk(openMarket(2))
  const { network } = desk.chain
  const { provider, ask } = desk.provider(0)
  let files = 0

  /** A bidder whose ledger answers as the test says. */
  function bidder(answer: (body: Body) => Promise<Ordered>, asks: Ask[] = [ask]) {
    const sent: Body[] = []
    const bound = Promise.withResolvers<void>()
    const failed = Promise.withResolvers<void>()
    const file = join(folder, `${files++}.json`)
    const send = (body: Body): Promise<Ordered> => {
      sent.push(body)
      return answer(body)
    }
    const auctions = new Auctions(
      {
        ledger: { auctions: async () => [] },
        lane: { send },
        random,
        asks: () => asks,
        free: () => true,
        log: { info: () => bound.resolve(), warn: () => failed.resolve() }
      },
      { network, provider, file, pricePerSecond: 700n }
    )
    // All work ends before it stops.
    const kept = async (): Promise<number> => {
      await auctions.stop()
      return (JSON.parse(await readFile(file, 'utf8')) as unknown[]).length
    }
    return { auctions, sent, kept, bound: bound.promise, failed: failed.promise }
  }

  const place = { id: bytes(1), index: 1, position: 0, timestamp: 1 }
  const applied = async (): Promise<Ordered> => ({ ...place, status: 'applied' })
  const fails = (code: 'TASK_STATE' | 'OBJECT_EXISTS' | 'ASK_MISMATCH') => async (): Promise<Ordered> => ({
    ...place,
    status: 'failed',
    code,
    data: {}
  })

  it('has a bounded number of bids open, however many auctions there are', async () => {
    const view = desk.view(desk.open())
    const { auctions, sent, kept } = bidder(applied)
    for (let i = 0; i < MAX_OPEN_BIDS + 9; i++) auctions.take({ ...view, auction: bytes(500 + i) })
    assert.equal(await kept(), MAX_OPEN_BIDS)
    assert.equal(sent.length, MAX_OPEN_BIDS)
  })

  it('takes bids again once others are over', async () => {
    const view = desk.view(desk.open())
    const { auctions, sent, kept } = bidder(applied)
    for (let i = 0; i < MAX_OPEN_BIDS; i++) auctions.take({ ...view, auction: bytes(500 + i) })
    auctions.take({ ...view, auction: bytes(500), state: 'ended', ended: 'no-bid' })
    auctions.take({ ...view, auction: bytes(600) })
    assert.equal(await kept(), MAX_OPEN_BIDS)
    assert.equal(sent.length, MAX_OPEN_BIDS + 1)
  })

  it('keeps the price of a bid that may be bound, and forgets that of one that is not', async () => {
    for (const [code, count] of [
      ['OBJECT_EXISTS', 1],
      ['TASK_STATE', 1],
      ['ASK_MISMATCH', 0]
    ] as const) {
      const { auctions, kept } = bidder(fails(code))
      auctions.take(desk.view(desk.open()))
      assert.equal(await kept(), count, code)
    }
  })

  it('tries to reveal again at the next change after the ledger could not be reached', async function () {
    this.timeout(20_000)
    let reachable = true
    const auction = desk.open()
    const { auctions, sent, kept, bound, failed } = bidder(body =>
      reachable ? applied() : Promise.reject(new Error(`${body.kind} went nowhere`))
    )
    auctions.take(desk.view(auction))
    await bound
    desk.bid(0, auction, 700n)
    desk.chain.pass(BID_MS)
    reachable = false
    const revealing: AuctionView = desk.view(auction)
    assert.equal(revealing.state, 'revealing')
    auctions.take(revealing)
    await failed
    reachable = true
    const before = sent.length
    auctions.take(revealing)
    await kept()
    assert.deepEqual(
      sent.slice(before).map(({ kind }) => kind),
      ['auction-reveal']
    )
  })

  it('bids with the ask that lives longest', async () => {
    const longer = { ...ask, ask: bytes(700), expiry: ask.expiry + 1 }
    const { auctions, sent, kept } = bidder(applied, [ask, longer, { ...ask, ask: bytes(701) }])
    auctions.take(desk.view(desk.open()))
    await kept()
    const [body] = sent
    assert.ok(body?.kind === 'auction-bid')
    assert.equal(toHex(body.ask), toHex(longer.ask))
  })

  it('knows what it won from the ledger, and nothing of what another did', async () => {
    const row = desk.view(desk.run([500n, 700n]))
    const ledger = { auctions: async () => [row] }
    assert.equal(await awardedPrice(ledger, provider, row.auction), 700n)
    assert.equal(await awardedPrice(ledger, desk.provider(1).provider, row.auction), null)
    assert.equal(await awardedPrice({ auctions: async () => [] }, provider, row.auction), null)
  })

  it('stops a task that it won when the cap is used up at the price that was awarded', () => {
    const market = desk.market
    const offer = offerOf(market.client.account, market.providers, { cap: 1_400n })
    const [named] = offer.candidates
    assert.ok(named)
    const won = { ...offer, candidates: [{ ...named, pricePerSecond: 700n }] }
    assert.equal(paidMs({ offer: won, candidate: 0, ask }), 2_000)
    assert.equal(paidMs({ offer, candidate: 0, ask }), Number((1_400n * 1000n) / ask.pricePerSecond))
  })
})
