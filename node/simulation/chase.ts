import { sha256, utf8 } from '@pekka/node/protocol'
import {
  Committee,
  CommitRule,
  Dag,
  genesisReferences,
  LeaderSchedule,
  openedBlock,
  referenceTo,
  STANDARD_RULES,
  type ConsensusRules,
  type OpenedBlock
} from '@pekka/node/consensus'

/**
 * The schedule that shows why rounds must not be jumped (after Qiu, Xiao, Shao, S&P 2026), with seven witnesses of which two are
 * dishonest:
 *
 * ```
 *   round        2k+1       2k+2       2k+3       2k+4
 *   honest 2–5   b b b b    b b b b    b b b b    b b b b    in time
 *   honest 6     b          –          b          –          hears of round 2k+1 late, when 2k+2 is complete: jumps over 2k+2
 *   dishonest    b b        b b        b b        b b        vote for no leader, certify none, come late as leaders
 * ```
 *
 * Every round has its quorum of blocks, but in every second one only four are honest: a leader of an odd round gets four votes,
 * one of an even round four certificates, and five are needed. No delay is longer than one round. Nobody ever commits. Under the
 * standard rule the sixth writes the round that it missed as soon as it hears of it, while the others still wait for votes.
 */
const SIZE = 7
const FOLLOWER = 6
const PROMPT = [2, 3, 4, 5]
const DISHONEST = [0, 1]
const ROUNDS = 60

const NETWORK = sha256(utf8('chase'))

/** Plays the schedule under some rules. Returns how many leaders are committed in its 60 rounds, and which rule a block broke. */
export function playChase(rules: ConsensusRules = STANDARD_RULES): { commits: number; broken: string | null } {
  const members = Array.from({ length: SIZE }, (_, i) => ({ key: sha256(utf8(`w${i}`)), stake: 1n, tip: NETWORK }))
  const committee = new Committee(0, members, rules.quorumOf)
  const schedule = new LeaderSchedule(committee)
  const dag = new Dag(committee, genesisReferences(NETWORK, 0, NETWORK, SIZE))
  const rule = new CommitRule({ dag, schedule, rules })
  const own = new Map<number, OpenedBlock>()
  let broken: string | null = null

  const write = (author: number, round: number, without: readonly number[] = []): void => {
    const chosen = rules.chooseParents(dag, round, own.get(author) ?? null, author)
    const wanted = chosen.filter(parent => parent.author === author || !without.includes(parent.author))
    const parents = committee.isQuorum(wanted.map(parent => parent.author)) ? wanted : chosen
    const place = { v: 1 as const, network: NETWORK, epoch: 0, author, round, timestamp: round }
    const block = openedBlock(
      {
        block: { ...place, parents, weak: [], transactions: [], votes: [], reveal: NETWORK },
        signature: new Uint8Array(64)
      },
      []
    )
    broken ??= rules.brokenRule(block, { network: NETWORK, epoch: 0, dag, gcDepth: ROUNDS })
    own.set(author, block)
    dag.add(block)
  }

  for (let round = 1; round <= ROUNDS; round++) {
    const leaders = schedule.leaders(round - 1)
    // A dishonest leader's block came when everyone had given it up.
    const late = leaders.filter(leader => DISHONEST.includes(leader))
    const follow = (): void => {
      for (let next = nextOf(); next <= round; next = nextOf()) write(FOLLOWER, next, late)
    }
    const nextOf = (): number => rules.nextRound(own.get(FOLLOWER)?.block.round ?? 0, dag)
    const before = dag.inRound(round - 1).map(referenceTo)
    if (round % 2 === 1) follow()
    for (const author of PROMPT) write(author, round, late)
    // Neither the leader nor, beside three others, anyone: five parents of which at most three are honest.
    for (const author of DISHONEST)
      write(author, round, round === 1 ? [] : [...leaders, ...surplus(before.length, leaders)])
    if (round % 2 === 0) follow()
  }
  const commits = rule.decide({ round: 1, offset: 0 }).filter(({ status }) => status === 'commit').length
  return { commits, broken }
}

/** Honest authors that a dishonest one leaves out beside the leader, so that five parents are left. */
function surplus(available: number, leaders: readonly number[]): number[] {
  const others = [...PROMPT, FOLLOWER].filter(author => !leaders.includes(author))
  return others.slice(0, Math.max(0, available - leaders.length - 5))
}
