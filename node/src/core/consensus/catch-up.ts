import { CATCH_UP_GAP, CATCH_UP_ROUNDS } from './constants.js'
import type { PeerId } from './events.js'

/** Fetching whole rounds when single parents are too slow: after a pause, a long partition, or when joining. */
export class CatchUp {
  /** The furthest that a signed block has told of. */
  #heard: { epoch: number; round: number; from: PeerId } | null = null
  #asked: { at: number; quorumRound: number; epoch: number } | null = null
  #tries = 0
  /** Who was asked, in an epoch. */
  #known = { epoch: -1, peers: new Set<PeerId>() }

  constructor(private readonly patience: number) {}

  hear(from: PeerId, epoch: number, round: number): void {
    const heard = this.#heard
    if (heard !== null && (epoch < heard.epoch || (epoch === heard.epoch && round <= heard.round))) return
    this.#heard = { epoch, round, from }
  }

  isBehind(epoch: number, quorumRound: number): boolean {
    const heard = this.#heard
    if (heard === null) return false
    return heard.epoch > epoch || (heard.epoch === epoch && heard.round > quorumRound + CATCH_UP_GAP)
  }

  /** An answer is taken in: with progress the same peer is asked on at once, without it another one after a while. */
  answered(epoch: number, quorumRound: number): void {
    const asked = this.#asked
    if (asked === null || (asked.epoch === epoch && quorumRound <= asked.quorumRound)) return
    this.#asked = null
    this.#tries = 0
  }

  /**
   * Whom to ask now, if anyone, and for rounds from which on.
   * @param undecided round of the first slot that isn't decided
   */
  next(
    now: number,
    epoch: number,
    { quorumRound, gcRound, undecided }: { quorumRound: number; gcRound: number; undecided: number },
    peers: readonly PeerId[]
  ): { to: PeerId; from: number } | null {
    if (!this.isBehind(epoch, quorumRound)) {
      this.#asked = null
      return null
    }
    if (this.#asked !== null && now < this.#asked.at + this.patience) return null
    const from = this.#heard?.from ?? null
    const to = this.#tries === 0 && from !== null ? from : peers[this.#tries % Math.max(1, peers.length)]
    const turn = Math.floor(this.#tries / Math.max(1, peers.length))
    this.#tries += 1
    // A little back: the last blocks of an epoch are named by no later ones.
    const top = Math.max(gcRound, quorumRound - CATCH_UP_GAP) + 1
    // Whoever has gone on to the next epoch may have decided by blocks of any round that isn't decided here.
    const bottom = (this.#heard?.epoch ?? 0) > epoch ? Math.min(top, Math.max(gcRound + 1, undecided)) : top
    const windows = Math.ceil((top - bottom) / CATCH_UP_ROUNDS) + 1
    const first = Math.max(bottom, top - (turn % windows) * CATCH_UP_ROUNDS)
    // Whoever told of those rounds can't show them, and nobody else knows of them: it was a lie.
    if (this.#tries > 2 * peers.length + 2) this.#heard = null
    this.#asked = { at: now, quorumRound, epoch }
    if (to === undefined) return null
    if (this.#known.epoch !== epoch) this.#known = { epoch, peers: new Set() }
    this.#known.peers.add(to)
    return { to, from: first }
  }

  /** Whether a peer was asked for rounds of an epoch. */
  hasAsked(peer: PeerId, epoch: number): boolean {
    return this.#known.epoch === epoch && this.#known.peers.has(peer)
  }

  wake(): number | null {
    return this.#asked === null ? null : this.#asked.at + this.patience
  }
}
