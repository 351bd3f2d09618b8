import type { Committee } from './committee.js'
import { TURNS_PER_MEMBER } from './constants.js'

/** One place in the order that a leader's block can fill. Slots are ordered by round, then offset. */
export interface Slot {
  readonly round: number
  /** From 0 to leaders per round − 1. */
  readonly offset: number
  /** The leader: index in the committee. */
  readonly author: number
}

/**
 * Who leads which round of an epoch: a fixed cycle in which everyone's turns are in proportion to stake and spread evenly
 * (smooth weighted round robin; with equal stakes plain round robin). Leaders of one round are distinct.
 */
export class LeaderSchedule {
  readonly #cycle: readonly (readonly number[])[]

  constructor(
    committee: Committee,
    readonly leadersPerRound = 1
  ) {
    const perRound = Math.min(leadersPerRound, committee.size)
    const credit = committee.members.map(() => 0)
    const cycle: number[][] = []
    for (let turn = 0; turn < TURNS_PER_MEMBER * committee.size; turn++) {
      const chosen: number[] = []
      while (chosen.length < perRound) chosen.push(nextTurn(committee, credit, chosen))
      cycle.push(chosen)
    }
    this.#cycle = cycle
  }

  /** Leaders of a round ≥ 1, by offset. */
  leaders(round: number): readonly number[] {
    return this.#cycle[(round - 1) % this.#cycle.length] ?? []
  }

  slots(round: number): Slot[] {
    return this.leaders(round).map((author, offset) => ({ round, offset, author }))
  }
}

/** Everyone earns its weight; who has earned most takes the turn and pays for all. */
function nextTurn(committee: Committee, credit: number[], taken: readonly number[]): number {
  let best = -1
  for (let author = 0; author < committee.size; author++) {
    credit[author] = (credit[author] ?? 0) + committee.weight(author)
    if (taken.includes(author)) continue
    if (best < 0 || (credit[author] ?? 0) > (credit[best] ?? 0)) best = author
  }
  credit[best] = (credit[best] ?? 0) - committee.total
  return best
}
