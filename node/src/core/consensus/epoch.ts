import { genesisReferences, type BlockKey, type OpenedBlock } from './block.js'
import { Committee } from './committee.js'
import { CommitRule } from './commit-rule.js'
import { Dag, type Known } from './dag.js'
import type { CommitRecord, EpochStart } from './events.js'
import { gcRoundAfter } from './linearise.js'
import type { ConsensusParameters, Pace } from './parameters.js'
import { RevealBook } from './randomness.js'
import type { ConsensusRules } from './rules.js'
import { LeaderSchedule } from './schedule.js'
import { Sync } from './sync.js'
import { brokenByParents, oldestWeak } from './validity.js'

export interface EpochComponents {
  network: Uint8Array
  rules: ConsensusRules
  pace: Pace
  parameters: ConsensusParameters
}

/**
 * One epoch: a DAG of its own, from round 1, with its own committee and leaders. What is undecided when its last commit is
 * made stays undecided; transactions in there go into blocks of the next epoch.
 */
export class Epoch {
  readonly committee: Committee
  readonly schedule: LeaderSchedule
  readonly parameters: ConsensusParameters
  readonly dag: Dag
  readonly rule: CommitRule
  readonly sync: Sync
  readonly #reveals: RevealBook
  /** Blocks that are committed, above the garbage line. */
  readonly #committed = new Map<BlockKey, number>()
  /** Accepted blocks with transactions that aren't committed. */
  readonly #payload = new Set<BlockKey>()
  /** Blocks that no own block has in its history. */
  readonly #uncited = new Map<BlockKey, OpenedBlock>()
  /** Of stored commits, until the garbage line is drawn. */
  #restored: Known[] = []
  #gcRound = 0
  #lastLeaderRound = 0
  #next = { round: 1, offset: 0 }

  constructor(
    readonly start: EpochStart,
    private readonly components: EpochComponents
  ) {
    const { network, rules, pace, parameters } = components
    const { epoch, members, history, timestamp: started } = start
    this.parameters = parameters
    this.committee = new Committee(epoch, members, rules.quorumOf)
    this.schedule = new LeaderSchedule(this.committee, parameters.leadersPerRound)
    this.dag = new Dag(this.committee, genesisReferences(network, epoch, history, members.length))
    const { dag, schedule } = this
    this.rule = new CommitRule({ dag, schedule, rules })
    this.#reveals = new RevealBook(this.committee)
    const reveals = this.#reveals
    this.sync = new Sync({
      dag,
      pace,
      check: block => rules.brokenRule(block, { network, epoch, dag, gcDepth: parameters.gcDepth }),
      checkParents: block => brokenByParents(block, { dag, reveals, started })
    })
  }

  get epoch(): number {
    return this.start.epoch
  }

  /** Index of its last commit, unless its rounds end first. */
  get lastIndex(): number {
    return this.start.firstIndex + this.parameters.epochCommits - 1
  }

  /** The first slot that isn't output. */
  get next(): { round: number; offset: number } {
    return this.#next
  }

  /** The garbage line as the commits give it. The DAG's own may be lower, while own blocks down there are still to be built. */
  get gcRound(): number {
    return this.#gcRound
  }

  get lastLeaderRound(): number {
    return this.#lastLeaderRound
  }

  roundsEndWith(leaderRound: number): boolean {
    return leaderRound >= this.parameters.epochRounds
  }

  /** Whether the commit with this index and leader's round is its last. */
  endsWith(index: number, leaderRound: number): boolean {
    return index >= this.lastIndex || this.roundsEndWith(leaderRound)
  }

  /** Whether accepted transactions wait for their commit. */
  get hasPayload(): boolean {
    return this.#payload.size > 0
  }

  /** Notes an accepted block. */
  accepted(block: OpenedBlock): void {
    if (block.transactions.length > 0 && !this.#committed.has(block.key)) this.#payload.add(block.key)
    this.#uncited.set(block.key, block)
  }

  /** Blocks that `leader` brings into the order; they count as committed from now on. */
  commit(leader: OpenedBlock, next: { round: number; offset: number }): OpenedBlock[] {
    const horizon = { committed: new Set(this.#committed.keys()), gcRound: this.#gcRound }
    const blocks = this.components.rules.linearise(this.dag, leader, horizon)
    for (const block of blocks) {
      this.#committed.set(block.key, block.block.round)
      this.#payload.delete(block.key)
    }
    this.#lastLeaderRound = leader.block.round
    this.#gcRound = gcRoundAfter(leader.block.round, this.parameters.gcDepth, this.#gcRound)
    this.#next = next
    for (const [key, round] of this.#committed) if (round <= this.#gcRound) this.#committed.delete(key)
    return blocks
  }

  skip(next: { round: number; offset: number }): void {
    this.#next = next
  }

  /** Takes over what a stored commit did, on a restart. What is committed was accepted by whoever committed it. */
  restore({ blocks, gcRound, leaderRound, next }: CommitRecord): void {
    for (const block of blocks) {
      this.#committed.set(block.key, block.round)
      this.#restored.push(block)
    }
    this.#gcRound = gcRound
    this.#lastLeaderRound = leaderRound
    this.#next = next
    for (const [key, round] of this.#committed) if (round <= gcRound) this.#committed.delete(key)
  }

  /** Drops what can't be committed any more, down from `keep`. Returns the blocks that never were. */
  prune(keep: number): OpenedBlock[] {
    const gone = this.dag.prune(Math.min(this.#gcRound, keep))
    for (const block of this.#restored) if (block.round <= this.dag.gcRound) this.dag.know(block)
    this.#restored = []
    for (const { key } of gone) {
      this.#uncited.delete(key)
      this.#payload.delete(key)
    }
    return gone
  }

  /** An own block is accepted: its history is cited. */
  cite(own: OpenedBlock): void {
    const stack = [own]
    for (let block = stack.pop(); block !== undefined; block = stack.pop()) {
      if (!this.#uncited.delete(block.key)) continue
      for (const { key } of [...block.parents, ...block.weak]) {
        const next = this.#uncited.get(key)
        if (next !== undefined) stack.push(next)
      }
    }
  }

  /** Blocks older than the parents that an own block of `round` with these parents would leave out (V5), the latest first. */
  leftOut(round: number, parents: ReadonlySet<BlockKey>): OpenedBlock[] {
    const covered = new Set<BlockKey>(parents)
    const cover = (from: OpenedBlock): void => {
      const stack = [from]
      for (let block = stack.pop(); block !== undefined; block = stack.pop()) {
        for (const { key } of [...block.parents, ...block.weak]) {
          const next = this.#uncited.get(key)
          if (next === undefined || covered.has(key)) continue
          covered.add(key)
          stack.push(next)
        }
      }
    }
    for (const key of parents) {
      const parent = this.#uncited.get(key)
      if (parent !== undefined) cover(parent)
    }
    const oldest = Math.max(this.#gcRound + 1, oldestWeak(round, this.parameters.gcDepth))
    const left: OpenedBlock[] = []
    const candidates = [...this.#uncited.values()].filter(({ block }) => block.round <= round - 2)
    for (const block of candidates.sort((a, b) => b.block.round - a.block.round || a.block.author - b.block.author)) {
      if (covered.has(block.key) || block.block.round < oldest) continue
      left.push(block)
      covered.add(block.key)
      cover(block)
    }
    return left
  }
}
