import { z } from 'zod'
import { auctionRowSchema, type AuctionView } from '../ledger/auction.js'
import { equalBytes, fromHex } from '../encoding/bytes.js'
import {
  certificateSchema,
  committeeSchema,
  trustNext,
  verifyCertificate,
  type Certificate,
  type Checkpoint,
  type Trust
} from './checkpoint.js'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { PekkaError } from '../errors.js'
import { imageRowSchema, type ImageRow } from '../ledger/image-record.js'
import type { Verifier } from '../primitives.js'
import { bytesUpTo } from '../encoding/schema.js'
import {
  accountRowSchema,
  askRowSchema,
  taskRowSchema,
  type AccountRow,
  type AskRow,
  type TaskRow
} from '../ledger/state.js'
import { statePathSchema, stateKey, stateRootOf, stateValue } from './state-path.js'
import {
  orderedTransactionSchema,
  transactionLeaf,
  transactionPathSchema,
  transactionsRootOf,
  type OrderedTransaction
} from './transaction-path.js'

/** Proofs of what the ledger says, checked with nothing but a committee that the reader trusts. Pure and browser-safe. */

/** Largest row of the state that is proved. A task with 8 candidates and many attempts stays far below. */
export const MAX_ROW_BYTES = 64 << 10
/** Things that one proof shows. */
export const MAX_CLAIMS = 16
/** Epochs from the trusted committee to the one that signed. Longer ways are walked in several proofs ({@link isStage}). */
export const MAX_STEPS = 64
/** Stages of a way: 4,096 epochs. */
export const MAX_STAGES = 64
/** Largest encoded proof. It is looked at before anything of it is parsed. */
export const MAX_PROOF_BYTES = 1 << 20

/** Which row of the state: its table and its key there. */
export const provenTableSchema = z.enum(['account', 'ask', 'task', 'auction', 'image'])
export type ProvenTable = z.infer<typeof provenTableSchema>

export const claimSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('row'),
    table: provenTableSchema,
    key: z.string().regex(/^[0-9a-f]{64}$/),
    /** The row's canonical bytes; null: there is none. */
    row: bytesUpTo(MAX_ROW_BYTES).nullable(),
    path: statePathSchema
  }),
  z.strictObject({ kind: z.literal('transaction'), ordered: orderedTransactionSchema, path: transactionPathSchema })
])
export type Claim = z.infer<typeof claimSchema>

export const ledgerProofSchema = z.strictObject({
  v: z.literal(1),
  /** From the epoch that the reader trusts to that of `certificate`: one certificate of each, and the committee of the next. */
  steps: z.array(z.strictObject({ certificate: certificateSchema, next: committeeSchema })).max(MAX_STEPS),
  /** The checkpoint that the claims are about. */
  certificate: certificateSchema,
  claims: z.array(claimSchema).max(MAX_CLAIMS)
})
export type LedgerProof = z.infer<typeof ledgerProofSchema>

/** Something that holds at the checkpoint. A row that is null is not there. */
export type Fact =
  | { kind: 'account'; id: Uint8Array; row: AccountRow | null }
  | { kind: 'ask'; id: Uint8Array; row: AskRow | null }
  | { kind: 'task'; id: Uint8Array; row: TaskRow | null }
  | { kind: 'auction'; id: Uint8Array; row: AuctionView | null }
  | { kind: 'image'; id: Uint8Array; row: ImageRow | null }
  | ({ kind: 'transaction' } & OrderedTransaction)

export interface Proven {
  checkpoint: Checkpoint
  /** The committee that signed it. From here a reader goes on. */
  trust: Trust
  facts: Fact[]
}

export const encodeProof = (proof: LedgerProof): Uint8Array => encodeCanonical(proof)

const refuse = (issue: string): never => {
  throw new PekkaError('PROOF_INVALID', { issue })
}

