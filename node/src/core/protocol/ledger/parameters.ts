import { z } from 'zod'
import { policySchema } from './account.js'
import { utf8 } from '../encoding/bytes.js'
import { encodeCanonical } from '../encoding/encoding.js'
import { sha256, taggedHash } from '../encoding/hash.js'
import { bytes32, bytes64, credits, millis, whole } from '../encoding/schema.js'

/** Bandwidth credit (R30), in units of about a byte (core/ledger/bandwidth.ts). */
export const bandwidthSchema = z.strictObject({
  /** Of an account of the genesis, or of one that somebody opened with a deposit. */
  base: whole,
  /** Of an account that was opened without one. */
  freeBase: whole,
  /** More for each credit in bonds and escrows, by and by. */
  perCredit: whole,
  /** What was used is back after this, ms of the commits' time. */
  windowMs: whole.min(1),
  /** Bytes that a witness's blocks may bring in vain in a window. */
  includerBytes: whole
})
export type BandwidthParameters = z.infer<typeof bandwidthSchema>

/** Parameters of the contracts. Those in force at the offer hold for that task (PROTOCOL §8.8). Times in ms of T. */
export const parametersSchema = z.strictObject({
  id: whole,
  /** Window of one candidate, w. */
  windowMs: whole,
  /** A running attempt without `alive` for this long has lapsed. */
  leaseMs: whole,
  startWithinMs: whole,
  graceMs: whole,
  /** A session without a `tranche` for this long has lapsed (R33). */
  trancheMs: whole,
  /** W: how long a settled task can be contested. */
  contestWindowMs: whole,
  /** Contest window + longest audit + appeal (R22). */
  unbondMs: whole,
  /** Largest step of contract time a commit may take (R12). */
  maxStepMs: whole,
  /** Offers expire within this (R13). */
  maxOfferLifeMs: whole,
  /** Slice of the bond a task reserves = cap · factor / 1000 (R22). */
  sliceFactorMilli: whole,
  /** Held back from pay until CLOSED, in thousandths. */
  holdBackMilli: whole,
  /** Audit rate and levy, in millionths. */
  auditRatePpm: whole,
  levyPpm: whole,
  /** Locked per task, returned at CLOSED. */
  storageDeposit: credits,
  openDeposit: credits,
  /** Absent: transactions cost no bandwidth, as in networks of before. */
  bandwidth: bandwidthSchema.optional(),
  /** What one account may draw from a devnet's faucet in all; 0: no faucet. */
  faucetLimit: credits,
  /** Auctions (R31). Networks of before have none: there `auction-open` fails. */
  auction: z
    .strictObject({
      /** How long a winner waits for the client's offer and box before the task ends `no-key` (R4). */
      keyWithinMs: whole,
      /** A bid's deposit, in thousandths of what the auction locks. */
      depositMilli: whole.max(1000)
    })
    .optional()
})
export type Parameters = z.infer<typeof parametersSchema>

/**
 * A task costs its client some 6 Ki units and its provider none, a transfer some 900. So an hour's base is 11,000 tasks of one account, and
 * a hundred credits in bond and escrow let it run 4 a second more for ever; without a deposit it is 700 tasks.
 */
export const STANDARD_BANDWIDTH: BandwidthParameters = {
  base: 64 << 20,
  freeBase: 4 << 20,
  perCredit: 1 << 20,
  windowMs: 3_600_000,
  includerBytes: 256 << 20
}

/** The numbers of PROTOCOL §9 with the checking part switched off (audit rate, levy, slice, hold-back and deposits 0). */
export const SPINE_PARAMETERS: Parameters = {
  id: 1,
  windowMs: 3_000,
  leaseMs: 30_000,
  startWithinMs: 60_000,
  graceMs: 30_000,
  trancheMs: 600_000,
  contestWindowMs: 86_400_000,
  unbondMs: 7 * 86_400_000,
  maxStepMs: 2_000,
  maxOfferLifeMs: 120_000,
  sliceFactorMilli: 0,
  holdBackMilli: 0,
  auditRatePpm: 0,
  levyPpm: 0,
  storageDeposit: 0n,
  openDeposit: 0n,
  bandwidth: STANDARD_BANDWIDTH,
  faucetLimit: 0n,
  auction: { keyWithinMs: 30_000, depositMilli: 100 }
}

