import { z } from 'zod'
import { askSchema } from '../ledger/ask.js'
import type { AuctionView } from '../ledger/auction.js'
import { delegateSchema } from '../ledger/account.js'
import type { CommitView, TransactionOutcome } from '../ledger/commit-view.js'
import { historyRequestSchema, type HistoryRequest, type PageOf } from './history.js'
import { parametersSchema } from '../ledger/parameters.js'
import { bytes32, bytesUpTo, credits, millis, whole } from '../encoding/schema.js'
import { accountRowSchema } from '../ledger/state.js'
import type { TaskView } from '../task/task.js'
import { MAX_TRANSACTION_BYTES } from '../limits.js'
import { MAX_CLAIMS, provenTableSchema } from '../proof/proof.js'

/**
 * `/pekka/ledger/1`: how bridges, providers and wallets speak to a witness (or to a bridge that relays). Requests and
 * answers are CBOR messages on one libp2p stream; `follow` turns answers into a stream of commits.
 */
export const LEDGER_PROTOCOL = '/pekka/ledger/1'

export const laneViewSchema = z.strictObject({
  /** null: lane 0. */
  key: bytes32.nullable(),
  /** The next sequence number and the lane's last transaction. */
  sequence: whole,
  previous: bytes32.nullable(),
  delegate: delegateSchema.nullable(),
  /** Spent and locked of the delegate's cap. */
  used: credits
})
export type LaneView = z.infer<typeof laneViewSchema>

/** An account as the ledger keeps it, with its lanes themselves. */
export const accountViewSchema = accountRowSchema.omit({ opened: true }).extend({ lanes: z.array(laneViewSchema) })
export type AccountView = z.infer<typeof accountViewSchema>

export const providerViewSchema = z.strictObject({
  provider: bytes32,
  name: z.string(),
  operator: bytes32.nullable(),
  peerKey: bytes32,
  bond: credits,
  /** Tasks run to the end, and failed or lapsed attempts. */
  completed: whole,
  failed: whole
})
export type ProviderView = z.infer<typeof providerViewSchema>

/** A live ask and the signed transaction that published it, so that a wallet can check it itself (R3). */
export const askViewSchema = z.strictObject({
  ask: askSchema,
  provider: providerViewSchema,
  transaction: bytesUpTo(MAX_TRANSACTION_BYTES),
  /** Delegates of the provider's account that may publish asks. */
  running: whole
})
export type AskView = z.infer<typeof askViewSchema>

/** An epoch, where it isn't the first. */
const since = whole.optional()

export const ledgerTimeSchema = z.strictObject({
  network: bytes32,
  index: whole,
  timestamp: millis,
  contractTime: millis,
  /** Final vertices that a new transaction may name as parents (R29). */
  parents: z.array(bytes32).min(1).max(8),
  parameters: parametersSchema
})
export type LedgerTime = z.infer<typeof ledgerTimeSchema>

/**
 * What a proof shall show. Rows (without any: only the checkpoint itself) are shown under the last checkpoint, once it has all that
 * was final of them when the request came; a transaction under the one that covers it. `since`: the epoch whose committee the asker
 * trusts, a multiple of MAX_STEPS; left out: 0. Where more epochs lie between, the answer is a stage (proof.ts); of what was proved
 * in an epoch before that, the way begins at the last multiple before it.
 */
export const proofRequestSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('rows'),
    rows: z.array(z.strictObject({ table: provenTableSchema, id: bytes32 })).max(MAX_CLAIMS),
    since
  }),
  z.strictObject({ kind: z.literal('transaction'), id: bytes32, since })
])
export type ProofRequest = z.infer<typeof proofRequestSchema>

const id = whole
export const ledgerRequestSchema = z.discriminatedUnion('method', [
  /** Answered once the transaction is final, or refused. */
  z.strictObject({ id, method: z.literal('submit'), transaction: bytesUpTo(MAX_TRANSACTION_BYTES) }),
  z.strictObject({ id, method: z.literal('time') }),
  z.strictObject({ id, method: z.literal('genesis') }),
  z.strictObject({ id, method: z.literal('account'), account: bytes32 }),
  z.strictObject({ id, method: z.literal('provider'), provider: bytes32 }),
  z.strictObject({ id, method: z.literal('task'), task: bytes32 }),
  z.strictObject({ id, method: z.literal('asks'), image: z.string().nullable() }),
  /** Open auctions; with an id that one alone, also where it has just ended. */
  z.strictObject({ id, method: z.literal('auctions'), auction: bytes32.nullable() }),
  z.strictObject({ id, method: z.literal('transaction'), transaction: bytes32 }),
  z.strictObject({ id, method: z.literal('prove'), what: proofRequestSchema }),
  z.strictObject({ id, method: z.literal('history'), what: historyRequestSchema }),
  /** All commits after `after` (−1: from the first), then live ones, one answer each, until `unfollow`. */
  z.strictObject({ id, method: z.literal('follow'), after: z.number().int().min(-1) }),
  z.strictObject({ id, method: z.literal('unfollow') })
])
export type LedgerRequest = z.infer<typeof ledgerRequestSchema>

/** Answers carry the request's id. `value` is the method's view (null: not found), checked by the caller's schema. */
export const ledgerAnswerSchema = z.discriminatedUnion('ok', [
  z.strictObject({ id, ok: z.literal(true), value: z.unknown() }),
  z.strictObject({ id, ok: z.literal(false), code: z.string(), data: z.record(z.string(), z.unknown()) })
])
export type LedgerAnswer = z.infer<typeof ledgerAnswerSchema>

/** The ledger as everything above consensus sees it; nothing here says how many witnesses there are. */
export interface LedgerAccess {
  /** Resolves once the transaction is final (applied or failed) or refused. Rejects with LEDGER_UNREACHABLE. */
  submit(transaction: Uint8Array, signal?: AbortSignal): Promise<TransactionOutcome>
  time(signal?: AbortSignal): Promise<LedgerTime>
  genesis(signal?: AbortSignal): Promise<Uint8Array>
  account(account: Uint8Array, signal?: AbortSignal): Promise<AccountView | null>
  provider(provider: Uint8Array, signal?: AbortSignal): Promise<ProviderView | null>
  /** Also tasks that are closed, from history, while it is kept. */
  task(task: Uint8Array, signal?: AbortSignal): Promise<TaskView | null>
  asks(image: string | null, signal?: AbortSignal): Promise<AskView[]>
  /** Auctions that haven't ended (R31); with an id that one alone, until some minutes after its end. */
  auctions(auction: Uint8Array | null, signal?: AbortSignal): Promise<AuctionView[]>
  /** Signed bytes and outcome of a final transaction. */
  transaction(id: Uint8Array, signal?: AbortSignal): Promise<{ bytes: Uint8Array; outcome: TransactionOutcome } | null>
  /**
   * An encoded proof (proof.ts); null: unknown, or so long ago that its checkpoint isn't kept. It may take until the next checkpoint,
   * about a second.
   */
  prove(what: ProofRequest, signal?: AbortSignal): Promise<Uint8Array | null>
  /** A page of the past (history.ts). */
  history<R extends HistoryRequest>(what: R, signal?: AbortSignal): Promise<PageOf<R>>
  /** Commits after `after`, in order, without gaps; ends when the signal aborts, throws LEDGER_UNREACHABLE. */
  follow(after: number, signal: AbortSignal): AsyncIterable<CommitView>
}
