import {
  bidCommit,
  equalBytes,
  MAX_BIDS,
  PekkaError,
  reserveCommit,
  toHex,
  type AuctionBid,
  type BodyOf
} from '../../protocol/index.js'
import { lock } from '../account.js'
import { isLive } from '../ask.js'
import { needOwn, needState } from '../moved.js'
import type { Sender, Step } from '../step.js'
import { bidDeposit } from '../task/escrow.js'
import { fits } from '../task/fits.js'
import { award } from './award.js'
import { auctionParameters, needAuction, storeAuction, type AuctionRow } from './record.js'

/** Bids and reveals (R31): first all prices are bound, then all are shown. */

/**
 * BIDDING: a hidden price, one of a provider, bound to a live ask of its own that sells what is wanted.
 * @throws PekkaError TASK_UNKNOWN, TASK_STATE, OBJECT_EXISTS, LIMIT_EXCEEDED, ASK_MISMATCH, DELEGATE_CAP, FUNDS_MISSING
 */
export function bid(step: Step, sender: Sender & { key: Uint8Array }, body: BodyOf<'auction-bid'>): void {
  const { view } = step
  const row = needAuction(view, body.auction)
  needState(row, body.kind, 'bidding')
  if (row.bids.some(({ provider }) => equalBytes(provider, sender.account))) throw new PekkaError('OBJECT_EXISTS')
  if (row.bids.length >= MAX_BIDS) throw new PekkaError('LIMIT_EXCEEDED')
  checkAsk(step, row, sender.account, body.ask)
  const deposit = bidDeposit(row.terms.lock, auctionParameters(view, row).auction.depositMilli)
  lock(step, sender, deposit)
  const { ask, commitment } = body
  const made: AuctionBid = { provider: sender.account, lane: sender.key, ask, commitment, deposit, revealed: null }
  storeAuction(step, { ...row, bids: [...row.bids, made] })
}

/** The ask is the bidder's, lives, and sells that image on a machine that is large enough. Its price doesn't matter here. */
function checkAsk({ view, context }: Step, { terms }: AuctionRow, provider: Uint8Array, ask: Uint8Array): void {
  const found = view.get('ask', toHex(ask))
  const serves =
    found !== undefined &&
    isLive(found, context.timestamp) &&
    equalBytes(found.provider, provider) &&
    found.ask.image.name === terms.image.name &&
    equalBytes(found.ask.image.digest, terms.image.digest) &&
    fits(terms.resources, found.ask.resources)
  if (!serves) throw new PekkaError('ASK_MISMATCH')
}

/** REVEALING: the price that was bound. @throws PekkaError TASK_UNKNOWN, TASK_STATE, CANDIDATE_NOT_NAMED, TRANSACTION_INVALID */
export function revealBid(step: Step, sender: Sender, body: BodyOf<'auction-reveal'>): void {
  const row = needAuction(step.view, body.auction)
  needState(row, body.kind, 'revealing')
  const own = row.bids.find(({ provider }) => equalBytes(provider, sender.account))
  if (own === undefined) throw new PekkaError('CANDIDATE_NOT_NAMED')
  if (own.revealed !== null) throw new PekkaError('OBJECT_EXISTS')
  const { pricePerSecond, salt } = body
  const place = { network: step.context.network, auction: row.auction, bidder: sender.account }
  if (!equalBytes(bidCommit(place, { pricePerSecond, salt }), own.commitment)) throw otherThanBound()
  const bids = row.bids.map(one => (one === own ? { ...one, revealed: { pricePerSecond, salt } } : one))
  awardOnceAllAreShown(step, { ...row, bids })
}

/** REVEALING: the client's highest price and its cap. @throws PekkaError TASK_UNKNOWN, TASK_STATE, BODY_NOT_ALLOWED, TRANSACTION_INVALID */
export function revealReserve(step: Step, sender: Sender, body: BodyOf<'auction-reserve'>): void {
  const row = needAuction(step.view, body.auction)
  needOwn(row, sender, body.kind)
  needState(row, body.kind, 'revealing')
  if (row.reserve !== null) throw new PekkaError('OBJECT_EXISTS')
  const { pricePerSecond, cap, salt } = body
  const place = { network: step.context.network, auction: row.auction }
  if (!equalBytes(reserveCommit(place, { pricePerSecond, cap, salt }), row.terms.reserveCommit)) throw otherThanBound()
  if (cap === 0n || cap > row.terms.lock) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'the cap is above what the auction locks' })
  }
  awardOnceAllAreShown(step, { ...row, reserve: { pricePerSecond, cap, salt } })
}

/** Nobody has to wait for the window's end where nothing more can be shown. */
function awardOnceAllAreShown(step: Step, row: AuctionRow): void {
  const shown = row.reserve !== null && row.bids.every(({ revealed }) => revealed !== null)
  if (shown) award(step, row)
  else storeAuction(step, row)
}

const otherThanBound = (): PekkaError =>
  new PekkaError('TRANSACTION_INVALID', { issue: 'what is revealed is not what was bound' })
