import { awardOf, type AuctionBid, type AuctionEnd } from '../../protocol/index.js'
import { unlock } from '../account.js'
import { CLOSED_ID_LIVES } from '../constants.js'
import { collectLevy } from '../money.js'
import { expireAfter } from '../queue.js'
import type { Sender, Step } from '../step.js'
import { lockFor } from '../task/escrow.js'
import { auctionParameters, needAuction, storeAuction, type AuctionRow } from './record.js'

/** How an auction goes on by itself, and how it ends. At each end nothing of it is locked any more, or its task has it. */

const bidderOf = ({ provider, lane }: AuctionBid): Sender => ({ account: provider, key: lane })
const clientOf = ({ account, lane }: AuctionRow): Sender => ({ account, key: lane })

/** What happens when an auction's window is over. Nobody signs it. */
export function auctionTimer(step: Step, id: Uint8Array): void {
  const row = needAuction(step.view, id)
  switch (row.state) {
    case 'bidding':
      return row.bids.length === 0 ? endAuction(step, row, 'no-bid') : startRevealing(step, row)
    case 'revealing':
      return award(step, row)
    case 'awarded':
      return endAuction(step, row, 'no-key')
    case 'ended':
      throw new TypeError('an auction that has ended has a timer')
  }
}

function startRevealing(step: Step, row: AuctionRow): void {
  const { contractTime } = step.context
  storeAuction(step, {
    ...row,
    state: 'revealing',
    since: contractTime,
    deadline: contractTime + row.terms.revealMs
  })
}

/**
 * REVEALING → AWARDED, or the end where nobody serves. Who didn't reveal loses its deposit to the audits' fund, so that nobody
 * gains by somebody else's silence; what is locked above the cap goes back.
 */
export function award(step: Step, row: AuctionRow): void {
  const { contractTime } = step.context
  const parameters = auctionParameters(step.view, row)
  for (const bid of row.bids) {
    const shown = bid.revealed !== null
    unlock(step, bidderOf(bid), bid.deposit, shown ? bid.deposit : 0n)
    if (!shown) collectLevy(step, bid.deposit)
  }
  const found = awardOf(row)
  const settled = { ...row, bids: row.bids.map(bid => ({ ...bid, deposit: 0n })) }
  if (found === null) return endAuction(step, settled, 'no-bid')
  const lock = lockFor(found, parameters)
  unlock(step, clientOf(row), row.lock - lock, row.lock - lock)
  const deadline = contractTime + parameters.auction.keyWithinMs
  storeAuction(step, { ...settled, state: 'awarded', since: contractTime, deadline, award: found, lock })
}

/** The end: what is locked goes back, but for `sold`, where the task has it. The row stays for a while, and the id taken. */
export function endAuction(step: Step, row: AuctionRow, ended: AuctionEnd): void {
  const { view, context } = step
  for (const bid of row.bids) if (bid.deposit > 0n) unlock(step, bidderOf(bid), bid.deposit, bid.deposit)
  if (ended !== 'sold') unlock(step, clientOf(row), row.lock, row.lock)
  const until = context.timestamp + CLOSED_ID_LIVES * auctionParameters(view, row).maxOfferLifeMs
  expireAfter(view, until, 'auction', row.auction)
  storeAuction(step, {
    ...row,
    state: 'ended',
    since: context.contractTime,
    deadline: null,
    bids: row.bids.map(bid => ({ ...bid, deposit: 0n })),
    lock: 0n,
    ended
  })
}
