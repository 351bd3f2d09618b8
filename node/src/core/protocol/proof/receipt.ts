import { z } from 'zod'
import { signedHeadSchema, runHeaderSchema } from '../task/frames.js'
import { manifestEnvelopeSchema } from '../task/manifest.js'
import { MAX_TRANSACTION_BYTES } from '../limits.js'
import { MAX_PROOF_BYTES, MAX_STAGES } from './proof.js'
import { bytes32, bytes64, bytesUpTo, millis } from '../encoding/schema.js'
import { storedSchema, taskViewSchema } from '../task/task.js'

/** Largest genesis of a receipt: some thousand accounts. */
const MAX_GENESIS_BYTES = 1 << 20

/**
 * Receipt v1: proof of how a task was run and paid. It holds the evidence itself, so `pekka verify FILE` checks every
 * signature and hash from it alone; whatever is said twice must agree, so one changed byte anywhere is found. Stored as
 * canonical dag-cbor, shown as JSON. Unknown fields are refused.
 */
const receiptV1Schema = z.strictObject({
  v: z.literal(1),
  network: bytes32,
  /** The ledger's state of the task, as the bridge says (R14c), with its signature over settlementMessage. */
  view: taskViewSchema,
  bridge: z.strictObject({ key: bytes32, signature: bytes64 }),
  /** Signed transactions that moved the task, oldest first: offer, accept, …, commit. */
  transactions: z.array(bytesUpTo(MAX_TRANSACTION_BYTES)).min(1).max(1024),
  /** Run header, last signed head, manifest and blind of the committed run; null where nothing was committed. */
  run: z
    .strictObject({
      header: runHeaderSchema,
      head: signedHeadSchema,
      manifest: manifestEnvelopeSchema,
      /** H(HKDF(task key,'digest') ‖ root): the opening's D, so that no task key stands in a receipt. */
      digest: bytes32
    })
    .nullable(),
  stored: storedSchema.nullable(),
  /** Who may re-run it and how it was checked: not re-run in this version. */
  checked: z.literal('not-rerun'),
  /** How audits would be drawn; without a proof that is all there was. */
  draw: z.literal('single witness'),
  madeAt: millis,
  /** SHA-256 of the canonical bytes of all fields above. */
  digest: bytes32
})

/** Receipt v2: v1 with the ledger's proof in it, so that its payment rests on the witnesses' signatures. */
const receiptV2Schema = receiptV1Schema.extend({
  v: z.literal(2),
  /** Who would draw audits (R26): those who signed the proof, or the one of them there is, who knows every draw before. */
  draw: z.enum(['single witness', 'committee']),
  ledger: z.strictObject({
    /** Canonical bytes of the genesis, whose hash is `network`: it names who signed, first of all. */
    genesis: bytesUpTo(MAX_GENESIS_BYTES),
    /** An encoded proof (proof.ts): of the task's row, or once it is closed of the transaction that moved it last. */
    proof: bytesUpTo(MAX_PROOF_BYTES),
    /** Stages of the way from the genesis' committee to where the proof begins (verifyWay); left out: it begins there. */
    way: z.array(bytesUpTo(MAX_PROOF_BYTES)).min(1).max(MAX_STAGES).optional()
  })
})

/** Receipts of both versions: old ones still verify. */
export const receiptSchema = z.discriminatedUnion('v', [receiptV1Schema, receiptV2Schema])
export type Receipt = z.infer<typeof receiptSchema>
