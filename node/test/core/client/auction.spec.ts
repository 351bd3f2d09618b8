import assert from 'node:assert/strict'
import type { TransactionOutcome } from '@pekka/node/protocol'
import { CREDIT, isPekkaError, toHex, viewKeyFrom, type AuctionTerms, type AuctionView } from '@pekka/node/protocol'
import type { PreparedTask, Quote } from '@pekka/node/client'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'
import { buyByAuction, type AuctionParts } from '../../../src/core/client/task/auction.js'
import type { VerifiedAsk } from '../../../src/core/client/market.js'
import { AuctionDesk } from '../ledger/auction-support.js'
import { bytes, openMarket } from '../ledger/support.js'

const CAP = (CREDIT * 3n) / 2n
const MOST = 1_000n

interface Behaviour {
  /** Bids of the providers, in order; all are revealed before the client's highest price comes. */
  prices: bigint[]
  /** Whether the client's highest price comes after the window. */
  late?: boolean
  /** What the ledger proves, in turn, of the auction that a bridge calls over; then the truth. */
  proofs?: (row: AuctionView) => (AuctionView | null | undefined)[]
  /** What the bridge says from the second look on. */
  then?: (row: AuctionView) => AuctionView
}

/** Buys on a real ledger, through a bridge that the test scripts. */
function open({ prices, late = false, proofs, then }: Behaviour) {
  const desk = new AuctionDesk(openMarket(prices.length))
  const { chain, market } = desk
  const asks = market.providers.map(({ ask, provider }, i) => {
    // Of the provider's view only its account is looked at.
    const view = { provider } as unknown as VerifiedAsk['provider']
    return { ask, provider: view, agentKey: bytes(30 + i), published: bytes(1), running: 0 }
  })
  const steps: string[] = []
  const offered: PreparedTask[] = []
  let terms: AuctionTerms | null = null
  let looks = 0
  let shown: (AuctionView | null | undefined)[] | null = null
  let now = 0
  const made = () => {
    assert.ok(terms)
    return { terms, reserve: { pricePerSecond: MOST, cap: CAP, salt: bytes(1) } }
  }
  const row = (): AuctionView => desk.view(made())
  const parts: AuctionParts = {
    http: {
      request: async <T>(): Promise<T> => {
        if (looks++ === 0) {
          for (const [place, price] of prices.entries()) desk.bid(place, made(), price)
          chain.pass(made().terms.bidMs)
        }
        const answer = { auction: looks > 1 && then !== undefined ? then(row()) : row() }
        // What the route answers.
        return answer as T
      }
    },
    market: { asks: async () => asks },
    ledger: {
      auction: async () => {
        shown ??= proofs?.(row()) ?? []
        return shown.length > 0 ? shown.shift() : row()
      },
      asks: async () => asks.filter(({ ask }) => toHex(ask.ask) === toHex(row().award?.ask ?? bytes(0)))
    },
    primitives: createPrimitives(),
    identity: {
      network: chain.network,
      account: market.client.account,
      signer: createSigner(bytes(2)),
      viewKey: viewKeyFrom(bytes(3)),
      bridge: bytes(4)
    },
    // A second a look, so that a window ends within few of them.
    clock: { now: () => (now += 1_000) },
    post: async (body): Promise<TransactionOutcome> => {
      steps.push(body.kind)
      if (body.kind === 'auction-open') terms = body.terms
      if (body.kind === 'auction-reserve') {
        for (const [place, price] of prices.entries()) desk.reveal(place, made(), price)
        if (late) chain.pass(made().terms.revealMs)
      }
      return chain.send(market.client, body)
    },
    upload: async () => void steps.push('upload'),
    offer: async prepared => {
      steps.push('offer')
      offered.push(prepared)
      chain.done(market.client, { kind: 'offer', tasks: [prepared.offer] })
    }
  }
  const request = {
    program: { kind: 'script' as const, file: 'a.py', source: new TextEncoder().encode('print(1)'), args: [] },
    ...{ cap: CAP, reserve: MOST, bidMs: 3_000, revealMs: 3_000 },
    ...{ milliCpus: 1000, memoryBytes: 1 << 30, diskBytes: 1 << 30, wallMs: 600_000, cpuMs: 600_000 },
    note: { v: 1 as const, title: 'a', kind: 'script' as const, path: null, cells: [] }
  }
  // Of the quote the first candidate and the lowest price are looked at.
  const quote = { candidates: asks, least: MOST } as unknown as Quote
  const buy = () => buyByAuction(parts, request, { quote, packed: undefined, observer: {} })
  return { desk, buy, steps, offered, row }
}

const failsWith = (code: string) => (error: unknown) => isPekkaError(error) && error.code === code

describe('client: buying by auction (R31)', () => {
  it('shows its highest price once a proof says that bids are bound, and brings the bundle before it opens', async () => {
    const proofs = (row: AuctionView) => [null, { ...row, state: 'bidding' as const }]
    const { buy, steps, offered, row } = open({ prices: [500n, 700n], proofs })
    await buy()
    assert.deepEqual(steps, ['upload', 'auction-open', 'auction-reserve', 'offer'])
    assert.equal(offered[0]?.offer.candidates[0]?.pricePerSecond, 700n)
    assert.equal(row().ended, 'sold')
  })

  it('does not show it on the word of a bridge whose ledger still takes bids', async () => {
    const proofs = (row: AuctionView) => Array.from({ length: 99 }, () => ({ ...row, state: 'bidding' as const }))
    const then = (row: AuctionView) => ({ ...row, state: 'ended' as const, ended: 'no-bid' as const })
    const { buy, steps } = open({ prices: [500n], proofs, then })
    await assert.rejects(buy(), failsWith('AUCTION_NO_BID'))
    assert.deepEqual(steps, ['upload', 'auction-open'])
  })

  it('turns down an award above its highest price, which came too late, and has its money back', async () => {
    const { buy, steps, desk, row } = open({ prices: [5_000n], late: true })
    await assert.rejects(buy(), failsWith('AUCTION_ENDED'))
    assert.deepEqual(steps, ['upload', 'auction-open', 'auction-reserve', 'cancel'])
    assert.equal(row().award?.pricePerSecond, 5_000n)
    assert.equal(row().ended, 'cancelled')
    assert.equal(desk.chain.account(desk.market.owner).locked, 0n)
  })

  it('turns down an award with a higher cap than its own, though the price is low enough', async () => {
    const { buy, row } = open({ prices: [500n], late: true })
    await assert.rejects(buy(), failsWith('AUCTION_ENDED'))
    assert.equal(row().award?.cap, 2n * CREDIT)
  })
})
