import assert from 'node:assert/strict'
import {
  bidCommit,
  CLIENT_BODIES,
  CREDIT,
  objectId,
  reserveCommit,
  toHex,
  u32,
  type AuctionTerms,
  type AuctionView,
  type OfferTask
} from '@pekka/node/protocol'
import {
  bytes,
  delegateOf,
  grantOf,
  IMAGE,
  LIMITS,
  offerOf,
  RESOURCES,
  type Actor,
  type Chain,
  type Market
} from './support.js'

/** Auctions in tests: their terms, and who bids what. */

export interface Reserve {
  pricePerSecond: bigint
  cap: bigint
  salt: Uint8Array
}

export interface MadeAuction {
  terms: AuctionTerms
  reserve: Reserve
}

export const RESERVE: Reserve = { pricePerSecond: 1_000n, cap: (CREDIT * 3n) / 2n, salt: bytes(90) }
export const BID_MS = 5_000
export const REVEAL_MS = 4_000

let made = 0
export function auctionOf(
  network: Uint8Array,
  account: Uint8Array,
  reserve: Reserve = RESERVE,
  change: Partial<AuctionTerms> = {}
): MadeAuction {
  const nonce = new Uint8Array([...u32(++made), ...bytes(made + 7, 12)])
  const task = objectId(account, nonce)
  const terms: AuctionTerms = {
    task,
    nonce,
    image: IMAGE,
    resources: RESOURCES,
    limits: LIMITS,
    bundle: { hash: bytes(203), size: 512 },
    keyCommit: bytes(204),
    readKey: bytes(205),
    audit: 'allowed',
    lock: 2n * CREDIT,
    reserveCommit: reserveCommit({ network, auction: task }, reserve),
    bidMs: BID_MS,
    revealMs: REVEAL_MS,
    ...change
  }
  return { terms, reserve }
}

/** A bidder's hidden price in an auction. */
export const saltOf = (provider: Uint8Array, auction: Uint8Array): Uint8Array =>
  bytes((provider[0] ?? 0) * 256 + (auction[0] ?? 0))

export class AuctionDesk {
  /** Another delegate of the same account. */
  readonly stranger: Actor

  constructor(readonly market: Market) {
    const { chain, owner } = market
    this.stranger = delegateOf(owner.account, bytes(4))
    chain.done(owner, grantOf(bytes(4), [...CLIENT_BODIES]))
  }

  get chain(): Chain {
    return this.market.chain
  }

  open(reserve: Reserve = RESERVE, change: Partial<AuctionTerms> = {}): MadeAuction {
    const { client } = this.market
    const auction = auctionOf(this.chain.network, client.account, reserve, change)
    this.chain.done(client, { kind: 'auction-open', terms: auction.terms })
    return auction
  }

  provider(place: number): Market['providers'][number] {
    const found = this.market.providers[place]
    assert.ok(found)
    return found
  }

  bidBody(place: number, { terms: { task } }: MadeAuction, pricePerSecond: bigint) {
    const { provider, ask } = this.provider(place)
    const where = { network: this.chain.network, auction: task, bidder: provider }
    const commitment = bidCommit(where, { pricePerSecond, salt: saltOf(provider, task) })
    return { kind: 'auction-bid' as const, auction: task, ask: ask.ask, commitment }
  }

  bid(place: number, auction: MadeAuction, pricePerSecond: bigint): void {
    this.chain.done(this.agent(place), this.bidBody(place, auction, pricePerSecond))
  }

  revealBody(place: number, { terms: { task } }: MadeAuction, pricePerSecond: bigint) {
    const salt = saltOf(this.provider(place).provider, task)
    return { kind: 'auction-reveal' as const, auction: task, pricePerSecond, salt }
  }

  reveal(place: number, auction: MadeAuction, pricePerSecond: bigint): void {
    this.chain.done(this.agent(place), this.revealBody(place, auction, pricePerSecond))
  }

  reserve({ terms: { task }, reserve }: MadeAuction): void {
    this.chain.done(this.market.client, { kind: 'auction-reserve', auction: task, ...reserve })
  }

  agent(place: number): Actor {
    return this.provider(place).agent
  }

  view({ terms: { task } }: MadeAuction): AuctionView {
    const row = this.chain.state.get('auction', toHex(task))
    assert.ok(row, 'the auction is known')
    return row
  }

  /** The offer that follows the award. */
  offer(auction: MadeAuction, change: Partial<OfferTask> = {}): OfferTask {
    const { award, terms } = this.view(auction)
    assert.ok(award, 'it is awarded')
    return offerAfter(terms, award, change)
  }

  /** Bids with these prices, all revealed, the client's too. */
  run(prices: readonly bigint[], reserve?: Reserve): MadeAuction {
    const auction = this.open(reserve)
    for (const [place, price] of prices.entries()) this.bid(place, auction, price)
    this.chain.pass(BID_MS)
    this.reserve(auction)
    for (const [place, price] of prices.entries()) this.reveal(place, auction, price)
    return auction
  }
}

export function offerAfter(
  { task, nonce, image, resources, limits, bundle, keyCommit, readKey, audit }: AuctionTerms,
  { provider, ask, pricePerSecond, cap }: NonNullable<AuctionView['award']>,
  change: Partial<OfferTask> = {}
): OfferTask {
  const candidates = [{ provider, ask, pricePerSecond, holdPricePerSecond: null }]
  const plain = offerOf(provider, [])
  return {
    ...plain,
    task,
    nonce,
    image,
    resources,
    limits,
    bundle,
    keyCommit,
    readKey,
    audit,
    cap,
    candidates,
    ...change
  }
}
