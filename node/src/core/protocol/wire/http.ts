import { z } from 'zod'
import { outcomeSchema } from '../ledger/commit-view.js'
import { askViewSchema } from './ledger-wire.js'
import { encodeCanonical } from '../encoding/encoding.js'
import { taggedHash } from '../encoding/hash.js'
import { MAX_IMAGE_LIST_BYTES } from '../ledger/image-list.js'
import { BOX_BYTES } from '../task/keys.js'
import { INLINE_BUNDLE_BYTES, MAX_BLOB_BYTES, MAX_TRANSACTION_BYTES } from '../limits.js'
import { logEntrySchema } from '../task/log.js'
import { MAX_PROOF_BYTES } from '../proof/proof.js'
import { MAX_PARTS } from '../task/values.js'
import { bytes32, bytes64, bytesUpTo, credits, millis, whole } from '../encoding/schema.js'
import { sessionCellSchema } from '../task/session-cells.js'
import { taskViewSchema, type TaskView } from '../task/task.js'

/**
 * The bridge's HTTP API, version 1. Requests and answers are CBOR (`application/cbor`, dag-cbor, ids and money as they
 * are inside) or, for people and curl, JSON: `Accept: application/json` gets {@link toJson} of the same value. Errors
 * are RFC 9457 problem documents in JSON. Ids in paths are hexadecimal, content ids CIDv1.
 *
 * | route | answer |
 * | --- | --- |
 * | GET /v1/health | healthSchema, no token |
 * | GET /v1/network | networkSchema, no token |
 * | POST /v1/challenges {account, key} | challengeSchema, no token |
 * | POST /v1/tokens {challenge, key, account, signature} | tokenSchema, no token |
 * | GET /v1/images, /v1/asks?image= | imagesSchema, asksSchema, no token |
 * | GET /v1/ledger/time | ledgerTimeSchema, no token |
 * | POST /v1/transactions | outcomeSchema; any signed transaction, no token (the signature speaks) |
 * | GET /v1/transactions/:cid | transactionSchema, no token |
 * | GET /v1/accounts/:account | accountViewSchema; owner's token sees all lanes, a lane's token its own |
 * | PUT /v1/blobs/:cid | 204; sealed bundle bytes (`application/octet-stream`) |
 * | POST /v1/blobs/missing {hashes} | missingSchema: which of these aren't there yet |
 * | GET /v1/blobs/:cid?task= | bytes, only of own tasks |
 * | POST /v1/tasks | 202 submittedSchema; only after the tasks are on disk |
 * | GET /v1/tasks?before=&limit= | taskListSchema |
 * | GET /v1/tasks/:task | taskItemSchema |
 * | GET /v1/tasks/:task/events?after=&limit= | eventsSchema (never held open) |
 * | GET /v1/tasks/:task/proof | proofSchema: what a receipt needs |
 * | GET /v1/ledger/checkpoint | ledgerProofAnswerSchema: the last checkpoint, no token |
 * | GET /v1/ledger/asks/proof?asks= | ledgerProofAnswerSchema: up to 16 asks, ids with commas between, no token |
 * | GET /v1/ledger/images/proof?images= | ledgerProofAnswerSchema: up to 16 digests of images, no token |
 * | GET /v1/transactions/:cid/ledger-proof | ledgerProofAnswerSchema: order and outcome, no token |
 * | GET /v1/accounts/:account/ledger-proof | ledgerProofAnswerSchema of the own account |
 * | GET /v1/tasks/:task/ledger-proof | ledgerProofAnswerSchema: its state; once it is closed, what moved it last |
 * | POST /v1/tasks/:task/cells | 202 cellTakenSchema: a later cell of a session, on the disk |
 * | GET /v1/tasks/:task/cells | cellsSchema: all of its newest run |
 * | POST /v1/tasks/:task/interrupts | 202 interruptedSchema: one cell of a session is to stop |
 * | GET /v1/auctions/:auction | auctionAnswerSchema: an auction, its bids and award; null: there is none, no token |
 * | GET /v1/auctions/:auction/ledger-proof | ledgerProofAnswerSchema, no token |
 * | POST /v1/layers | layerAnswerSchema: packages on top of an image, ready for providers |
 * | POST /v1/inputs | inputAnswerSchema: data of an address, ready for providers |
 * | POST /v1/invites | inviteSchema: a code for one provider to join (JOIN_PROTOCOL); owner's token |
 * | GET /openapi.json, GET /metrics (loopback) | |
 */
export const CBOR = 'application/cbor'

export const healthSchema = z.object({
  ok: z.boolean(),
  version: z.string(),
  queue: z.boolean(),
  ledger: z.boolean(),
  providers: whole,
  /** ms the bridge is up. */
  uptime: whole
})

export const networkSchema = z.object({
  network: bytes32,
  /** Ed25519 key of this bridge (`stored` signatures). */
  bridge: bytes32,
  name: z.string(),
  addresses: z.array(z.string()),
  witnesses: z.array(z.string()),
  genesis: bytesUpTo(1 << 20),
  /** The signed list of the network's images (image-list.ts), where the bridge has one. */
  images: bytesUpTo(MAX_IMAGE_LIST_BYTES).optional()
})
export type NetworkInfo = z.infer<typeof networkSchema>

export const challengeRequestSchema = z.strictObject({ account: bytes32, key: bytes32 })
export const challengeSchema = z.object({ challenge: bytes32, expires: millis })
/** `signature` over tokenMessage by the delegate `key`, or by a key of the account's policy for the owner's token (R38). */
export const tokenRequestSchema = z.strictObject({
  challenge: bytes32,
  account: bytes32,
  key: bytes32,
  signature: bytes64
})
export const tokenSchema = z.object({ token: z.string(), expires: millis, scope: z.enum(['lane', 'owner']) })

