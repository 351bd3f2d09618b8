/** Signatures that a member of the committee may have checked a second, of what it tells of, and at once. 512 are some 3 % of a core. */
const MEMBER_PER_SECOND = 512
const MEMBER_BURST = 2_048
/** Those who have stake and no seat, together, as a member: their clients' way into the order isn't any stranger's to fill. */
export const STAKED = 'staked'
/** All other observers together: anybody can be one. */
const OBSERVERS_PER_SECOND = 256
const OBSERVERS_BURST = 1_024

/** Members remembered: more than have seats. Who is forgotten has a burst again. */
const MAX_MEMBERS = 256

/** What others may cost here by telling of transactions; beyond it their batches are dropped unread. */
export class Allowances {
  /** What each has left. Those that spent longest ago first; null: the observers. */
  readonly #left = new Map<string | null, { checks: number; at: number }>()

  constructor(private readonly monotonic: () => number) {}

  /**
   * @param peer who has a seat, by its key; STAKED; null: another observer
   * @returns false where it has less than this left; nothing is spent then
   */
  spend(peer: string | null, checks: number): boolean {
    const now = this.monotonic()
    const [perSecond, burst] =
      peer === null ? [OBSERVERS_PER_SECOND, OBSERVERS_BURST] : [MEMBER_PER_SECOND, MEMBER_BURST]
    const before = this.#left.get(peer) ?? { checks: burst, at: now }
    const left = Math.min(burst, before.checks + ((now - before.at) / 1000) * perSecond)
    const enough = left >= checks
    this.#left.delete(peer)
    this.#left.set(peer, { checks: enough ? left - checks : left, at: now })
    for (const oldest of this.#left.keys()) {
      if (this.#left.size <= MAX_MEMBERS) break
      this.#left.delete(oldest)
    }
    return enough
  }
}
