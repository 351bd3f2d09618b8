import { compareBytes, MAX_WITNESSES, toHex } from '../protocol/index.js'

/** One witness of an epoch. */
export interface Member {
  /** Ed25519 key of its blocks, 32 bytes. */
  key: Uint8Array
  /** Micro-credits that vouch for it; its weight in every count. */
  stake: bigint
  /** End of its hash chain for this epoch, registered before the epoch (R26). */
  tip: Uint8Array
}

/** All weights of a committee add up to less than this, so that they are exact as numbers: 2^53. The supply is below 2^43. */
const MAX_TOTAL = Number.MAX_SAFE_INTEGER

/**
 * Stake of distinct authors that two of which always share an honest one: S − ⌊(S−1)/3⌋. With one witness it is that witness.
 */
export const standardQuorum = (total: number): number => total - Math.floor((total - 1) / 3)

/** Who writes blocks in one epoch, with what weight. Authors are indices into `members`. */
export class Committee {
  /** S: all stake. */
  readonly total: number
  /** Q: see {@link standardQuorum}. */
  readonly quorum: number
  /** Most stake that may be dishonest: S − Q. */
  readonly faulty: number
  readonly #weights: readonly number[]
  readonly #indices: ReadonlyMap<string, number>

  /** @throws TypeError when there is nobody, somebody twice, or a stake that isn't positive */
  constructor(
    readonly epoch: number,
    readonly members: readonly Member[],
    quorumOf: (total: number) => number = standardQuorum
  ) {
    if (members.length === 0 || members.length > MAX_WITNESSES) throw new TypeError('a committee has 1 to 100 members')
    this.#weights = members.map(({ stake }) => Number(stake))
    this.#indices = new Map(members.map(({ key }, index) => [toHex(key), index]))
    this.total = this.#weights.reduce((sum, weight) => sum + weight, 0)
    if (this.#indices.size !== members.length) throw new TypeError('a committee names a witness twice')
    if (members.some(({ stake }) => stake <= 0n) || this.total > MAX_TOTAL) throw new TypeError('a stake out of range')
    this.quorum = quorumOf(this.total)
    this.faulty = this.total - standardQuorum(this.total)
  }

  get size(): number {
    return this.members.length
  }

  weight(author: number): number {
    return this.#weights[author] ?? 0
  }

  /** Stake of distinct authors, however often each is named. */
  stakeOf(authors: Iterable<number>): number {
    let stake = 0
    for (const author of new Set(authors)) stake += this.weight(author)
    return stake
  }

  isQuorum(authors: Iterable<number>): boolean {
    return this.stakeOf(authors) >= this.quorum
  }

  /** Index of a block key; null: not a member. */
  indexOf(key: Uint8Array): number | null {
    return this.#indices.get(toHex(key)) ?? null
  }
}

/**
 * Who of the candidates sits in the next committee: those with most stake, ties by key, in the order of their keys, so that
 * equal states elect equal committees. The election for epoch e+2 reads the state after the last commit of epoch e.
 */
export function elect(candidates: readonly Member[], seats: number): Member[] {
  const willing = candidates.filter(({ stake }) => stake > 0n)
  willing.sort((a, b) => (a.stake === b.stake ? compareBytes(a.key, b.key) : a.stake > b.stake ? -1 : 1))
  return willing.slice(0, Math.min(seats, MAX_WITNESSES)).sort((a, b) => compareBytes(a.key, b.key))
}
