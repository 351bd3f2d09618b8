import { z } from 'zod'
import { delegateSchema, policySchema } from './account.js'
import { askSchema } from './ask.js'
import { auctionTermsSchema } from './auction.js'
import { RESERVED_BODIES } from './bodies.js'
import { concat, equalBytes, toHex, utf8 } from '../encoding/bytes.js'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { PekkaError } from '../errors.js'
import { sha256, taggedHash } from '../encoding/hash.js'
import { imageContentSchema, retireReasonSchema } from './image-record.js'
import { MAX_TRANSACTION_BYTES } from '../limits.js'
import type { Signer, Verifier } from '../primitives.js'
import { recoverySchema } from './recovery.js'
import { bytes32, bytes64, credits, millis, slug, whole } from '../encoding/schema.js'
import { sessionReportSchema } from '../task/session.js'
import { commitClaimSchema, FAIL_REASONS, offerTaskSchema } from '../task/task.js'

const attempt = whole.min(1).max(255)

/** End of a witness's hash chain for one epoch, registered before that epoch's election (R26). */
export const witnessChainSchema = z.strictObject({ epoch: whole, tip: bytes32 })
export type WitnessChain = z.infer<typeof witnessChainSchema>

/** Bodies of transactions. What each does and requires: docs/ledger.md, PROTOCOL §9. */
export const bodySchema = z.discriminatedUnion('kind', [
  /** Brings an account into being. `deposit` waits for bandwidth credit (R30) and is 0 until then. */
  z.strictObject({ kind: z.literal('open-account'), policy: policySchema, deposit: credits }),
  z.strictObject({ kind: z.literal('transfer'), to: bytes32, amount: credits }),
  z.strictObject({ kind: z.literal('set-policy'), policy: policySchema }),
  /** Who may bring the account back when its keys are lost, and how long the owner has to say no; null: nobody. Ends one under way. */
  z.strictObject({ kind: z.literal('set-recovery'), recovery: recoverySchema.nullable() }),
  /** The guardians' account: other keys for `account`, once its delay is over. */
  z.strictObject({ kind: z.literal('recover'), account: bytes32, policy: policySchema }),
  /** By the account itself, or by its guardians. */
  z.strictObject({ kind: z.literal('cancel-recovery'), account: bytes32 }),
  z.strictObject({ kind: z.literal('grant'), delegate: delegateSchema }),
  z.strictObject({ kind: z.literal('revoke'), key: bytes32 }),
  /** Devnets only: credits from the genesis faucet to the sender, bounded per account. */
  z.strictObject({ kind: z.literal('faucet'), amount: credits }),
  /**
   * Peer id and account vouch for each other: the account signs this transaction, the peer's Ed25519 key signs
   * peerVouchMessage(network, account).
   */
  z.strictObject({
    kind: z.literal('register-provider'),
    name: slug,
    operator: bytes32.nullable(),
    peerKey: bytes32,
    peerSignature: bytes64
  }),
  z.strictObject({ kind: z.literal('bond'), amount: credits }),
  z.strictObject({ kind: z.literal('unbond'), amount: credits }),
  /**
   * Credits that vouch for a witness's block key, and ends of its hash chains (R26). The key signs witnessVouchMessage(network,
   * account). `amount` 0 only registers chains.
   */
  z.strictObject({
    kind: z.literal('stake'),
    amount: credits,
    witness: bytes32,
    witnessSignature: bytes64,
    chains: z.array(witnessChainSchema).max(8)
  }),
  z.strictObject({ kind: z.literal('unstake'), amount: credits, witness: bytes32 }),
  z.strictObject({ kind: z.literal('ask'), ask: askSchema }),
  z.strictObject({ kind: z.literal('withdraw-ask'), ask: bytes32 }),
  z.strictObject({ kind: z.literal('offer'), tasks: z.array(offerTaskSchema).min(1).max(64) }),
  z.strictObject({ kind: z.literal('accept'), task: bytes32 }),
  z.strictObject({ kind: z.literal('decline'), task: bytes32 }),
  z.strictObject({ kind: z.literal('cancel'), task: bytes32 }),
  z.strictObject({
    kind: z.literal('alive'),
    task: bytes32,
    attempt,
    count: whole,
    head: bytes32,
    session: sessionReportSchema.nullable()
  }),
  z.strictObject({ kind: z.literal('fail'), task: bytes32, attempt, reason: z.enum(FAIL_REASONS) }),
  z.strictObject({ kind: z.literal('commit'), task: bytes32, attempt, claim: commitClaimSchema }),
  /** A part of a session's pay: what is claimed in all so far (R33). */
  z.strictObject({ kind: z.literal('tranche'), task: bytes32, attempt, claim: commitClaimSchema }),
  /** No more cells: the session ends as it should. */
  z.strictObject({ kind: z.literal('close'), task: bytes32 }),
  /** A task without candidates: providers bid for it, sealed (R31). `cancel` ends it. */
  z.strictObject({ kind: z.literal('auction-open'), terms: auctionTermsSchema }),
  /** A hidden price, bound to an ask; the deposit is lost where it isn't revealed. */
  z.strictObject({ kind: z.literal('auction-bid'), auction: bytes32, ask: bytes32, commitment: bytes32 }),
  z.strictObject({
    kind: z.literal('auction-reveal'),
    auction: bytes32,
    pricePerSecond: credits.refine(price => price >= 1n, 'a price is at least 1'),
    salt: bytes32
  }),
  /** The client's highest price and its cap, once bids can't change any more. */
  z.strictObject({
    kind: z.literal('auction-reserve'),
    auction: bytes32,
    pricePerSecond: credits,
    cap: credits,
    salt: bytes32
  }),
  /** Registrars of the network's images, each from its own account; the first to name a content proposes it. */
  z.strictObject({ kind: z.literal('image-propose'), digest: bytes32, content: imageContentSchema }),
  /** What was proposed, whole: nobody approves what another one changed meanwhile. */
  z.strictObject({ kind: z.literal('image-approve'), digest: bytes32, content: imageContentSchema }),
  z.strictObject({ kind: z.literal('image-retire'), digest: bytes32, reason: retireReasonSchema })
])
export type Body = z.infer<typeof bodySchema>
export type BodyOf<K extends Body['kind']> = Extract<Body, { kind: K }>

