import { z } from 'zod'
import { MAX_TRANSACTION_BYTES } from '../limits.js'
import { openBodyName } from '../ledger/bodies.js'
import { imageRowSchema } from '../ledger/image-record.js'
import { accountRowSchema } from '../ledger/state.js'
import { equivocationSummarySchema, MAX_EVIDENCE_BYTES } from '../proof/equivocation.js'
import { bytes32, bytesUpTo, credits, millis, slug, whole } from '../encoding/schema.js'
import { commitViewSchema, outcomeSchema } from '../ledger/commit-view.js'

/**
 * What a witness tells of the past, a page at a time: method `history` of `/pekka/ledger/1`. A place in the past is a commit's index
 * (and a transaction's position in it), which never changes; so a listing that goes on from a place has no gap and nothing twice,
 * however many commits come meanwhile. `first` is the oldest commit that the witness has for that listing.
 */

/** Commits of a page at most, and entries of any other. */
export const MAX_HISTORY_COMMITS = 64
export const MAX_HISTORY_ENTRIES = 200

/** Where a transaction stands: the commit, and which of that commit's it is, from 0. */
export const ledgerPlaceSchema = z.strictObject({ index: whole, position: whole })
export type LedgerPlace = z.infer<typeof ledgerPlaceSchema>

/** A final transaction as signed bytes, with its place. */
export const placedTransactionSchema = z.strictObject({
  place: ledgerPlaceSchema,
  bytes: bytesUpTo(MAX_TRANSACTION_BYTES),
  outcome: outcomeSchema
})
export type PlacedTransaction = z.infer<typeof placedTransactionSchema>

/** A vertex of the DAG that orders: a witness's block. Where one witness decides alone, its commits are its blocks. */
export const blockViewSchema = z.strictObject({
  id: bytes32,
  epoch: whole,
  round: whole,
  /** Index in the epoch's committee, and that member's block key. */
  author: whole,
  witness: bytes32,
  timestamp: millis,
  /** Ids of the blocks of the round before that it votes for, its author's own first; and older ones that it brings along. */
  parents: z.array(bytes32),
  weak: z.array(bytes32),
  /** Ids of the transactions in it. */
  transactions: z.array(bytes32)
})
export type BlockView = z.infer<typeof blockViewSchema>

/** The blocks that a commit brought into the order, in that order; the leader's is the last. */
export const committedBlocksSchema = z.strictObject({
  index: whole,
  epoch: whole,
  leader: bytes32,
  blocks: z.array(blockViewSchema)
})
export type CommittedBlocks = z.infer<typeof committedBlocksSchema>

/** A commit that no message holds: more bytes than `/pekka/ledger/1` takes. */
export const largeCommitSchema = z.strictObject({ index: whole, size: whole })
export type LargeCommit = z.infer<typeof largeCommitSchema>

const firstCommit = whole
const count = (most: number) => whole.min(1).max(most)

