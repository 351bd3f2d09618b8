import { z } from 'zod'
import { equalBytes } from '../encoding/bytes.js'
import type { CommitView, TransactionOutcome } from '../ledger/commit-view.js'
import {
  blockViewSchema,
  largeCommitSchema,
  ledgerPlaceSchema,
  type LedgerPlace,
  type PlacedTransaction
} from './history.js'
import { imageRowSchema } from '../ledger/image-record.js'
import { commitHeaderSchema } from '../ledger/parameters.js'
import { bytes32, bytesUpTo, credits, millis, whole } from '../encoding/schema.js'
import { accountRowSchema } from '../ledger/state.js'
import { equivocationSummarySchema, MAX_EVIDENCE_BYTES } from '../proof/equivocation.js'
import { TASK_STATES, taskViewSchema } from '../task/task.js'
import { bodySchema, decodeSigned, signatureSchema, type Body, type Transaction } from '../ledger/transaction.js'

/**
 * The ledger as the bridge's routes under `/v1/ledger` show it: what every witness tells anybody who asks, paged and filtered. Nothing in
 * it is of the bridge's own (titles, notes, boxes, sealed bytes), and of other people's delegates only what stands in transactions.
 *
 * Lists are newest first where they are of the past. `next` is given back as the query's cursor; null: there is nothing more. A page with
 * `next` may be short, even empty: one request looks through a bounded part of the past. `first` is the oldest commit that is looked at.
 */

/** A transaction in a list. `code` null: applied; else it failed with it, and used its sequence all the same (R27). */
export const transactionSummarySchema = z.object({
  id: bytes32,
  place: ledgerPlaceSchema,
  timestamp: millis,
  account: bytes32,
  /** The delegate's lane; null: lane 0. */
  key: bytes32.nullable(),
  sequence: whole,
  previous: bytes32.nullable(),
  /** Vertices of the DAG that it names. */
  parents: z.array(bytes32),
  kind: z.string(),
  code: z.string().nullable(),
  /** Tasks that it is about; an offer's in its order. */
  tasks: z.array(bytes32),
  /** Who gets credits from it: of a transfer. */
  to: bytes32.nullable(),
  /** What it moves, locks or claims, where the body says so, micro-credits. */
  amount: credits.nullable()
})
export type TransactionSummary = z.infer<typeof transactionSummarySchema>

export const transactionPageSchema = z.object({
  first: whole,
  transactions: z.array(transactionSummarySchema),
  next: z.string().nullable()
})
export type TransactionPage = z.infer<typeof transactionPageSchema>

/** One transaction whole, for people; programs that check signatures take `/v1/transactions/:cid`. */
export const transactionDetailSchema = transactionSummarySchema.extend({
  expiry: millis,
  body: bodySchema,
  signatures: z.array(signatureSchema),
  /** What the error says, where it failed. */
  data: z.record(z.string(), z.string())
})
export type TransactionDetail = z.infer<typeof transactionDetailSchema>

export const commitSummarySchema = z.object({
  /** Hash of the header: what the next one names as `previous`. */
  id: bytes32,
  header: commitHeaderSchema,
  transactions: whole,
  /** What it changed. */
  tasks: whole,
  asks: whole,
  accounts: whole
})
export const commitPageSchema = z.object({
  first: whole,
  commits: z.array(commitSummarySchema),
  /** Such as are too large to be read here, among those of the page. */
  large: z.array(largeCommitSchema).optional(),
  next: z.string().nullable()
})
export type CommitPage = z.infer<typeof commitPageSchema>

export const commitDetailSchema = z.object({
  id: bytes32,
  header: commitHeaderSchema,
  transactions: z.array(transactionSummarySchema),
  tasks: z.array(bytes32),
  asks: z.array(bytes32),
  accounts: z.array(bytes32)
})
export type CommitDetail = z.infer<typeof commitDetailSchema>

/** A block, and the commit that brought it into the order. */
export const blockItemSchema = blockViewSchema.extend({ commit: whole, leader: z.boolean() })
export const blockPageSchema = z.object({
  first: whole,
  blocks: z.array(blockItemSchema),
  next: z.string().nullable()
})
export type BlockPage = z.infer<typeof blockPageSchema>

