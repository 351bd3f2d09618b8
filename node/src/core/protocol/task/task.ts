import { z } from 'zod'
import { OUTCOMES } from './events.js'
import { imageRefSchema, limitsSchema, resourcesSchema } from '../ledger/image.js'
import { bytes16, bytes32, bytes64, credits, millis, whole } from '../encoding/schema.js'
import { holdPrice, inChainSchema, sessionClaimSchema, sessionTermsSchema } from './session.js'

/** One provider the client would let run the task, in order of preference, at its published price (R1). */
export const candidateSchema = z.strictObject({
  provider: bytes32,
  ask: bytes32,
  pricePerSecond: credits,
  /** The ask's, where the offer is for a session; else null. */
  holdPricePerSecond: holdPrice
})
export type Candidate = z.infer<typeof candidateSchema>

/** Who may re-run the task to check it (R17). */
export const AUDIT_POLICIES = ['allowed', 'same-organisation', 'never'] as const
export type AuditPolicy = (typeof AUDIT_POLICIES)[number]

/** The public terms of a task: one entry of an `offer`. The escrow locks cap + levy + storage deposit. */
export const offerTaskSchema = z.strictObject({
  /** objectId(account, nonce): chosen before sealing (R13). */
  task: bytes32,
  nonce: bytes16,
  candidates: z.array(candidateSchema).min(1).max(8),
  image: imageRefSchema,
  resources: resourcesSchema,
  limits: limitsSchema,
  /** SHA-256 and size of the sealed bundle. */
  bundle: z.strictObject({ hash: bytes32, size: whole }),
  /** H(task ‖ task key): a key that does not match is refused, so one ciphertext cannot open to two programs (R5). */
  keyCommit: bytes32,
  /** The client's X25519 public key of this task: frames are sealed to it (R5). */
  readKey: bytes32,
  /** Micro-credits that the client pays at most, a 1-2-5 step (R37). */
  cap: credits,
  audit: z.enum(AUDIT_POLICIES),
  /** Contract time by which it must have been accepted; null: only `startWithin` counts. */
  finishBy: millis.nullable(),
  /** The machine is kept for later cells (R33); null: it ends with its program. */
  session: sessionTermsSchema.nullable(),
  // Fields of later parts; empty until then.
  replicas: z.literal(1),
  fixedPrice: z.null(),
  datasets: z.array(z.never()),
  checkpoint: z.null(),
  gang: z.null()
})
export type OfferTask = z.infer<typeof offerTaskSchema>

/** Bridge's signed word that it has a run's frames up to `count` on disk (R8). */
export const storedSchema = z.strictObject({ key: bytes32, count: whole, head: bytes32, signature: bytes64 })
export type Stored = z.infer<typeof storedSchema>

export const REASONS = ['no-provider', 'provider-lost', 'cancelled', 'stopped', 'not-rerun'] as const
/** Why a task ended as it did. */
export type EndReason = (typeof REASONS)[number]

/** Why a provider gave an attempt up: never free text on the ledger (R37). */
export const FAIL_REASONS = ['sandbox', 'bundle', 'resources', 'shutdown', 'internal'] as const
export type FailReason = (typeof FAIL_REASONS)[number]

export const ledgerUsageSchema = z.strictObject({ wallMs: whole, cpuMs: whole })

export const commitClaimSchema = z.strictObject({
  /** c of R15. */
  commitment: bytes32,
  run: whole,
  /** Number of frames and hash of the chain over them (R7). */
  count: whole,
  head: bytes32,
  usage: ledgerUsageSchema,
  outcome: z.enum(OUTCOMES),
  stored: storedSchema.nullable(),
  /** null where the offer is for no session. */
  session: sessionClaimSchema.nullable()
})
export type CommitClaim = z.infer<typeof commitClaimSchema>

/** States of PROTOCOL §9. In this version `committed` lasts no longer than its own commit. */
export const TASK_STATES = ['offered', 'running', 'stopping', 'committed', 'settled', 'refunded', 'closed'] as const
export type TaskState = (typeof TASK_STATES)[number]