/** Each listing's question and its page. */
export const HISTORY = {
  /**
   * Commits in a row: `ascending` from `from` on, else from `from` down. Fewer than `count` where they are many bytes; at least one. One that no
   * message holds is only named, in `large`, which isn't there else.
   */
  commits: {
    query: z.strictObject({ from: whole, count: count(MAX_HISTORY_COMMITS), ascending: z.boolean() }),
    page: z.strictObject({
      first: firstCommit,
      commits: z.array(commitViewSchema),
      large: z.array(largeCommitSchema).max(MAX_HISTORY_COMMITS).optional()
    })
  },
  /**
   * Transactions, newest first, before a place. `account`: those that it sent, and applied transfers to it. `next` null: there are no
   * more; a page with `next` may be short or empty, since a witness looks through a bounded part of its history for one page.
   */
  transactions: {
    query: z.strictObject({
      account: bytes32.nullable(),
      kinds: z.array(openBodyName).max(32).nullable(),
      before: ledgerPlaceSchema.nullable(),
      count: count(MAX_HISTORY_ENTRIES)
    }),
    page: z.strictObject({
      first: firstCommit,
      transactions: z.array(placedTransactionSchema),
      next: ledgerPlaceSchema.nullable()
    })
  },
  /** Accounts as they are now, by ascending id. */
  accounts: {
    query: z.strictObject({ after: bytes32.nullable(), count: count(MAX_HISTORY_ENTRIES) }),
    page: z.strictObject({ accounts: z.array(accountRowSchema), next: bytes32.nullable() })
  },
  /** What the registry says of images, of one name or all, by ascending digest. */
  images: {
    query: z.strictObject({ name: slug.nullable(), after: bytes32.nullable(), count: count(MAX_HISTORY_ENTRIES) }),
    page: z.strictObject({ images: z.array(imageRowSchema), next: bytes32.nullable() })
  },
  /** Canonical certificates, newest first, about commits before `before`. */
  checkpoints: {
    query: z.strictObject({ before: whole.nullable(), count: count(MAX_HISTORY_COMMITS) }),
    page: z.strictObject({ certificates: z.array(bytesUpTo(1 << 16)), next: whole.nullable() })
  },
  /** Blocks of the commits `from` to `to`, ascending; fewer commits where they hold very many transactions, at least one. */
  blocks: {
    query: z.strictObject({ from: whole, to: whole }),
    page: z.strictObject({ first: firstCommit, commits: z.array(committedBlocksSchema).max(MAX_HISTORY_COMMITS) })
  },
  /** Who decides now, and who is staked on, by ascending block key. */
  witnesses: {
    query: z.strictObject({ after: bytes32.nullable(), count: count(MAX_HISTORY_ENTRIES) }),
    page: z.strictObject({
      epoch: whole,
      committee: z.array(z.strictObject({ key: bytes32, stake: credits })),
      staked: z.array(
        z.strictObject({
          key: bytes32,
          account: bytes32,
          stake: credits,
          /** Epochs that it is registered for. */
          epochs: z.array(whole)
        })
      ),
      /** Equivocations that the witness asked says it has evidence of, by whomever, the oldest first: on every page. */
      equivocated: z.array(equivocationSummarySchema).max(MAX_HISTORY_ENTRIES).default([]),
      next: bytes32.nullable()
    })
  },
  /** Evidence of an equivocation (proof/equivocation.ts); null: the witness asked has none. */
  evidence: {
    query: z.strictObject({ witness: bytes32, epoch: whole, round: whole }),
    page: z.strictObject({ evidence: bytesUpTo(MAX_EVIDENCE_BYTES).nullable() })
  }
} as const

export type HistoryKind = keyof typeof HISTORY
export type HistoryQuery<K extends HistoryKind> = z.infer<(typeof HISTORY)[K]['query']>
export type HistoryPage<K extends HistoryKind> = z.infer<(typeof HISTORY)[K]['page']>

/** A question with its kind, as it is sent. */
export const historyRequestSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('commits'), query: HISTORY.commits.query }),
  z.strictObject({ kind: z.literal('transactions'), query: HISTORY.transactions.query }),
  z.strictObject({ kind: z.literal('accounts'), query: HISTORY.accounts.query }),
  z.strictObject({ kind: z.literal('images'), query: HISTORY.images.query }),
  z.strictObject({ kind: z.literal('checkpoints'), query: HISTORY.checkpoints.query }),
  z.strictObject({ kind: z.literal('blocks'), query: HISTORY.blocks.query }),
  z.strictObject({ kind: z.literal('witnesses'), query: HISTORY.witnesses.query }),
  z.strictObject({ kind: z.literal('evidence'), query: HISTORY.evidence.query })
])
export type HistoryRequest = z.infer<typeof historyRequestSchema>
/** The page of a question. */
export type PageOf<R extends HistoryRequest> = HistoryPage<R['kind']>
