import type { WitnessBlock } from '@pekka/node/protocol'
import type { ConsensusRules, Effect, OpenedBlock } from '@pekka/node/consensus'
import { LeaderSchedule, Committee } from '@pekka/node/consensus'
import type { Links } from './network.js'
import { Witness } from './witness.js'
import { World, type Outcome } from './world.js'

/**
 * The schedule that shows why rounds must not be jumped (Qiu, Xiao, Shao, S&P 2026), with seven witnesses of which two are
 * dishonest:
 *
 * ```
 *   round        2k        2k+1       2k+2       2k+3
 *   honest 1–4   b b b b   b b b b    b b b b    b b b b
 *   honest 5     b         –          b          –         hears even rounds late and odd ones at once: jumps over odd ones
 *   dishonest    b b       b b        b b        b b       never vote for a leader, never certify one, are late as leaders
 * ```
 *
 * Every round has its quorum of blocks, but one of any two rounds has only four honest ones: a leader of an even round gets four
 * votes, one of an odd round four certificates, and five are needed. No delay is longer than 95 ms. Nobody ever commits. With
 * the standard rule the fifth writes the rounds it missed as soon as it hears, and its votes come in time.
 */
const SIZE = 7
const FOLLOWER = 6
const DISHONEST = [0, 1]
const FAST = 5
const SLOW = 95
/** How late a dishonest leader's block is sent, ms: after everybody has given it up. */
const HELD_BACK = 450

const links: Links = {
  delay: (_from, to, round) => (to === FOLLOWER && round !== null && round % 2 === 0 ? SLOW : FAST),
  loses: () => false
}

/** Votes for no leader and certifies none, as far as its blocks stay valid. */
class Avoider extends Witness {
  override get honest(): boolean {
    return false
  }

  protected override propose({ block }: Extract<Effect, { type: 'propose' }>): void {
    this.signed(this.world.identities.seal(this.key, this.#avoiding(block)))
  }

  protected override broadcast(block: OpenedBlock): void {
    const { epoch, round, author } = block.block
    if (!this.#leaders(epoch, round).includes(author)) return super.broadcast(block)
    this.world.agenda.after(HELD_BACK, () => super.broadcast(block))
  }

  #avoiding(block: WitnessBlock): WitnessBlock {
    const [own, ...others] = block.parents
    if (own === undefined) return block
    const leaders = this.#leaders(block.epoch, block.round - 1)
    const wanted = others.filter(({ author }) => !leaders.includes(author))
    const first = [...wanted].sort(
      (a, b) => Number(DISHONEST.includes(b.author)) - Number(DISHONEST.includes(a.author))
    )
    const chosen = first.slice(0, 4)
    if (chosen.length < 4) return block
    return { ...block, weak: [], parents: [own, ...chosen.sort((a, b) => a.author - b.author)] }
  }

  #leaders(epoch: number, round: number): readonly number[] {
    const members = this.world.membersOf(epoch)
    return members === undefined || round < 1 ? [] : new LeaderSchedule(new Committee(epoch, members)).leaders(round)
  }
}

/** One world under that schedule. */
export const runChase = (seed: number, rules?: ConsensusRules, traced = false): Outcome =>
  new World({
    seed,
    witnesses: SIZE,
    faults: [],
    rules,
    traced,
    script: {
      links,
      witness: (world, index, key) => (DISHONEST.includes(index) ? new Avoider(world, index, key) : null)
    }
  }).run()
