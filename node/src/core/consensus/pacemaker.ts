import type { OpenedBlock } from './block.js'
import type { CommitRule } from './commit-rule.js'
import type { Dag } from './dag.js'
import type { Pace } from './parameters.js'
import type { LeaderSchedule } from './schedule.js'

export interface PaceView {
  readonly dag: Dag
  readonly schedule: LeaderSchedule
  readonly rule: CommitRule
  /** Round of the block to build. */
  readonly round: number
  /** The own block before it; null in round 1. */
  readonly own: OpenedBlock | null
  /** Whether anything waits to be ordered. */
  readonly busy: boolean
}

/** Whether to build now; if not, when to look again by itself (null: when another block comes). Times in elapsed ms. */
export type PaceDecision = { build: true } | { build: false; wake: number | null }

/** When the next own block is due (ledger.md §1.3, conditions a to d). */
export class Pacemaker {
  #built: number
  /** Since when the round could have been built but for its leader. */
  #ready: { round: number; at: number } | null = null

  constructor(
    private readonly pace: Pace,
    now: number
  ) {
    this.#built = now - pace.minRoundDelay
  }

  built(now: number): void {
    this.#built = now
  }

  next(now: number, view: PaceView): PaceDecision {
    const { dag, round, busy } = view
    if (!dag.hasQuorum(round - 1)) return { build: false, wake: null }
    // Others have gone on: catch up without waiting, round by round.
    if (dag.hasQuorum(round)) return { build: true }
    if (this.#ready?.round !== round) this.#ready = { round, at: now }
    const paced = this.#built + (busy ? this.pace.minRoundDelay : this.pace.idleDelay)
    if (now < paced) return { build: false, wake: paced }
    const timeout = this.#ready.at + this.pace.leaderTimeout
    return now >= timeout || nothingToWaitFor(view) ? { build: true } : { build: false, wake: timeout }
  }
}

/**
 * Whether the round before is as good as it can get: its leaders' blocks are here; and where our block voted for a leader of the
 * round before that, so did a quorum, so that the block we build is a certificate (the reactive rule of lean-dag §11).
 */
function nothingToWaitFor({ dag, schedule, rule, round, own }: PaceView): boolean {
  const before = round - 1
  if (before === 0 || dag.authors(before).length === dag.committee.size) return true
  if (schedule.leaders(before).some(leader => dag.at(before, leader).length === 0)) return false
  if (own === null || before === 1) return true
  const leaders = schedule.leaders(before - 1).flatMap(author => dag.at(before - 1, author))
  return leaders
    .filter(leader => rule.votes(own, leader))
    .every(leader => {
      const voters = dag.inRound(before).filter(block => rule.votes(block, leader))
      return dag.committee.isQuorum(voters.map(({ block }) => block.author))
    })
}
