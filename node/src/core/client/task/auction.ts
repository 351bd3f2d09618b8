import {
  auctionAnswerSchema,
  awardOf,
  encodeCanonical,
  equalBytes,
  fromProblem,
  isPekkaError,
  PekkaError,
  reserveCommit,
  roundUpCap,
  toHex,
  type AuctionTerms,
  type AuctionView,
  type BodyOf,
  type Clock,
  type Primitives,
  type TransactionOutcome
} from '../../protocol/index.js'
import type { Identity } from '../credentials.js'
import type { Quote } from '../quote.js'
import type { Market, VerifiedAsk } from '../market.js'
import { nameCandidates, sealTask, type PreparedTask, type SealedTask, type TaskRequest } from './offer.js'
import type { ProvenLedger } from '../ledger/proven-ledger.js'
import type { Packed } from './travel.js'
import type { Http } from '../transport.js'

/** Buying by auction (R31): open, reveal, check the award, and box the key to who won. */

/**
 * How long bids, and then reveals, are taken, ms of T: somebody waits, and a machine that is busy or far away has to come too. Reveals end
 * as soon as all are there.
 */
export const AUCTION_WINDOW_MS = 5_000

/** How often the bridge is asked how the auction stands, ms. */
const LOOK_MS = 250

/** A bridge that doesn't answer is asked again for this long, ms. */
const PATIENCE_MS = 15_000

export interface AuctionRequest extends TaskRequest {
  /** Highest price per second, micro-credits; hidden from the bidders. Default: the lowest published one, which buying directly costs. */
  reserve?: bigint
  bidMs?: number
  revealMs?: number
}

export interface AuctionObserver {
  /** The auction has changed, as the bridge says. */
  update?: (view: AuctionView) => void
  /** Ends the waiting; the auction is cancelled by whoever aborts (`PekkaClient.cancel`), or ends by itself. */
  signal?: AbortSignal
  /** Its id, before it is opened. */
  opened?: (task: Uint8Array) => void
}

export interface AuctionParts {
  http: Pick<Http, 'request'>
  market: Pick<Market, 'asks'>
  ledger: Pick<ProvenLedger, 'auction' | 'asks'>
  primitives: Primitives
  identity: Identity
  clock: Clock
  post: (body: BodyOf<'auction-open' | 'auction-reserve' | 'cancel'>) => Promise<TransactionOutcome>
  /** Brings what is too large for the offer's request to the bridge. */
  upload: (sealed: Pick<SealedTask, 'inline' | 'sealedBundle'>) => Promise<void>
  /** Hands the offer in, once that is there. */
  offer: (prepared: PreparedTask, winner: VerifiedAsk) => Promise<void>
}

/** @returns the task, once its offer is with the bridge. @throws PekkaError AUCTION_NO_BID, AUCTION_ENDED, PROOF_INVALID, … */
export async function buyByAuction(
  parts: AuctionParts,
  request: AuctionRequest,
  { quote, packed, observer }: { quote: Quote; packed: Packed | undefined; observer: AuctionObserver }
): Promise<Uint8Array> {
  const [first] = quote.candidates
  if (first === undefined) throw new PekkaError('NO_MATCH')
  const sealed = await sealTask(parts, request, first.ask.image, packed)
  const reserve = {
    pricePerSecond: request.reserve ?? quote.least,
    cap: request.cap,
    salt: parts.primitives.random.bytes(32)
  }
  if (reserve.pricePerSecond > reserve.cap) throw new PekkaError('CAP_TOO_LOW', { cap: request.cap })
  const { task: auction } = sealed.terms
  const terms = termsOf(sealed, request, reserveCommit({ network: parts.identity.network, auction }, reserve))
  // Not after the award: a winner waits for its offer for some seconds only.
  await parts.upload(sealed)
  observer.opened?.(auction)
  await applied(parts.post({ kind: 'auction-open', terms }))
  const revealing = await waitFor(parts, auction, observer, view => view.state !== 'bidding')
  if (revealing.state === 'revealing' && (await biddingIsOver(parts, terms, observer)))
    await reveal(parts, { kind: 'auction-reserve', auction, ...reserve })
  const told = await waitFor(parts, auction, observer, ({ state }) => state === 'awarded' || state === 'ended')
  if (told.ended !== null) throw unsold(told)
  const winner = await checkAward(parts, terms, told)
  const { award } = told
  if (award === null) throw new PekkaError('PROOF_INVALID', { issue: 'an auction is awarded to nobody' })
  if (award.pricePerSecond > reserve.pricePerSecond || award.cap > reserve.cap) {
    // The award doesn't know them. Where this fails the lock comes back by itself, a little later.
    await parts.post({ kind: 'cancel', task: auction }).catch(() => undefined)
    throw new PekkaError('AUCTION_ENDED', { reason: 'the highest price was shown too late' })
  }
  const named = { ...sealed, terms: { ...sealed.terms, cap: award.cap } }
  const prepared = await nameCandidates(parts, named, [{ verified: winner, pricePerSecond: award.pricePerSecond }])
  await parts.offer(prepared, winner)
  return auction
}