/** What the ledger knows of a session's time, by the provider's `alive` and `tranche`. Times in ms of T. */
export const sessionProgressSchema = z.strictObject({
  /** As the last `alive` said. */
  in: inChainSchema,
  cells: whole,
  /** T of that `alive`, of the accept before the first: nothing after it is paid (R33). */
  aliveT: millis,
  /** T since when it is known to wait; null while a cell runs. */
  idleSince: millis.nullable(),
  /** Time in which it surely waited, and in which a cell surely ran: both ends of it say so. */
  idleMs: whole,
  busyMs: whole,
  /** T of the last tranche, of the accept before the first. */
  trancheT: millis,
  /** The last tranche's claim, cumulative, and its transaction. */
  tranche: z.strictObject({ claim: commitClaimSchema, transaction: bytes32 }).nullable()
})
export type SessionProgress = z.infer<typeof sessionProgressSchema>

/** How one attempt went. */
export const attemptSchema = z.strictObject({
  provider: bytes32,
  candidate: whole,
  /** Commit timestamp and contract time of the accept. */
  acceptedAt: millis,
  acceptedT: millis,
  /** null while it is the current one. */
  ended: z.enum(['committed', 'failed', 'lapsed', 'cancelled']).nullable(),
  reason: z.enum(FAIL_REASONS).nullable(),
  claim: commitClaimSchema.nullable(),
  /** What `alive` said last. */
  count: whole,
  head: bytes32.nullable(),
  /** null where the offer is for no session. */
  session: sessionProgressSchema.nullable()
})
export type Attempt = z.infer<typeof attemptSchema>

/** A task as the ledger's state says it; what an API shows of it. */
export const taskViewSchema = z.strictObject({
  task: bytes32,
  account: bytes32,
  /** Key of the delegate that sent the offer. */
  lane: bytes32,
  state: z.enum(TASK_STATES),
  reason: z.enum(REASONS).nullable(),
  /** Attempts so far; the last is current while state is running or stopping. */
  attempts: z.array(attemptSchema),
  declined: z.array(whole),
  offer: offerTaskSchema,
  /** Contract time of entry to this state and of the state's timer. */
  since: millis,
  deadline: millis.nullable(),
  offeredAt: millis,
  cancelledAt: millis.nullable(),
  /** Commit timestamp at which its session was ended: by the client, or by the ledger once its waiting time or its life was over. */
  sessionEndedAt: millis.nullable(),
  lock: credits,
  paid: credits,
  refunded: credits,
  levy: credits,
  deposit: credits,
  slice: credits,
  /** Id of the parameters in force at the offer. */
  parameters: whole,
  /** Ids of the transactions that moved it, oldest first. */
  transactions: z.array(bytes32)
})
export type TaskView = z.infer<typeof taskViewSchema>

/** The attempt that counts now: the last one. */
export const currentAttempt = (task: TaskView): Attempt | undefined => task.attempts.at(-1)

/** Whether nothing more will happen to the money or the result. */
export const isEnded = (state: TaskState): boolean => state === 'settled' || state === 'refunded' || state === 'closed'

/** Pay for a usage at a price: ceil(price · ms / 1000), at most the cap (PROTOCOL §9). */
export const priceOf = (pricePerSecond: bigint, wallMs: number, cap: bigint): bigint =>
  chargeOf({ pricePerSecond, holdPricePerSecond: null }, { wallMs, heldMs: 0 }, cap)

/** What a claim costs: the time that it ran, and for a session the time that it waited at its own price; at most the cap (R33). */
export function chargeOf(
  { pricePerSecond, holdPricePerSecond }: Pick<Candidate, 'pricePerSecond' | 'holdPricePerSecond'>,
  { wallMs, heldMs }: { wallMs: number; heldMs: number },
  cap: bigint
): bigint {
  const due = (pricePerSecond * BigInt(wallMs) + (holdPricePerSecond ?? 0n) * BigInt(heldMs) + 999n) / 1000n
  return due < cap ? due : cap
}

/** Smallest of 1, 2, 5 × 10^k that is not below `amount` (R37). */
export function roundUpCap(amount: bigint): bigint {
  for (let power = 1n; ; power *= 10n) {
    for (const step of [1n, 2n, 5n]) if (step * power >= amount) return step * power
  }
}
