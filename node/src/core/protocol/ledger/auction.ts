import { z } from 'zod'
import { compareBytes, concat, toHex, u64 } from '../encoding/bytes.js'
import { taggedHash } from '../encoding/hash.js'
import { imageRefSchema, limitsSchema, resourcesSchema } from './image.js'
import { bytes16, bytes32, credits, millis, whole } from '../encoding/schema.js'
import { AUDIT_POLICIES } from '../task/task.js'

/**
 * A sealed-bid second-price auction (R31): who runs a task, and at which price per second. It ends with an award; the client
 * then sends an ordinary offer that names the winner at that price, with the box for it (R4).
 */

/** Shortest and longest window for bids and for reveals, ms of T. Below three seconds a delay of the ledger could shut somebody out. */
export const MIN_AUCTION_WINDOW_MS = 3_000
export const MAX_AUCTION_WINDOW_MS = 600_000
/** Bids of one auction, so that its row stays small enough for a proof. */
export const MAX_BIDS = 32

/** What is auctioned. The offer that follows an award must say the same. */
export const auctionTermsSchema = z.strictObject({
  /** Id of the auction and of its task: objectId(account, nonce) (R13). */
  task: bytes32,
  nonce: bytes16,
  image: imageRefSchema,
  resources: resourcesSchema,
  limits: limitsSchema,
  bundle: z.strictObject({ hash: bytes32, size: whole }),
  keyCommit: bytes32,
  readKey: bytes32,
  audit: z.enum(AUDIT_POLICIES),
  /** What is locked: a step of 1, 2, 5 × 10^k at or above the cap, so that it tells little of it. */
  lock: credits,
  /** {@link reserveCommit}: highest price and cap, hidden until bids can't change any more. */
  reserveCommit: bytes32,
  /** How long bids, and then reveals, are taken, ms of T. */
  bidMs: whole.min(MIN_AUCTION_WINDOW_MS).max(MAX_AUCTION_WINDOW_MS),
  revealMs: whole.min(MIN_AUCTION_WINDOW_MS).max(MAX_AUCTION_WINDOW_MS)
})
export type AuctionTerms = z.infer<typeof auctionTermsSchema>

/** A hidden price and what hides it. */
const revealedBidSchema = z.strictObject({ pricePerSecond: credits, salt: bytes32 })
const revealedReserveSchema = z.strictObject({ pricePerSecond: credits, cap: credits, salt: bytes32 })
export type RevealedReserve = z.infer<typeof revealedReserveSchema>

export const auctionBidSchema = z.strictObject({
  provider: bytes32,
  /** Key of the agent that bid: its lane holds the deposit. */
  lane: bytes32,
  /** The ask that the bid is bound to: image, machine and sealing key. */
  ask: bytes32,
  /** {@link bidCommit}. */
  commitment: bytes32,
  deposit: credits,
  revealed: revealedBidSchema.nullable()
})
export type AuctionBid = z.infer<typeof auctionBidSchema>

export const awardSchema = z.strictObject({
  provider: bytes32,
  ask: bytes32,
  /** What the winner is paid a second. */
  pricePerSecond: credits,
  /** What the client pays at most; the whole lock where it didn't reveal its cap. */
  cap: credits
})
export type Award = z.infer<typeof awardSchema>

export const AUCTION_STATES = ['bidding', 'revealing', 'awarded', 'ended'] as const
export type AuctionState = (typeof AUCTION_STATES)[number]
/** `sold`: the offer came. `no-bid`: nobody revealed a price that serves. `no-key`: the client wasn't there to box the key (R4). */
export const AUCTION_ENDS = ['sold', 'no-bid', 'no-key', 'cancelled'] as const
export type AuctionEnd = (typeof AUCTION_ENDS)[number]

/** Table `auction`, key = id in hexadecimal; deleted some minutes after its end. All of it is public. */
export const auctionRowSchema = z.strictObject({
  auction: bytes32,
  account: bytes32,
  /** Key of the delegate that opened it: its offer must come on the same lane. */
  lane: bytes32,
  state: z.enum(AUCTION_STATES),
  terms: auctionTermsSchema,
  /** T of entry to this state and of its end; null once it has ended. */
  since: millis,
  deadline: millis.nullable(),
  openedAt: millis,
  bids: z.array(auctionBidSchema),
  reserve: revealedReserveSchema.nullable(),
  award: awardSchema.nullable(),
  /** Still locked of the client's. */
  lock: credits,
  ended: z.enum(AUCTION_ENDS).nullable(),
  /** Id of the parameters in force when it was opened; its task keeps them. */
  parameters: whole,
  /** Ids of the transactions that moved it, oldest first; its task's list begins with them. */
  transactions: z.array(bytes32)
})
export type AuctionView = z.infer<typeof auctionRowSchema>

/** What a bridge answers; null: there is none, or it ended a while ago. */
export const auctionAnswerSchema = z.object({ auction: auctionRowSchema.nullable() })

/** What a bid shows before it may be opened: nobody else can send it for another auction, or as its own. */
export const bidCommit = (
  place: { network: Uint8Array; auction: Uint8Array; bidder: Uint8Array },
  { pricePerSecond, salt }: z.infer<typeof revealedBidSchema>
): Uint8Array =>
  taggedHash('pekka/auction-bid/v1', place.network, place.auction, place.bidder, u64(pricePerSecond), salt)

/** What an auction shows of the client's highest price and cap until bids can't change any more. */
export const reserveCommit = (
  place: { network: Uint8Array; auction: Uint8Array },
  { pricePerSecond, cap, salt }: RevealedReserve
): Uint8Array =>
  taggedHash('pekka/auction-reserve/v1', place.network, place.auction, u64(pricePerSecond), u64(cap), salt)

type Priced = AuctionBid & { revealed: NonNullable<AuctionBid['revealed']> }

/**
 * Who wins, and what it is paid: the lowest revealed price not above the reserve, and the second lowest price or the reserve,
 * whichever is less. Without the client's reveal the lowest wins at its own price. Null: nobody.
 *
 * A tie goes to the lowest hash over the auction, all revealed salts and the bidder: nobody knows it before the salts are bound.
 */
export function awardOf({
  auction,
  terms,
  bids,
  reserve
}: Pick<AuctionView, 'auction' | 'terms' | 'bids' | 'reserve'>): Award | null {
  const revealed = bids.filter((bid): bid is Priced => bid.revealed !== null)
  const salts = [...revealed].sort((a, b) => compareBytes(a.provider, b.provider)).map(bid => bid.revealed.salt)
  const lot = ({ provider }: Priced): string =>
    toHex(taggedHash('pekka/auction-tie/v1', auction, concat(...salts), provider))
  const sorted = revealed.sort((a, b) => {
    const difference = a.revealed.pricePerSecond - b.revealed.pricePerSecond
    return difference < 0n ? -1 : difference > 0n ? 1 : lot(a) < lot(b) ? -1 : 1
  })
  const [winner, second] = sorted
  if (winner === undefined) return null
  const { provider, ask } = winner
  const lowest = winner.revealed.pricePerSecond
  if (reserve === null) return { provider, ask, pricePerSecond: lowest, cap: terms.lock }
  if (lowest > reserve.pricePerSecond) return null
  const next = second?.revealed.pricePerSecond ?? reserve.pricePerSecond
  const pricePerSecond = next < reserve.pricePerSecond ? next : reserve.pricePerSecond
  return { provider, ask, pricePerSecond, cap: reserve.cap }
}