/** One vertex of the DAG (DESIGN §5). Its id is the SHA-256 of its canonical bytes, without signatures. */
export const transactionSchema = z.strictObject({
  v: z.literal(1),
  network: bytes32,
  account: bytes32,
  /** The delegate whose lane this is, or null for lane 0: the account's own policy signs (R27). */
  key: bytes32.nullable(),
  /** From 0, per lane, without gaps. */
  sequence: whole,
  /** Id of the lane's transaction before, null for the first. */
  previous: bytes32.nullable(),
  /** 1 to 8 final vertices (or the lane's previous), ascending and distinct (R29). */
  parents: z.array(bytes32).min(1).max(8),
  /** Void in commits with a later timestamp. */
  expiry: millis,
  body: bodySchema
})
export type Transaction = z.infer<typeof transactionSchema>

export const signatureSchema = z.strictObject({ key: bytes32, signature: bytes64 })
export const signedTransactionSchema = z.strictObject({
  transaction: transactionSchema,
  signatures: z.array(signatureSchema).min(1).max(16)
})
export type SignedTransaction = z.infer<typeof signedTransactionSchema>

/** Canonical bytes of the two fields alone, also when more (an id) stands beside them. */
export const encodeSigned = ({ transaction, signatures }: SignedTransaction): Uint8Array =>
  encodeCanonical({ transaction, signatures })

/**
 * Reads canonical bytes. Signatures are not verified here.
 * @throws PekkaError ENCODING_NOT_CANONICAL, BODY_NOT_YET (a reserved body), TRANSACTION_INVALID
 */
