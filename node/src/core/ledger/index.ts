/**
 * The ledger's rules, pure: what a transaction, a timer and a commit do to the state (PROTOCOL §9, rules R1, R2, R9–R13, R22,
 * R27–R29). No clock but contract time, no randomness, no network, no disk; equal inputs give equal bytes everywhere.
 *
 * ```ts
 * const state = genesisState(createDevnetGenesis({ createdAt, nonce, witness, demo, providers }))
 * const transaction = await verifyTransaction(bytes, verifier)
 * const commit = executeCommit(state, { timestamp, transactions: [transaction], witness, isFinal: () => false })
 * state.write(commit.writes)
 * accountView(state, account)?.balance
 * ```
 *
 * `executeCommit` is one commit; `apply` is one transaction in it. States are read through `Reader`, changed through
 * `View`; `brokenInvariants` says what is wrong with one. docs/ledger.md tells the whole.
 *
 * @packageDocumentation
 */
export { apply, type Applied } from './apply.js'
export { judge, type Judgement } from './admit.js'
export type { LaneTip } from './authorize.js'
export { executeCommit, toOutcome, type CommitInput, type CommitResult, type VerifiedTransaction } from './commit.js'
export {
  createDevnetGenesis,
  FAUCET_CREDITS,
  genesisState,
  PRACTICE_CREDITS,
  PROVIDER_CREDITS,
  type DevnetInit
} from './genesis.js'
export {
  BUCKETS,
  bucketFor,
  bucketOf,
  capOf,
  FREE_ALIVE_MS,
  isPrepaid,
  isWasteful,
  refuseUnpaid,
  ROW_UNITS,
  SIGNATURE_UNITS,
  TASK_UNITS,
  unitsAt,
  unitsOf
} from './bandwidth.js'
export { brokenInvariants } from './invariant.js'
export * from './proofs/index.js'
export {
  accountView,
  auctionView,
  laneHead,
  liveAsks,
  openAuctions,
  pending,
  providerView,
  registeredImages,
  runningFor,
  taskView,
  timeView
} from './queries.js'
export { decodeRow, encodeRow, laneKey, TABLE_NAMES, TABLES, type Row, type Table } from './rows.js'
export { candidatesFor, type Candidate } from './stake.js'
export type { Context, LedgerEvent, Sender, Step } from './step.js'
export {
  anyLeft,
  bidDeposit,
  fits,
  isOut,
  levyOn,
  lockFor,
  sliceOf,
  USAGE_TOLERANCE_MS,
  windowOpens
} from './task/index.js'
export { verifyTransaction } from './verify.js'
export { MemoryState, Overlay, scan, type KeyRange, type Reader, type View, type Write } from './view.js'
export * from './constants.js'