/** A devnet's: W is 10 min while nothing can be contested, unbonding an hour, and there is a faucet. */
export const DEVNET_PARAMETERS: Parameters = {
  ...SPINE_PARAMETERS,
  contestWindowMs: 600_000,
  unbondMs: 3_600_000,
  faucetLimit: 1_000_000_000n
}

/**
 * How several witnesses begin to agree (core/consensus). A genesis without it names one witness, which decides alone. Numbers as in
 * `ConsensusParameters`; they hold for the whole network.
 */
export const agreementSchema = z.strictObject({
  leadersPerRound: whole.min(1).max(4),
  gcDepth: whole.min(4).max(1_000),
  epochCommits: whole.min(4),
  epochRounds: whole.min(16),
  seats: whole.min(1).max(100),
  /** For each of `witnesses`, in that order: the account that has staked on it, and the ends of its hash chains for epochs 0, 1, … (R26). */
  members: z
    .array(z.strictObject({ account: bytes32, tips: z.array(bytes32).min(2).max(8) }))
    .min(1)
    .max(100)
})
export type GenesisAgreement = z.infer<typeof agreementSchema>

/** The first state of a network. Its hash is the network's id and the first vertex of the DAG. */
export const genesisSchema = z.strictObject({
  v: z.literal(1),
  name: z.string().max(64),
  createdAt: millis,
  /** 16 random bytes, so that two networks never share an id. */
  nonce: z.custom<Uint8Array>(value => value instanceof Uint8Array && value.length === 16),
  parameters: parametersSchema,
  /** Ed25519 keys of the witnesses' blocks, with their stake. */
  witnesses: z
    .array(z.strictObject({ key: bytes32, stake: credits }))
    .min(1)
    .max(100),
  accounts: z.array(z.strictObject({ policy: policySchema, balance: credits })).max(10_000),
  /** What the faucet holds. Supply = balances + faucet (+ stakes, where a committee agrees), for ever. */
  faucet: credits,
  agreement: agreementSchema.optional(),
  /** Whose signatures the network's list of images needs (image-list.ts); absent: nobody lists any, and every image passes. */
  images: policySchema.optional()
})
export type Genesis = z.infer<typeof genesisSchema>

export const networkId = (genesis: Genesis): Uint8Array => sha256(encodeCanonical(genesis))

/** A witness's block header as followers see it: one commit of the ledger. `signature` is over blockMessage. */
export const commitHeaderSchema = z.strictObject({
  index: whole,
  timestamp: millis,
  contractTime: millis,
  previous: bytes32,
  /** Hash over the ordered transaction ids and outcomes. */
  transactionsHash: bytes32,
  witness: bytes32,
  signature: bytes64
})
export type CommitHeader = z.infer<typeof commitHeaderSchema>

/**
 * Hash of a header without its signature: what the witness signs, and the next header's `previous`. The first header's
 * `previous` is the network's id.
 */
export const blockMessage = (network: Uint8Array, header: Omit<CommitHeader, 'signature'>): Uint8Array =>
  taggedHash(
    'pekka/block/v1',
    network,
    encodeCanonical({
      index: header.index,
      timestamp: header.timestamp,
      contractTime: header.contractTime,
      previous: header.previous,
      transactionsHash: header.transactionsHash,
      witness: header.witness
    })
  )

/** `transactionsHash` of a header: over each ordered transaction's id and what became of it (empty: applied). */
export const transactionsHash = (ordered: readonly { id: Uint8Array; code: string | null }[]): Uint8Array =>
  taggedHash('pekka/ordered/v1', ...ordered.flatMap(({ id, code }) => [id, utf8(code ?? '')]))
