import { encodeCanonical, equalBytes, PekkaError, type OfferTask } from '../../protocol/index.js'
import { needOwn, needState } from '../moved.js'
import type { Sender, Step } from '../step.js'
import { endAuction } from './award.js'
import type { AuctionRow } from './record.js'

/** AWARDED → the task: the client's offer names the winner at its price, and says what was auctioned. */

/** What an offer must have in common with the auction that it follows. */
const shared = ({ task, nonce, image, resources, limits, bundle, keyCommit, readKey, audit }: AuctionRow['terms']) =>
  encodeCanonical({ task, nonce, image, resources, limits, bundle, keyCommit, readKey, audit })

/**
 * Takes the offer for what was auctioned; its escrow is the auction's.
 * @returns what the task takes over
 * @throws PekkaError TASK_STATE, BODY_NOT_ALLOWED, TRANSACTION_INVALID
 */
export function sell(
  step: Step,
  sender: Sender,
  row: AuctionRow,
  offer: OfferTask
): Pick<AuctionRow, 'lock' | 'parameters' | 'transactions'> {
  needOwn(row, sender, 'offer')
  needState(row, 'offer', 'awarded')
  const [named, ...others] = offer.candidates
  const { award } = row
  const asAwarded =
    award !== null &&
    named !== undefined &&
    others.length === 0 &&
    equalBytes(named.provider, award.provider) &&
    equalBytes(named.ask, award.ask) &&
    named.pricePerSecond === award.pricePerSecond &&
    named.holdPricePerSecond === null &&
    offer.cap === award.cap &&
    offer.session === null &&
    offer.finishBy === null
  if (!asAwarded || !equalBytes(shared({ ...row.terms, ...offer }), shared(row.terms))) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'the offer is not what was auctioned' })
  }
  endAuction(step, row, 'sold')
  const { lock, parameters, transactions } = row
  return { lock, parameters, transactions }
}
