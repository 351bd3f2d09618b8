import type { PeerId } from './events.js'

/** Copies in a row that came too late before their sender is asked to save them: one late block may be chance. */
const LATE_COPIES = 4
/** After this a way is tried again, ms: links change. */
const TRIED_AGAIN_MS = 10_000

/** A way of one author's blocks over one peer. */
type Way = string
const wayOf = (author: string, peer: PeerId): Way => `${author}/${peer}`

/**
 * Who passes on whose blocks (after Plumtree: Leitão, Pereira, Rodrigues, SRDS 2007). An author sends its block to everyone; whoever
 * takes it in passes it on to those who haven't asked to be spared that author's. So a block comes by the fastest of all ways,
 * also around a link that is slow or cut, and after a few rounds each way that is never the first carries nothing. An
 * author's own sending is never spared: a peer that stops passing on costs nothing but time.
 *
 * Authors are named by their block keys as text, so that what is learnt outlives an epoch.
 */
export class Relay {
  /** Copies in a row that were late. */
  readonly #late = new Map<Way, number>()
  /** Until when we are spared, as we asked. */
  readonly #asked = new Map<Way, number>()
  /** Until when a peer is to be spared. */
  readonly #spared = new Map<Way, number>()

  /** Whom to pass a block on to that `from` has sent (null: it waited here for others). */
  onward(author: string, from: PeerId | null, peers: readonly PeerId[], now: number): PeerId[] {
    return peers.filter(peer => peer !== from && now >= (this.#spared.get(wayOf(author, peer)) ?? 0))
  }

  /** A peer has asked not to be sent an author's blocks. */
  spare(author: string, peer: PeerId, now: number): void {
    this.#spared.set(wayOf(author, peer), now + TRIED_AGAIN_MS)
  }

  /** A block came first over this peer. */
  first(author: string, from: PeerId): void {
    this.#late.delete(wayOf(author, from))
  }

  /** A copy came of a block that was here. Says whether to ask the sender to save the next ones. */
  again(author: string, from: PeerId, now: number): boolean {
    const way = wayOf(author, from)
    const late = (this.#late.get(way) ?? 0) + 1
    this.#late.set(way, late)
    if (late < LATE_COPIES || now < (this.#asked.get(way) ?? 0)) return false
    this.#asked.set(way, now + TRIED_AGAIN_MS)
    this.#late.delete(way)
    return true
  }

  /** Keeps only what concerns members of the committee and peers that are connected. */
  keep(authors: readonly string[], peers: readonly PeerId[]): void {
    const ways = new Set(authors.flatMap(author => peers.map(peer => wayOf(author, peer))))
    for (const map of [this.#late, this.#asked, this.#spared]) {
      for (const way of map.keys()) if (!ways.has(way)) map.delete(way)
    }
  }
}