export function decodeSigned(bytes: Uint8Array): SignedTransaction {
  if (bytes.length > MAX_TRANSACTION_BYTES) throw new PekkaError('TRANSACTION_INVALID', { issue: 'too large' })
  const value = decodeCanonical(bytes)
  const parsed = signedTransactionSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const kind = bodyKind(value)
  if (typeof kind === 'string' && (RESERVED_BODIES as readonly string[]).includes(kind)) {
    throw new PekkaError('BODY_NOT_YET', { body: kind })
  }
  const issue = parsed.error.issues[0]
  throw new PekkaError('TRANSACTION_INVALID', { issue: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}` })
}

const bodyKind = (value: unknown): unknown => {
  const shape = z.object({ transaction: z.object({ body: z.object({ kind: z.string() }) }) }).safeParse(value)
  return shape.success ? shape.data.transaction.body.kind : undefined
}

export const transactionId = (transaction: Transaction): Uint8Array => sha256(encodeCanonical(transaction))

/** What is signed: a domain tag, the network and the id of the canonical bytes. */
export const signingMessage = (transaction: Transaction): Uint8Array =>
  taggedHash('pekka/tx/v1', transaction.network, transactionId(transaction))

/** Signs with every signer; for lane 0 they are keys of the policy, else the delegate alone. */
export async function signTransaction(transaction: Transaction, signers: Signer[]): Promise<SignedTransaction> {
  const message = signingMessage(transaction)
  const signatures = await Promise.all(
    signers.map(async signer => ({ key: signer.publicKey, signature: await signer.sign(message) }))
  )
  return { transaction, signatures }
}

/** Whether every signature on it holds and no key signed twice. Whether the keys suffice is the ledger's matter. */
export const verifySignatures = async (signed: SignedTransaction, verifier: Verifier): Promise<boolean> =>
  (await verifiedId(signed, verifier)) !== null

/**
 * The transaction's id where {@link verifySignatures} holds, else null: both need the canonical bytes.
 * @param bytes that `signed` was read from by {@link decodeSigned}, so that it needn't be encoded again
 */
export async function verifiedId(
  { transaction, signatures }: SignedTransaction,
  verifier: Verifier,
  bytes?: Uint8Array
): Promise<Uint8Array | null> {
  const id = sha256(bytes === undefined ? encodeCanonical(transaction) : transactionPart(bytes, signatures.length))
  const message = taggedHash('pekka/tx/v1', transaction.network, id)
  const [only, ...more] = signatures
  if (only !== undefined && more.length === 0) {
    return (await verifier.verify(only.key, message, only.signature)) ? id : null
  }
  if (new Set(signatures.map(({ key }) => toHex(key))).size !== signatures.length) return null
  const results = await Promise.all(signatures.map(s => verifier.verify(s.key, message, s.signature)))
  return results.every(Boolean) ? id : null
}

/** Before the transaction in canonical signed bytes: a map of two, its first key, and an array of at most 16 signatures. */
const SIGNATURES_AT = 1 + 1 + 'signatures'.length + 1
/** A map of two: "key" and 32 bytes, "signature" and 64. */
const SIGNATURE_BYTES = 1 + (1 + 3) + (2 + 32) + (1 + 9) + (2 + 64)
const TRANSACTION_KEY = concat(new Uint8Array([0x60 + 'transaction'.length]), utf8('transaction'))

/**
 * The canonical bytes of the transaction as they stand in canonical signed ones, where they come last.
 * @throws TypeError when these aren't such bytes
 */
function transactionPart(bytes: Uint8Array, signatures: number): Uint8Array {
  const at = SIGNATURES_AT + signatures * SIGNATURE_BYTES
  if (!equalBytes(bytes.subarray(at, at + TRANSACTION_KEY.length), TRANSACTION_KEY)) {
    throw new TypeError('not the bytes that the transaction was read from')
  }
  return bytes.subarray(at + TRANSACTION_KEY.length)
}

/** Decodes and verifies in one go, for whoever receives a transaction from outside. */
export async function openSigned(
  bytes: Uint8Array,
  verifier: Verifier
): Promise<SignedTransaction & { id: Uint8Array }> {
  const signed = decodeSigned(bytes)
  const id = await verifiedId(signed, verifier, bytes)
  if (id === null) throw new PekkaError('SIGNATURE_INVALID')
  return { ...signed, id }
}

/** The peer's half of the mutual vouching: its Ed25519 peer key signs this. */
export const peerVouchMessage = (network: Uint8Array, account: Uint8Array): Uint8Array =>
  taggedHash('pekka/peer/v1', network, account)

/** A block key's half: it signs this, so that nobody stakes on a key that isn't theirs. */
export const witnessVouchMessage = (network: Uint8Array, account: Uint8Array): Uint8Array =>
  taggedHash('pekka/witness/v1', network, account)
