import {
  compareBytes,
  MAX_BLOCK_PAYLOAD,
  MAX_BLOCK_TRANSACTIONS,
  MAX_WEAK_REFERENCES,
  toHex,
  type BlockReference,
  type CommitVote,
  type WitnessBlock
} from '../protocol/index.js'
import { referenceTo, type OpenedBlock } from './block.js'
import { MAX_UNDECIDED_ROUNDS } from './constants.js'
import type { Epoch } from './epoch.js'
import type { Mempool } from './mempool.js'
import type { ConsensusRules } from './rules.js'

export interface Proposal {
  network: Uint8Array
  epoch: Epoch
  rules: ConsensusRules
  mempool: Mempool
  author: number
  round: number
  /** The own block before it; null in round 1. */
  own: OpenedBlock | null
  wall: number
  reveal: Uint8Array
  votes: () => CommitVote[]
}

/** The next own block, unsigned; null when it can't be built (its parents aren't a quorum). */
export function buildBlock(proposal: Proposal): WitnessBlock | null {
  const { network, epoch, rules, mempool, author, round, own, wall, reveal, votes } = proposal
  const { dag, committee } = epoch
  const parents = rules.chooseParents(dag, round, own, author)
  if (!committee.isQuorum(parents.map(parent => parent.author))) return null
  const keys = new Set(parents.map(({ id }) => toHex(id)))
  const weak = epoch.leftOut(round, keys).slice(0, MAX_WEAK_REFERENCES).map(referenceTo).sort(byPlace)
  // A block of a round that others have finished is there to keep the chain whole; it comes too late to carry anything.
  const late = dag.hasQuorum(round) || round > epoch.lastLeaderRound + MAX_UNDECIDED_ROUNDS
  const carried = late ? [] : mempool.take({ count: MAX_BLOCK_TRANSACTIONS, bytes: MAX_BLOCK_PAYLOAD })
  const times = [...keys, ...weak.map(({ id }) => toHex(id))].map(key => dag.get(key)?.block.timestamp ?? 0)
  return {
    v: 1,
    network,
    epoch: epoch.epoch,
    author,
    round,
    timestamp: Math.max(wall, epoch.start.timestamp, ...times),
    parents,
    weak,
    transactions: carried.map(({ bytes }) => bytes),
    votes: votes(),
    reveal
  }
}

const byPlace = (a: BlockReference, b: BlockReference): number =>
  a.round - b.round || a.author - b.author || compareBytes(a.id, b.id)
