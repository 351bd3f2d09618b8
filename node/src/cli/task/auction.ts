import { credits, type AuctionRequest, type PekkaClient, type Quote } from '../../core/client/index.js'
import { asPekkaError, roundUpCap, shortId, toHex, type AuctionView } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { SHOWN_ID } from './outcome.js'

/** `pekka run --auction`: machines bid for the task instead of selling at their published prices (R31). */

/** What people must know before they buy like this; the whole of it stands in docs/auctions.md. */
const LIMITS = [
  'Keep this running until a machine has won: only this computer can send it the key. If it stops before, nothing runs and nothing is charged.',
  'Losing bids become public. Where few machines bid, one owner with two of them can raise the price to the most you would pay.'
]

/** What it locks until the award, micro-credits: tells others less than the cap would. */
export const auctionLock = (cap: bigint): bigint => roundUpCap(cap)

/** Buys the task and says how it goes. @throws PekkaError AUCTION_NO_BID, AUCTION_ENDED, PROOF_INVALID, … */
export async function buyAtAuction(
  context: CliContext,
  client: PekkaClient,
  request: AuctionRequest,
  quote: Quote
): Promise<Uint8Array> {
  const most = request.reserve ?? quote.least
  context.say(
    `Auction · at most ${credits(most)} credits a second · ${credits(auctionLock(request.cap))} on hold until a machine has won`
  )
  for (const line of LIMITS) context.say(line)
  let opened: Uint8Array | null = null
  let shown = ''
  const update = (view: AuctionView): void => {
    const line = describe(view)
    if (line !== shown) context.say((shown = line))
  }
  try {
    return await client.auction(request, quote, {
      update,
      signal: context.signal,
      opened: task => {
        opened = task
        context.say(`Auction ${shortId(task, SHOWN_ID)}`)
      }
    })
  } catch (error) {
    if (context.signal.aborted && opened !== null) await cancel(context, client, opened)
    throw error
  }
}

/** What was opened is ended, so that the money is free at once and machines needn't wait. */
async function cancel(context: CliContext, client: PekkaClient, task: Uint8Array): Promise<void> {
  try {
    await client.cancel(task)
    context.say('The auction is cancelled. Nothing is charged.')
  } catch (error) {
    context.say(
      `Cancelling ${toHex(task).slice(0, SHOWN_ID)} failed: ${asPekkaError(error).message} It ends by itself.`
    )
  }
}

function describe({ state, bids, award }: AuctionView): string {
  const count = `${bids.length} ${bids.length === 1 ? 'bid' : 'bids'}`
  if (state === 'bidding') return `Taking bids: ${count}`
  if (state === 'revealing') return `${count}; prices are being shown`
  if (award === null) return `No machine has won; ${count}`
  return `Won at ${credits(award.pricePerSecond)} credits a second, of ${count}`
}
