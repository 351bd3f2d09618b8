/**
 * The witness: orders transactions, executes them by the rules of `core/ledger`, stores each commit, and serves the ledger.
 *
 * ```ts
 * const ledger = createLoneLedger({ store, signer, verifier, clock, log }, { genesis })
 * await ledger.start()
 * await serveLedger(host, ledger)               // host/network: others reach it as LedgerClient
 * const outcome = await ledger.submit(encodeSigned(signed))
 * for await (const commit of ledger.follow(-1, signal)) …
 * await ledger.stop()
 * ```
 *
 * Who orders is behind `Sequencer`; today that is one witness alone (docs/decisions/0005-one-witness.md).
 *
 * @packageDocumentation
 */
import {
  decodeCanonical,
  equalBytes,
  genesisSchema,
  quorumOf,
  trustGenesis,
  type Clock,
  type Signer
} from '@pekka/node/protocol'
import { createHashing } from '@pekka/node/host/crypto'
import { Checkpoints, loneCertifier } from './checkpoints.js'
import { LocalLedger, type LocalLedgerComponents, type LocalLedgerInit } from './local-ledger.js'
import { LoneSequencer } from './sequencer.js'

export {
  Checkpoints,
  loneCertifier,
  type Certifier,
  type CheckpointsComponents,
  type CheckpointsInit,
  type LedgerProver
} from './checkpoints.js'
export { CommitFeed } from './feed.js'
export { LocalLedger, type LocalLedgerComponents, type LocalLedgerInit } from './local-ledger.js'
export { MIN_KEPT_COMMITS, parseKeepHistory, type KeepHistory } from './keep-history.js'
export { Mempool } from './mempool.js'
export { HistoryPruner, type HistoryPrunerComponents, type HistoryPrunerInit } from './pruning.js'
export {
  LoneSequencer,
  type DecidingCommittee,
  type Decision,
  type LoneSequencerComponents,
  type Sequencer
} from './sequencer.js'
export { batchOf, commitView } from './stored-commit.js'
export { parseSettings, type WitnessSettings } from './settings.js'
export * from './constants.js'

export interface LoneLedgerComponents extends Omit<LocalLedgerComponents, 'sequencer' | 'prover'> {
  /** The witness's block key. */
  signer: Signer
  clock: Clock
  /** Default performance.now. */
  monotonic?: () => number
}

/** A ledger with one witness: this one. */
export function createLoneLedger(components: LoneLedgerComponents, init: LocalLedgerInit): LocalLedger {
  const { signer, clock, monotonic = () => performance.now() } = components
  const sequencer = new LoneSequencer({ signer, clock, monotonic })
  const prover = createProver(components, init.genesis)
  return new LocalLedger({ ...components, sequencer, ...(prover === null ? {} : { prover }) }, init)
}

/** null where the genesis doesn't let this witness sign checkpoints by itself: it would be no quorum. */
function createProver({ store, signer, log }: LoneLedgerComponents, bytes: Uint8Array): Checkpoints | null {
  const genesis = genesisSchema.parse(decodeCanonical(bytes))
  const { members } = trustGenesis(genesis)
  const own = members.find(([key]) => equalBytes(key, signer.publicKey))?.[1] ?? 0n
  if (own < quorumOf(members)) return null
  return new Checkpoints({ store, certify: loneCertifier(signer, members), hashing: createHashing(), log }, { genesis })
}