export const imageItemSchema = z.object({
  name: z.string(),
  digest: bytes32,
  /** Machines that offer it now, and the least and most they ask a second. */
  machines: whole,
  least: credits,
  most: credits
})
export const imagesSchema = z.object({ images: z.array(imageItemSchema) })
export const asksSchema = z.object({ asks: z.array(askViewSchema) })

/**
 * One signed offer with what belongs to each of its tasks, in order: boxes for the candidates, the sealed bundle where
 * it is small (else it was PUT before), and a sealed note of the client's own (title, notebook, cells).
 */
export const submitSchema = z.strictObject({
  transaction: bytesUpTo(MAX_TRANSACTION_BYTES),
  tasks: z
    .array(
      z.strictObject({
        boxes: z.array(bytesUpTo(BOX_BYTES)).min(1).max(8),
        bundle: bytesUpTo(INLINE_BUNDLE_BYTES).nullable(),
        note: bytesUpTo(4096),
        /** Sealed parts of values and files that travel, PUT before: hash and size of each. */
        parts: z
          .array(z.strictObject({ hash: bytes32, size: whole.max(MAX_BLOB_BYTES) }))
          .max(MAX_PARTS)
          .default([])
      })
    )
    .min(1)
    .max(64)
})
export type Submit = z.infer<typeof submitSchema>

/** Later cells of one session: what a provider keeps in memory of each is a hash. */
export const MAX_SESSION_CELLS = 10_000
/** A later cell of a session (R33). Its sealed bytes come along where they are small, else they were PUT before, as its parts were. */
export const cellSubmitSchema = z.strictObject({
  cell: sessionCellSchema,
  sealed: bytesUpTo(INLINE_BUNDLE_BYTES).nullable(),
  parts: z
    .array(z.strictObject({ hash: bytes32, size: whole.max(MAX_BLOB_BYTES) }))
    .max(MAX_PARTS)
    .default([])
})
export type CellSubmit = z.infer<typeof cellSubmitSchema>
/** How many cells the session's newest run has now. */
export const cellTakenSchema = z.object({ count: whole })
/** Whether the machine could be told at once; else it is when its link is back. */
export const interruptedSchema = z.object({ told: z.boolean() })
/** The in chain of a session's newest run, as its delegate signed it: who goes on with it follows it anew, and believes nobody. */
export const cellsSchema = z.object({
  attempt: whole,
  run: whole,
  cells: z.array(sessionCellSchema).max(MAX_SESSION_CELLS)
})
export type SessionCells = z.infer<typeof cellsSchema>
/** Asked before parts are sent: the same data isn't sent twice. What is there stays for an hour at least. */
export const missingRequestSchema = z.strictObject({ hashes: z.array(bytes32).max(MAX_PARTS) })
export const missingSchema = z.object({ missing: z.array(bytes32) })
export const submittedSchema = z.object({ tasks: z.array(bytes32), transaction: bytes32 })

/** Where a task stands with the bridge before the ledger knows it. */
export const BRIDGE_STATES = ['queued', 'on-ledger', 'refused'] as const

export const taskItemSchema = z.object({
  task: bytes32,
  bridge: z.enum(BRIDGE_STATES),
  /** Code of the error when `refused`. */
  code: z.string().nullable(),
  submittedAt: millis,
  /** Null until the offer is final. */
  view: taskViewSchema.nullable(),
  /** Entries in the event log. */
  entries: whole,
  note: bytesUpTo(4096)
})
export type TaskItem = z.infer<typeof taskItemSchema>
export const taskListSchema = z.object({ tasks: z.array(taskItemSchema), next: z.string().nullable() })
export const eventsSchema = z.object({ entries: z.array(logEntrySchema), end: whole })
/** Signed transactions that moved the task, oldest first, each as signed bytes; signed heads; the bridge's word. */
export const proofSchema = z.object({
  view: taskViewSchema,
  transactions: z.array(bytesUpTo(MAX_TRANSACTION_BYTES)),
  settlement: z.object({ key: bytes32, signature: bytes64 })
})
/**
 * An encoded proof of the ledger, for `verifyProof`: the bridge only passes it on. null: what it is about is unknown, its checkpoint isn't
 * kept any more, or this network makes none.
 */
export const ledgerProofAnswerSchema = z.object({ proof: bytesUpTo(MAX_PROOF_BYTES).nullable() })
/** `addresses` are where the provider dials; it names the code within ten minutes, once. */
export const inviteSchema = z.object({ code: z.string(), expires: millis, addresses: z.array(z.string()) })
export type Invite = z.infer<typeof inviteSchema>
export const transactionViewSchema = z.object({ bytes: bytesUpTo(MAX_TRANSACTION_BYTES), outcome: outcomeSchema })

/** What a client signs to get a token: bound to this bridge, so that it can't be replayed to another. */
export const tokenMessage = (
  bridge: Uint8Array,
  challenge: Uint8Array,
  account: Uint8Array,
  key: Uint8Array
): Uint8Array => taggedHash('pekka/token/v1', bridge, challenge, account, key)

/** What the bridge signs of a task's end: its word until ledger proofs exist (R14c). */
export const settlementMessage = (network: Uint8Array, view: TaskView): Uint8Array =>
  taggedHash('pekka/settlement/v1', network, encodeCanonical(view))
