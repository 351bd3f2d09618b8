import { PekkaError } from '../protocol/index.js'
import type { BlockKey, OpenedBlock } from './block.js'
import type { Dag } from './dag.js'
import type { ConsensusRules } from './rules.js'
import type { LeaderSchedule, Slot } from './schedule.js'

/** What became of a slot. `undecided` can still become either of the others; those two stay for ever, on every witness alike. */
export type Decision =
  | { readonly status: 'commit'; readonly slot: Slot; readonly leader: OpenedBlock }
  | { readonly status: 'skip'; readonly slot: Slot }
  | { readonly status: 'undecided'; readonly slot: Slot }

export interface CommitRuleComponents {
  dag: Dag
  schedule: LeaderSchedule
  rules: Pick<ConsensusRules, 'firstAnchorRound' | 'support'>
}

/**
 * Mysticeti-C's decision rule (arXiv 2310.14821, algorithms 1 to 3, with the anchors of gdanezis/lean-dag). It looks at the
 * blocks held here and at nothing else: two witnesses may see different blocks and decide at different times, never
 * differently.
 *
 * ```
 *   round r        L            the leader's block
 *   round r+1    v v v ·        votes: blocks that have L as a parent; Q authors
 *   round r+2    c c c ·        certificates: blocks whose parents hold Q votes; Q authors → L commits
 * ```
 */
export class CommitRule {
  /** Blocks that were asked about, and which leader blocks they certify: a block's parents never change. */
  readonly #certified = new WeakMap<OpenedBlock, Map<BlockKey, boolean>>()

  constructor(private readonly components: CommitRuleComponents) {}

  /** A block of round r+1 votes for a leader's block of round r by having it as a (strong) parent. */
  votes(voter: OpenedBlock, leader: OpenedBlock): boolean {
    return voter.parents.some(({ key }) => key === leader.key)
  }

  /** A block of round r+2 certifies a leader's block of round r when Q stake of the authors of its parents voted for it. */
  certifies(block: OpenedBlock, leader: OpenedBlock): boolean {
    let known = this.#certified.get(block)
    if (known === undefined) this.#certified.set(block, (known = new Map()))
    let answer = known.get(leader.key)
    if (answer === undefined) {
      const { dag } = this.components
      const parents = block.parents.flatMap(({ key }) => dag.get(key) ?? [])
      answer = this.#isQuorum(parents.filter(parent => this.votes(parent, leader)))
      known.set(leader.key, answer)
    }
    return answer
  }

  /**
   * What the two rounds after the leader's say.
   * @throws PekkaError CONSENSUS_CONFLICT when two blocks of one slot are certified: more than f stake is dishonest
   */
  direct(slot: Slot): Decision {
    const { dag } = this.components
    const { round, author } = slot
    // Author and round, not author alone: an old weak reference to the leader must not hide a blame.
    const blames = dag.inRound(round + 1).filter(({ parents }) => !parents.some(parent => parent.author === author))
    if (this.#isQuorum(blames)) return { status: 'skip', slot }
    const above = dag.inRound(round + 2)
    const certified = dag
      .at(round, author)
      .filter(leader => this.#isQuorum(above.filter(block => this.certifies(block, leader))))
    return this.#onlyOne(slot, certified) ?? { status: 'undecided', slot }
  }

  /**
   * What the first decided slot that is an anchor says: a slot of round r+3 or later. Its leader's history holds a certificate
   * or it doesn't, and every witness that decides by it sees the same history. The nearest later slot would not do: a block of
   * round r+1 or r+2 can be committed without having seen a quorum of certificates that exist.
   * @param later decisions of the slots after this one, ascending
   * @throws PekkaError CONSENSUS_CONFLICT
   */
  indirect(slot: Slot, later: readonly Decision[]): Decision {
    const { dag, rules } = this.components
    const { round, author } = slot
    const anchor = later.find(({ status, slot: s }) => s.round >= rules.firstAnchorRound(round) && status !== 'skip')
    if (anchor?.status !== 'commit') return { status: 'undecided', slot }
    const seen = dag.history(anchor.leader, round + 2).filter(({ block }) => block.round === round + 2)
    const certified = dag.at(round, author).filter(leader => seen.some(block => this.certifies(block, leader)))
    return this.#onlyOne(slot, certified) ?? { status: 'skip', slot }
  }

  /**
   * The decisions after the last one that was output: the longest run of decided slots. Later slots that are decided already
   * wait for those before them.
   * @param from the first slot that isn't output yet
   */
  decide(from: { round: number; offset: number }): Decision[] {
    const { dag, schedule } = this.components
    // Ascending; filled from the end, since an indirect decision needs the slots after it.
    let decisions: Decision[] = []
    for (let round = dag.highestRound - 2; round >= from.round; round--) {
      for (const slot of schedule.slots(round).reverse()) {
        if (round === from.round && slot.offset < from.offset) continue
        const direct = this.direct(slot)
        decisions = [direct.status === 'undecided' ? this.indirect(slot, decisions) : direct, ...decisions]
      }
    }
    const end = decisions.findIndex(({ status }) => status === 'undecided')
    return end < 0 ? decisions : decisions.slice(0, end)
  }

  #onlyOne(slot: Slot, certified: readonly OpenedBlock[]): Decision | null {
    const [leader, second] = certified
    if (second !== undefined) {
      throw new PekkaError('CONSENSUS_CONFLICT', { issue: `two certified blocks in round ${slot.round}` })
    }
    return leader === undefined ? null : { status: 'commit', slot, leader }
  }

  #isQuorum(blocks: readonly OpenedBlock[]): boolean {
    const { dag, rules } = this.components
    return rules.support(dag.committee, blocks) >= dag.committee.quorum
  }
}
