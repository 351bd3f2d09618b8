import {
  awardOf,
  bidCommit,
  equalBytes,
  reserveCommit,
  type AuctionBid,
  type AuctionTerms,
  type OfferTask,
  type RevealedReserve,
  type Transaction
} from '../../protocol/index.js'

/** What a receipt shows of an auction (R31): the price is computed again from the signed bids. */

/**
 * @param before the signed transactions of the task before its offer, oldest first
 * @returns what is wrong with it, in words; null: the offer is what the bids say
 */
export function auctionIssue(network: Uint8Array, before: readonly Transaction[], offer: OfferTask): string | null {
  const [opening, ...moves] = before
  if (opening?.body.kind !== 'auction-open') return 'what came before the offer is no auction'
  const { terms } = opening.body
  let bids: AuctionBid[] = []
  let reserve: RevealedReserve | null = null
  for (const { account, key, body } of moves) {
    if (!('auction' in body) || !equalBytes(body.auction, offer.task)) return 'a transaction is of another auction'
    if (body.kind === 'auction-bid') {
      const { ask, commitment } = body
      bids.push({ provider: account, lane: key ?? account, ask, commitment, deposit: 0n, revealed: null })
    } else if (body.kind === 'auction-reveal') {
      const { pricePerSecond, salt } = body
      const bound = bids.find(({ provider }) => equalBytes(provider, account))?.commitment
      const shown = bidCommit({ network, auction: offer.task, bidder: account }, { pricePerSecond, salt })
      if (bound === undefined || !equalBytes(bound, shown)) return 'a bid is not what was bound'
      bids = bids.map(bid => (equalBytes(bid.provider, account) ? { ...bid, revealed: { pricePerSecond, salt } } : bid))
    } else {
      const { pricePerSecond, cap, salt } = body
      reserve = { pricePerSecond, cap, salt }
      if (!equalBytes(reserveCommit({ network, auction: offer.task }, reserve), terms.reserveCommit))
        return 'the highest price is not what was bound'
    }
  }
  return agrees(terms, bids, reserve, offer) ? null : 'the price is not what the bids say'
}

function agrees(terms: AuctionTerms, bids: AuctionBid[], reserve: RevealedReserve | null, offer: OfferTask): boolean {
  const award = awardOf({ auction: offer.task, terms, bids, reserve })
  const [named] = offer.candidates
  return (
    award !== null &&
    named !== undefined &&
    equalBytes(named.provider, award.provider) &&
    equalBytes(named.ask, award.ask) &&
    named.pricePerSecond === award.pricePerSecond &&
    offer.cap === award.cap &&
    equalBytes(terms.keyCommit, offer.keyCommit) &&
    equalBytes(terms.bundle.hash, offer.bundle.hash)
  )
}