/** A checkpoint without its signatures; `signers` are indices in the committee. */
export const checkpointItemSchema = z.object({
  index: whole,
  epoch: whole,
  timestamp: millis,
  contractTime: millis,
  head: bytes32,
  previous: bytes32,
  stateRoot: bytes32,
  transactionsRoot: bytes32,
  transactions: whole,
  committee: bytes32,
  nextCommittee: bytes32.nullable(),
  signers: z.array(whole)
})
export const checkpointPageSchema = z.object({
  checkpoints: z.array(checkpointItemSchema),
  next: z.string().nullable()
})
export type CheckpointPage = z.infer<typeof checkpointPageSchema>

/** An account's money. Its lanes are its own matter: `/v1/accounts/:account` (R38). */
export const accountItemSchema = accountRowSchema.omit({ opened: true })
export type AccountItem = z.infer<typeof accountItemSchema>
export const accountPageSchema = z.object({ accounts: z.array(accountItemSchema), next: z.string().nullable() })
export type AccountPage = z.infer<typeof accountPageSchema>

/** What the network's registrars say of images. `proposed` ones are nobody's decision yet. */
export const imagePageSchema = z.object({ images: z.array(imageRowSchema), next: z.string().nullable() })
export type ImagePage = z.infer<typeof imagePageSchema>

/** Tasks as the ledger has them: no title, no note, no output. */
export const taskPageSchema = z.object({
  first: whole,
  tasks: z.array(taskViewSchema),
  next: z.string().nullable()
})
export type LedgerTaskPage = z.infer<typeof taskPageSchema>
export const ledgerTaskState = z.enum(TASK_STATES)

export const witnessItemSchema = z.object({
  key: bytes32,
  /** What the committee of this epoch counts; null: it isn't in it. */
  seat: z.object({ author: whole, stake: credits }).nullable(),
  /** Accounts that have staked on it since, and for which epochs it is registered; null: the genesis alone names it. */
  staked: z.object({ account: bytes32, stake: credits, epochs: z.array(whole) }).nullable(),
  /** Rounds for which it signed two blocks, as the witness says that the bridge asks, the oldest first; what proves it is the evidence. */
  equivocated: z.array(equivocationSummarySchema.omit({ key: true })).default([])
})
export const witnessPageSchema = z.object({
  epoch: whole,
  /** Stake of the committee, and how much of it a quorum is: S − ⌊(S−1)/3⌋. */
  stake: credits,
  quorum: credits,
  witnesses: z.array(witnessItemSchema),
  next: z.string().nullable()
})
export type WitnessPage = z.infer<typeof witnessPageSchema>

/** Evidence of an equivocation, for `verifyEquivocation`. */
export const evidenceAnswerSchema = z.object({ evidence: bytesUpTo(MAX_EVIDENCE_BYTES) })

/** Commits of one window at most. */
export const MAX_DAG_COMMITS = 32

/**
 * A window of the DAG, for drawing. Edges stand in the vertices: `parents` and `weak` of blocks; `previous` (the lane) and `parents` of
 * transactions; `transactions` of a block. An edge may lead out of the window, to a vertex that isn't in it.
 */
export const dagWindowSchema = z.object({
  v: z.literal(1),
  network: bytes32,
  /** The commits in it, both included; `to` < `from`: none. */
  from: whole,
  to: z.number().int().min(-1),
  /** The oldest commit there is. */
  first: whole,
  /** In their order; `leader` and `blocks` are ids of blocks, `transactions` in the order of the ledger. */
  commits: z.array(
    z.object({
      index: whole,
      timestamp: millis,
      contractTime: millis,
      /** null: its blocks aren't kept any more. */
      epoch: whole.nullable(),
      leader: bytes32.nullable(),
      blocks: z.array(bytes32),
      transactions: z.array(bytes32)
    })
  ),
  /** By commit, in its order. A row of the picture is a round, a column an author. */
  blocks: z.array(blockItemSchema),
  transactions: z.array(transactionSummarySchema)
})
export type DagWindow = z.infer<typeof dagWindowSchema>

