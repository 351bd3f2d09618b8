/**
 * Sealed-bid second-price auctions (R31):
 *
 * ```
 *            no bid ┌───────────────────────────┐ cancel     no offer in keyWithinMs: no-key
 *  open ─► BIDDING ─┴─ bidMs ─► REVEALING ─────►┴─ AWARDED ─┬─────────────────────────────► ENDED
 *                                    revealMs, or all shown  └─ offer by the client: sold ─► ENDED, and its task OFFERED
 * ```
 */
export { auctionTimer } from './award.js'
export { bid, revealBid, revealReserve } from './bids.js'
export { auctionInvariant } from './invariant.js'
export { cancelAuction, openAuction } from './open.js'
export { sell } from './sale.js'
