import { STANDARD_PACE, STANDARD_PARAMETERS } from '@pekka/node/consensus'
import { World } from './world.js'

/** Committees that are measured, and in how many worlds each: larger ones give more transactions' times a world. */
const COMMITTEES = [
  { witnesses: 4, seeds: 8 },
  { witnesses: 10, seeds: 3 },
  { witnesses: 20, seeds: 2 }
]
/** Virtual ms of a world without faults: some 80 rounds. */
const LENGTH = 6_000
/** Longer chains than a world has rounds would only take time to make. */
const EPOCH_ROUNDS = 200

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/**
 * Finality in link delays (docs/ledger.md has the definition): the median time from a client's submission at one witness to the
 * transaction's commit on that witness's disk, over the mean one-way delay of all links of the world; medians of several worlds.
 * No faults, the standard pace and parameters; every ordered pair of witnesses has a delay of its own from 20 to 100 ms.
 *
 * `delay_ratio_nN`: those links. `equal_ratio_nN`: all links of a world have the same delay, so that waiting for a quorum costs
 * nothing beside the message delays themselves.
 */
export function delayRatios(kinds: readonly ('delay' | 'equal')[] = ['delay', 'equal']): Record<string, number> {
  const figures: Record<string, number> = {}
  for (const kind of kinds) {
    const equalLinks = kind === 'equal'
    for (const { witnesses, seeds } of COMMITTEES) {
      const ratios: number[] = []
      for (let seed = 0; seed < seeds; seed++) {
        const parameters = { ...STANDARD_PARAMETERS, seats: witnesses, epochRounds: EPOCH_ROUNDS }
        const init = { seed, witnesses, faults: [], length: LENGTH, parameters, pace: STANDARD_PACE, equalLinks }
        const { finality, delay, violations } = new World(init).run()
        if (violations.length > 0) throw new Error(`seed ${seed}: ${violations[0]?.check}`)
        ratios.push(...finality.map(time => time / delay))
      }
      figures[`${kind}_ratio_n${witnesses}`] = Math.round(median(ratios) * 100) / 100
    }
  }
  return figures
}
