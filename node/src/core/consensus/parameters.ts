/** Settings that all witnesses of a network share. A change takes effect with the first epoch that begins under it. */
export interface ConsensusParameters {
  /** Leader slots in each round. */
  readonly leadersPerRound: number
  /**
   * Rounds below the last committed leader in which blocks can still be committed (60 in Sui, 4 to 5 s). Older ones are
   * dropped, by every witness at the same commit.
   */
  readonly gcDepth: number
  /** Commits in an epoch. */
  readonly epochCommits: number
  /** An epoch also ends with the first commit in this round or a later one: hash chains have an end. */
  readonly epochRounds: number
  /** Seats of elected committees. */
  readonly seats: number
}

/**
 * An hour at ten commits a second. Hash chains of 2^17 links last three times as long as that, so that skipped leaders don't
 * end the epoch; they take 32 bytes · √(2^17) of memory when kept with checkpoints.
 */
export const STANDARD_PARAMETERS: ConsensusParameters = {
  leadersPerRound: 1,
  gcDepth: 60,
  epochCommits: 36_000,
  epochRounds: 120_000,
  seats: 21
}

/** Settings that each witness chooses for itself; no two need agree. */
export interface Pace {
  /** How long a missing leader, or missing votes for the last one, hold up a round, ms. At least 2Δ and processing. */
  readonly leaderTimeout: number
  /** Shortest time between own blocks while there is work, ms. 0 for a devnet. */
  readonly minRoundDelay: number
  /** Time between own blocks while there is none, ms. Contract time needs a commit a second while timers are pending (R12). */
  readonly idleDelay: number
  /** How far a timestamp may be ahead of our clock, ms; later ones wait (V7). */
  readonly maxDrift: number
  /** A block that isn't answered by a new round within this is sent again, ms. */
  readonly resendAfter: number
  /** Missing blocks are asked for again, elsewhere, after this, ms. */
  readonly requestAfter: number
}

/**
 * Sui's leader timeout (200 ms) and drift (500 ms). Its round delay of 50 ms is as long as many a link and held rounds up; with
 * 25 ms a committee on one computer still makes no more than 40 rounds a second.
 */
export const STANDARD_PACE: Pace = {
  leaderTimeout: 200,
  minRoundDelay: 25,
  idleDelay: 1_000,
  maxDrift: 500,
  resendAfter: 400,
  requestAfter: 200
}

/** What changes at known commit indices: the rules in force at a commit are a function of its index, on every witness. */
export class Upgrades<T> {
  readonly #steps: readonly { from: number; value: T }[]

  /** @param steps ascending by `from`, the first from 0. @throws TypeError */
  constructor(steps: readonly { from: number; value: T }[]) {
    const ascending = steps.every(({ from }, i) => from > (steps[i - 1]?.from ?? -1))
    if (steps[0]?.from !== 0 || !ascending) throw new TypeError('upgrades begin at 0 and ascend')
    this.#steps = steps
  }

  /** Version number (from 0) and value in force at a commit. */
  at(index: number): { version: number; value: T } {
    let version = 0
    this.#steps.forEach(({ from }, i) => {
      if (from <= index) version = i
    })
    const step = this.#steps[version]
    if (step === undefined) throw new TypeError('no rules')
    return { version, value: step.value }
  }
}
