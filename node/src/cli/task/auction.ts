import { credits, type AuctionRequest, type PekkaClient, type Quote } from '../../core/client/index.js'
import {
  asPekkaError,
  CREDIT,
  fromProblem,
  isPekkaError,
  PekkaError,
  roundUpCap,
  shortId,
  toHex,
  type AuctionView
} from '../../core/protocol/index.js'
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

/** Most that an auction may lock so that machines bid, micro-credits: a tenth is a bid's deposit, and their keys risk 10 credits for one. */
const MAX_AUCTION_LOCK = 100n * CREDIT

/** What would get no bid is said before anything is opened. @throws PekkaError USAGE */
export function checkAuctionLock(cap: bigint): void {
  const lock = auctionLock(cap)
  if (lock <= MAX_AUCTION_LOCK) return
  throw new PekkaError('USAGE', {
    issue:
      `--auction with a cap of ${credits(cap)} credits locks ${credits(lock)}, and no machine as it comes bids above ` +
      `${credits(MAX_AUCTION_LOCK)}: a tenth would be its deposit. Write a lower --cap, or leave out --auction.`
  })
}

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
  let awarded = false
  const update = (view: AuctionView): void => {
    awarded = view.award !== null
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
    if (opened !== null && (context.signal.aborted || !isOver(error))) await cancel(context, client, opened, awarded)
    throw error
  }
}

/** Whether the auction has ended by itself, or was cancelled by whoever threw this. */
const isOver = (error: unknown): boolean =>
  isPekkaError(error) && (error.code === 'AUCTION_NO_BID' || error.code === 'AUCTION_ENDED')

/**
 * What was opened is ended, so that the money is free at once and machines needn't wait.
 * @param awarded its offer may be on its way, or have come: then a machine may have begun
 */
async function cancel(context: CliContext, client: PekkaClient, task: Uint8Array, awarded: boolean): Promise<void> {
  try {
    const outcome = await client.cancel(task)
    if (outcome.status !== 'applied') throw fromProblem(outcome)
    context.say(
      awarded
        ? 'It is cancelled. A machine that had begun is paid for its time.'
        : 'The auction is cancelled. Nothing is charged.'
    )
  } catch (cause) {
    const error = asPekkaError(cause)
    // It was never opened.
    if (error.code === 'TASK_UNKNOWN') return
    context.say(`Cancelling ${toHex(task).slice(0, SHOWN_ID)} failed: ${error.message} It ends by itself.`)
  }
}

function describe({ state, bids, award }: AuctionView): string {
  const count = `${bids.length} ${bids.length === 1 ? 'bid' : 'bids'}`
  if (state === 'bidding') return `Taking bids: ${count}`
  if (state === 'revealing') return `${count}; prices are being shown`
  if (award === null) return `No machine has won; ${count}`
  return `Won at ${credits(award.pricePerSecond)} credits a second, of ${count}`
}