function termsOf({ terms }: SealedTask, { bidMs, revealMs, cap }: AuctionRequest, commit: Uint8Array): AuctionTerms {
  const { task, nonce, image, resources, limits, bundle, keyCommit, readKey, audit } = terms
  return {
    ...{ task, nonce, image, resources, limits, bundle, keyCommit, readKey, audit },
    lock: roundUpCap(cap),
    reserveCommit: commit,
    bidMs: bidMs ?? AUCTION_WINDOW_MS,
    revealMs: revealMs ?? AUCTION_WINDOW_MS
  }
}

async function applied(sent: Promise<TransactionOutcome>): Promise<void> {
  const outcome = await sent
  if (outcome.status !== 'applied') throw fromProblem(outcome)
}

/**
 * Whether bids are bound, by proof where the network makes them: on a bridge's bare word the highest price would be shown to whom it
 * likes while they still bid. A checkpoint may lag behind, so this asks until one says so.
 * @returns false where none has come within the window
 * @throws PekkaError PROOF_INVALID
 */
async function biddingIsOver(
  { ledger, clock }: AuctionParts,
  { task, revealMs }: AuctionTerms,
  { signal }: AuctionObserver
): Promise<boolean> {
  const end = clock.now() + revealMs
  do {
    signal?.throwIfAborted()
    const row = await ledger.auction(task).catch((error: unknown) => {
      if (isPekkaError(error) && error.code === 'PROOF_INVALID') throw error
      return null
    })
    if (row === undefined || (row !== null && row.state !== 'bidding')) return true
    await pause()
  } while (clock.now() < end)
  return false
}

/** Too late, it goes on without: the lowest bid wins at its own price, which is turned down where it is above the highest one. */
async function reveal({ post }: AuctionParts, body: BodyOf<'auction-reserve'>): Promise<void> {
  const outcome = await post(body)
  if (outcome.status !== 'applied' && outcome.code !== 'TASK_STATE') throw fromProblem(outcome)
}

const unsold = ({ ended }: AuctionView): PekkaError =>
  ended === 'no-bid' ? new PekkaError('AUCTION_NO_BID') : new PekkaError('AUCTION_ENDED', { reason: ended ?? '' })

async function waitFor(
  { http, clock }: AuctionParts,
  auction: Uint8Array,
  { update, signal }: AuctionObserver,
  holds: (view: AuctionView) => boolean
): Promise<AuctionView> {
  let lastAnswer = clock.now()
  let shown = ''
  for (;;) {
    signal?.throwIfAborted()
    const view = await http.request('GET', `/v1/auctions/${toHex(auction)}`, auctionAnswerSchema).then(
      answer => answer.auction,
      (error: unknown) => {
        if (clock.now() - lastAnswer > PATIENCE_MS) throw error
        return undefined
      }
    )
    if (view !== undefined) lastAnswer = clock.now()
    if (view === null) throw new PekkaError('TASK_UNKNOWN')
    if (view !== undefined) {
      const stands = `${view.state}/${view.bids.length}/${view.bids.filter(bid => bid.revealed !== null).length}`
      if (stands !== shown) update?.(view)
      shown = stands
      if (holds(view)) return view
    }
    await pause()
  }
}

const pause = (): Promise<void> => new Promise(resolve => setTimeout(() => resolve(), LOOK_MS))

/**
 * The winner's ask, where all of it holds: the ledger has this award (by proof, where the network makes them), it follows from the bids, it
 * is for what was auctioned and not above what was named, and the ask is the winner's (R3b). Nothing is sealed to anybody else.
 * @throws PekkaError PROOF_INVALID, ASK_MISMATCH
 */
async function checkAward(
  { ledger, market }: AuctionParts,
  terms: AuctionTerms,
  told: AuctionView
): Promise<VerifiedAsk> {
  const refuse = (issue: string): never => {
    throw new PekkaError('PROOF_INVALID', { issue })
  }
  const row = await ledger.auction(told.auction)
  const proven = row === undefined ? told : row
  if (proven === null || proven.state !== 'awarded') return refuse('the ledger has not awarded this auction')
  const { award } = proven
  if (award === null || !equalBytes(encodeCanonical(award), encodeCanonical(told.award)))
    return refuse('the bridge names another winner than the ledger')
  if (!equalBytes(encodeCanonical(proven.terms), encodeCanonical(terms))) return refuse('something else was auctioned')
  if (!equalBytes(encodeCanonical(awardOf(proven)), encodeCanonical(award)))
    return refuse('the award is not what the bids say')
  const found = (await market.asks(0)).find(({ ask }) => equalBytes(ask.ask, award.ask))
  if (found === undefined || !equalBytes(found.provider.provider, award.provider)) throw new PekkaError('ASK_MISMATCH')
  const [ask] = await ledger.asks([found])
  return ask ?? refuse('the ledger does not have the price of who won')
}