/** Nothing is verified here. @throws PekkaError ENCODING_NOT_CANONICAL, PROOF_INVALID */
export function decodeProof(bytes: Uint8Array): LedgerProof {
  if (bytes.length > MAX_PROOF_BYTES) refuse('it is too large')
  const parsed = ledgerProofSchema.safeParse(decodeCanonical(bytes))
  return parsed.success ? parsed.data : refuse('it is no proof of this version')
}

/**
 * What a proof shows to a reader who trusts one committee. It holds at the checkpoint; whether that is recent enough is for the
 * reader to judge (`checkpoint.timestamp`).
 *
 * ```ts
 * const { checkpoint, facts } = await verifyProof(bytes, trustGenesis(genesis), verifier)
 * ```
 * @throws PekkaError ENCODING_NOT_CANONICAL, PROOF_INVALID
 */
export async function verifyProof(bytes: Uint8Array, trust: Trust, verifier: Verifier): Promise<Proven> {
  const { steps, certificate, claims } = decodeProof(bytes)
  let current = trust
  let index = -1
  const follow = async (next: Certificate): Promise<Checkpoint> => {
    await verifyCertificate(next, current, verifier)
    if (next.checkpoint.index <= index) refuse('an epoch does not follow the one before')
    index = next.checkpoint.index
    return next.checkpoint
  }
  for (const step of steps) current = trustNext(await follow(step.certificate), step.next)
  const checkpoint = await follow(certificate)
  return { checkpoint, trust: current, facts: claims.map(claim => factOf(claim, checkpoint)) }
}

/**
 * Whether a proof is a stage of a longer way: it shows nothing but whom to trust MAX_STEPS epochs later, and its reader asks on from
 * there. Stages begin where multiples of MAX_STEPS begin.
 */
export const isStage = ({ steps }: Pick<LedgerProof, 'steps'>): boolean => steps.length === MAX_STEPS

/** The epoch whose committee a proof's reader must trust already. */
export const epochBefore = ({ steps, certificate }: Pick<LedgerProof, 'steps' | 'certificate'>): number =>
  (steps[0]?.certificate ?? certificate).checkpoint.epoch

/**
 * Where a way of stages leads to.
 * @throws PekkaError ENCODING_NOT_CANONICAL, PROOF_INVALID
 */
export async function verifyWay(stages: readonly Uint8Array[], from: Trust, verifier: Verifier): Promise<Trust> {
  let trust = from
  for (const stage of stages) ({ trust } = await verifyProof(stage, trust, verifier))
  return trust
}

function factOf(claim: Claim, checkpoint: Checkpoint): Fact {
  if (claim.kind === 'transaction') {
    const root = transactionsRootOf(transactionLeaf(claim.ordered), checkpoint.transactions, claim.path)
    if (!equalBytes(root, checkpoint.transactionsRoot)) refuse('the transaction is not under the checkpoint')
    return { kind: 'transaction', ...claim.ordered }
  }
  const { table, key, row, path } = claim
  const root = stateRootOf(stateKey(table, key), row === null ? null : stateValue(row), path)
  if (!equalBytes(root, checkpoint.stateRoot)) refuse('the state is not under the checkpoint')
  return parseRow(table, fromHex(key), row)
}

/** The witnesses signed the row's digest, so this fails only where the reader's version is another one than theirs. */
function parseRow(kind: ProvenTable, id: Uint8Array, bytes: Uint8Array | null): Fact {
  if (bytes === null) return { kind, id, row: null }
  try {
    const value = decodeCanonical(bytes)
    if (kind === 'account') return { kind, id, row: accountRowSchema.parse(value) }
    if (kind === 'ask') return { kind, id, row: askRowSchema.parse(value) }
    if (kind === 'auction') return { kind, id, row: auctionRowSchema.parse(value) }
    if (kind === 'image') return { kind, id, row: imageRowSchema.parse(value) }
    return { kind, id, row: taskRowSchema.parse(value) }
  } catch (cause) {
    throw new PekkaError('PROOF_INVALID', { issue: 'the row is of another version' }, { cause })
  }
}
