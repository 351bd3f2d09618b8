/**
 * How witnesses agree on one order: Mysticeti-C (arXiv 2310.14821) over Canonchain's shape, pure. Witnesses write blocks in
 * rounds; a block names a quorum of blocks of the round before, and these references are the only votes. Final after three
 * message delays, safe whatever the network does while less than a third of the stake is dishonest. One witness runs the same
 * code as twenty.
 *
 * ```ts
 * const consensus = new Consensus({ revealChain }, { network, key, upgrades, pace: STANDARD_PACE, resume })
 * for (const effect of consensus.handle({ type: 'start', peers }, now)) await carryOut(effect)
 * ```
 *
 * `Consensus` is a witness: events in, effects out (events.ts). `CommitRule`, `Dag`, `linearise` and the others are its parts.
 * docs/ledger.md tells the rule in plain words; README.md how a host drives it.
 *
 * @packageDocumentation
 */
export { genesisReferences, openedBlock, referenceTo } from './block.js'
export type { BlockKey, Link, OpenedBlock, PayloadTransaction } from './block.js'
export { Committee, elect, standardQuorum, type Member } from './committee.js'
export { CommitRule, type Decision } from './commit-rule.js'
export { Consensus, type ConsensusComponents, type ConsensusInit, type Resume } from './consensus.js'
export * from './constants.js'
export { Dag } from './dag.js'
export type { Commit, CommitRecord, ConsensusEvent, Effect, Elected, EpochStart, Instant, PeerId } from './events.js'
export { commitTimestamp, gcRoundAfter, linearise, orderTransactions, type Horizon } from './linearise.js'
export { FairQueue, type Lane, type Waiting } from './fair-queue.js'
export { Mempool } from './mempool.js'
export { Pacemaker, type PaceDecision, type PaceView } from './pacemaker.js'
export { STANDARD_PACE, STANDARD_PARAMETERS, Upgrades, type ConsensusParameters, type Pace } from './parameters.js'
export {
  advanceBeacon,
  drawFor,
  drawKind,
  firstBeacon,
  RevealBook,
  RevealChain,
  type BeaconState
} from './randomness.js'
export { Relay } from './relay.js'
export { STANDARD_RULES, type ConsensusRules } from './rules.js'
export { Spread } from './spread.js'
export { rankOf, Standby } from './standby.js'
export { LeaderSchedule, type Slot } from './schedule.js'
export { Sync, type Received } from './sync.js'
export { brokenByParents, brokenRule, byPlace } from './validity.js'
export { CommitVotes } from './votes.js'
