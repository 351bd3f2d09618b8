import type { BlockReference } from '../protocol/index.js'
import { referenceTo, type OpenedBlock } from './block.js'
import type { Committee } from './committee.js'
import { standardQuorum } from './committee.js'
import type { Decision } from './commit-rule.js'
import { WAVE } from './constants.js'
import type { Dag } from './dag.js'
import { linearise, type Horizon } from './linearise.js'
import { brokenRule, type Context } from './validity.js'

/**
 * The rules on which safety and liveness rest, each a pure function with a name. Witnesses run {@link STANDARD_RULES}; the
 * simulator replaces one at a time by a plausible mistake, and must find out.
 */
export interface ConsensusRules {
  /** Q for a total stake S. */
  quorumOf(total: number): number
  /** Stake behind some blocks. */
  support(committee: Committee, blocks: readonly OpenedBlock[]): number
  /** First round whose leaders can be anchors for a slot of `round`. */
  firstAnchorRound(round: number): number
  /** The first of V1 to V6 that a block breaks by itself; null: none. */
  brokenRule(block: OpenedBlock, context: Context): string | null
  /** What a block of `round` votes for. `own`: the author's block before it. */
  chooseParents(dag: Dag, round: number, own: OpenedBlock | null, author: number): BlockReference[]
  /** The round of the next own block. */
  nextRound(ownRound: number, dag: Dag): number
  /** What a committed leader brings into the order. */
  linearise(dag: Dag, leader: OpenedBlock, horizon: Horizon): OpenedBlock[]
  /** Decisions of an epoch that has `left` commits to go. */
  truncate(decisions: readonly Decision[], left: number): readonly Decision[]
  /**
   * The first epoch in which a witness may write blocks that has lost its last one.
   * @param heard the epoch of the first quorum that it heard since; null: it hasn't heard one yet
   */
  returnsIn(heard: number | null): number
}

export const STANDARD_RULES: ConsensusRules = {
  quorumOf: standardQuorum,

  /** Authors count, not blocks: an equivocator has as many blocks as it likes. */
  support: (committee, blocks) => committee.stakeOf(blocks.map(({ block }) => block.author)),

  /** In rounds r+1 and r+2 votes and certificates are still being made. */
  firstAnchorRound: round => round + WAVE,

  brokenRule,

  /** Own block first (V4), then of each author the block that was accepted first (V2). */
  chooseParents: (dag, round, own, author) => {
    if (round === 1) return ownFirst([...dag.genesis], author)
    const first = dag.authors(round - 1).flatMap(a => (a === author ? [] : dag.at(round - 1, a).slice(0, 1)))
    return own === null ? [] : [own, ...first].map(referenceTo)
  },

  /** Never jump: with jumps there are endless runs without a commit (Qiu, Xiao, Shao, S&P 2026). */
  nextRound: ownRound => ownRound + 1,

  linearise,

  /** The commit that ends the epoch is the last, however many more were decided in one go. */
  truncate: (decisions, left) => {
    let commits = 0
    return decisions.filter(({ status }) => (status === 'commit' ? ++commits : commits + 1) <= left)
  },

  /**
   * Blocks of a former life may be anywhere; writing others for the same rounds would be equivocation. It was at most one epoch
   * ahead of everyone else, so the second epoch after the one heard of is new to it.
   */
  returnsIn: heard => (heard === null ? Infinity : heard + 2)
}

const ownFirst = (references: BlockReference[], author: number): BlockReference[] => [
  ...references.filter(reference => reference.author === author),
  ...references.filter(reference => reference.author !== author)
]
