import { linearise, referenceTo, STANDARD_RULES, type ConsensusRules } from '@pekka/node/consensus'
import type { Fault } from './faults.js'

/** A plausible mistake in one rule, and where it shows. */
export interface Mutant {
  /** What is wrong. */
  mistake: string
  rules: ConsensusRules
  /** Faults under which it is looked for. */
  faults: readonly Fault[] | 'all'
  /** Found within this many seeds from 0 on, with four witnesses. */
  within: number
  /** Runs in the scripted world of chase.ts instead. */
  scripted?: boolean
}

const change = (rules: Partial<ConsensusRules>): ConsensusRules => ({ ...STANDARD_RULES, ...rules })

/** Each rule of the standard ones replaced by something that looks as good. Production code has no branch for any of this. */
export const MUTANTS: Readonly<Record<string, Mutant>> = {
  'nearest-anchor': {
    mistake: 'any later slot is an anchor, not only those of round r+3 and later',
    rules: change({ firstAnchorRound: round => round + 1 }),
    faults: ['equivocate', 'drop'],
    within: 50
  },
  'weak-quorum': {
    mistake: 'f+1 stake is a quorum',
    rules: change({ quorumOf: total => Math.floor((total - 1) / 3) + 1 }),
    faults: 'all',
    within: 20
  },
  'count-blocks': {
    mistake: 'support counts blocks, so an equivocator counts several times',
    rules: change({
      support: (committee, blocks) => blocks.reduce((sum, { block }) => sum + committee.weight(block.author), 0)
    }),
    faults: ['equivocate', 'spam', 'withhold'],
    within: 100
  },
  'duplicate-authors': {
    mistake: 'no V2: a block may name two blocks of one author, and honest ones name all they have',
    rules: change({
      brokenRule: (block, context) => {
        const rule = STANDARD_RULES.brokenRule(block, context)
        return rule?.startsWith('V2') ? null : rule
      },
      chooseParents: (dag, round, own, author) => {
        if (round === 1 || own === null) return STANDARD_RULES.chooseParents(dag, round, own, author)
        const others = dag.inRound(round - 1).filter(block => block.key !== own.key)
        return [own, ...others].map(referenceTo)
      }
    }),
    faults: ['equivocate', 'withhold'],
    within: 100
  },
  'round-jump': {
    mistake: 'a witness that hears of a later complete round goes on from there',
    rules: change({
      nextRound: (own, dag) => Math.max(own, dag.quorumRound) + 1,
      brokenRule: (block, context) => {
        const rule = STANDARD_RULES.brokenRule(block, context)
        return rule?.startsWith('V4') ? null : rule
      },
      chooseParents: (dag, round, own, author) => {
        if (round === 1 || own?.block.round === round - 1) {
          return STANDARD_RULES.chooseParents(dag, round, own, author)
        }
        return dag.authors(round - 1).flatMap(a =>
          dag
            .at(round - 1, a)
            .slice(0, 1)
            .map(referenceTo)
        )
      }
    }),
    faults: [],
    within: 1,
    scripted: true
  },
  'local-gc': {
    mistake: 'the garbage line follows the highest round that is here, not the commits',
    rules: change({
      linearise: (dag, leader, { committed, gcRound }) =>
        linearise(dag, leader, { committed, gcRound: Math.max(gcRound, dag.highestRound - 8) })
    }),
    faults: 'all',
    within: 50
  },
  amnesia: {
    mistake: 'a witness that forgot its last proposal writes on at once',
    rules: change({ returnsIn: () => 0 }),
    faults: ['wipe'],
    within: 50
  },
  'schedule-off-by-one': {
    mistake: 'an epoch may have one commit more, if it is decided in the same go as its last',
    rules: change({ truncate: (decisions, left) => STANDARD_RULES.truncate(decisions, left + 1) }),
    faults: ['committee', 'drop'],
    within: 150
  }
}