/**
 * Final transactions as they come, over the live stream: those of the commits after `after` up to `through`, as far as they match. Who was
 * away asks again with the last `through`; `after` beyond that says which commits aren't kept any more.
 */
export const ledgerBatchSchema = z.object({
  after: z.number().int().min(-1),
  through: whole,
  transactions: z.array(transactionSummarySchema),
  /** Commits of these that are too large to be read here: what is in them isn't told. */
  large: z.array(largeCommitSchema).optional()
})
export type LedgerBatch = z.infer<typeof ledgerBatchSchema>

// ---- cursors: places as text

/** Digits alone: `INDEX-POSITION`, and `INDEX` below. */
export const placeCursor = z
  .string()
  .regex(/^(0|[1-9]\d{0,14})-(0|[1-9]\d{0,6})$/, 'not a cursor of this list')
  .transform((text): LedgerPlace => {
    const [index, position] = text.split('-').map(Number)
    return { index: index ?? 0, position: position ?? 0 }
  })
export const commitCursor = z
  .string()
  .regex(/^(0|[1-9]\d{0,14})$/, 'not a cursor of this list')
  .transform(Number)

export const writePlace = ({ index, position }: LedgerPlace): string => `${index}-${position}`

// ---- what a transaction comes to

/** Tasks that a body is about. */
export function tasksOf(body: Body): Uint8Array[] {
  if (body.kind === 'offer') return body.tasks.map(({ task }) => task)
  if (body.kind === 'auction-open') return [body.terms.task]
  // An auction's id is its task's.
  if ('auction' in body) return [body.auction]
  return 'task' in body ? [body.task] : []
}

/** What a body moves, stakes, locks or claims; null where it says no sum. */
export function amountOf(body: Body): bigint | null {
  if (body.kind === 'offer') return body.tasks.reduce((sum, { cap }) => sum + cap, 0n)
  if (body.kind === 'auction-open') return body.terms.lock
  return 'amount' in body ? body.amount : null
}

const codeOf = (outcome: TransactionOutcome): string | null => (outcome.status === 'applied' ? null : outcome.code)

function summarise(transaction: Transaction, { place, outcome }: Omit<PlacedTransaction, 'bytes'>, timestamp: number) {
  const { account, key, sequence, previous, parents, body } = transaction
  return {
    id: outcome.id,
    place,
    timestamp,
    account,
    key,
    sequence,
    previous,
    parents,
    kind: body.kind,
    code: codeOf(outcome),
    tasks: tasksOf(body),
    to: body.kind === 'transfer' ? body.to : null,
    amount: amountOf(body)
  }
}

/** A final transaction as a list shows it. @throws PekkaError of decodeSigned */
export function summaryOf(placed: PlacedTransaction): TransactionSummary {
  const { outcome } = placed
  return summarise(decodeSigned(placed.bytes).transaction, placed, outcome.status === 'refused' ? 0 : outcome.timestamp)
}

/** The same, whole. @throws PekkaError of decodeSigned */
export function detailOf(placed: PlacedTransaction): TransactionDetail {
  const { outcome } = placed
  const { transaction, signatures } = decodeSigned(placed.bytes)
  return {
    ...summarise(transaction, placed, outcome.status === 'refused' ? 0 : outcome.timestamp),
    expiry: transaction.expiry,
    body: transaction.body,
    signatures,
    data: outcome.status === 'applied' ? {} : outcome.data
  }
}

/** A commit's transactions with their places. */
export const placedIn = ({ header: { index }, transactions }: CommitView): PlacedTransaction[] =>
  transactions.map((one, position) => ({ place: { index, position }, ...one }))

/** Whether a transaction belongs into an account's history: it sent it, or an applied transfer or recovery is about it. */
export const concerns = (transaction: Transaction, outcome: TransactionOutcome, account: Uint8Array): boolean =>
  equalBytes(transaction.account, account) || (outcome.status === 'applied' && isAbout(transaction.body, account))

function isAbout(body: Body, account: Uint8Array): boolean {
  if (body.kind === 'transfer') return equalBytes(body.to, account)
  return (body.kind === 'recover' || body.kind === 'cancel-recovery') && equalBytes(body.account, account)
}
