import type { BlockKey, Link, OpenedBlock } from './block.js'
import {
  KNOWN_ROUNDS,
  MAX_EARLY_BLOCKS,
  MAX_EARLY_MS,
  MAX_MORE_BYTES,
  MAX_MORE_PER_MEMBER,
  MAX_REQUEST_IDS,
  MAX_ROUNDS_AHEAD,
  MAX_SOURCES,
  MAX_SUSPENDED_PER_AUTHOR,
  MAX_UNSOLICITED_PER_SLOT
} from './constants.js'
import { knownOf, type Dag } from './dag.js'
import type { Instant, PeerId } from './events.js'
import type { Pace } from './parameters.js'

export interface SyncComponents {
  dag: Dag
  /** V1 to V6. */
  check: (block: OpenedBlock) => string | null
  /** V7 and V8, once everything it refers to is here. */
  checkParents: (block: OpenedBlock) => string | null
  pace: Pace
}

/** What came of blocks that arrived: those that are accepted now, parents first, and those that break a rule. */
export interface Received {
  accepted: OpenedBlock[]
  /** Accepted too, but below the garbage line: they only matter as parents. */
  late: OpenedBlock[]
  broken: { block: OpenedBlock; rule: string }[]
}

interface Suspended {
  block: OpenedBlock
  missing: Set<BlockKey>
}

interface Wanted {
  /** Ids of the suspended blocks that wait for it. */
  readonly children: Set<BlockKey>
  /** Who sent them, and so should have it, in that order. Empty: they came from our own disk. */
  readonly sources: Set<PeerId>
  askAt: number
  tries: number
}

/**
 * Takes in blocks in any order and hands them on with parents before children (V8): what lacks parents waits for them, in
 * bounds, and they are asked for: from those who sent a child, in turn, then from one peer after another.
 */
export class Sync {
  readonly #suspended = new Map<BlockKey, Suspended>()
  readonly #wanted = new Map<BlockKey, Wanted>()
  /** Blocks taken from a member's answers beyond those that anyone may send for a slot. */
  readonly #more = new Map<string, { blocks: number; bytes: number }>()
  /** Blocks whose time hasn't come yet by our clock (V7). */
  readonly #early = new Map<BlockKey, { block: OpenedBlock; from: PeerId | null }>()

  constructor(private readonly components: SyncComponents) {}

  /** Blocks that wait for others or for their time. */
  get size(): number {
    return this.#suspended.size + this.#early.size
  }

  /** Whether a block is here, accepted or waiting. */
  has(block: OpenedBlock): boolean {
    return this.components.dag.find(block) !== undefined || this.#suspended.has(block.key) || this.#early.has(block.key)
  }

  /** Another peer sent a block that waits here: it should have what we lack of it. */
  alsoFrom(block: OpenedBlock, from: PeerId): void {
    for (const key of this.#suspended.get(block.key)?.missing ?? []) {
      const sources = this.#wanted.get(key)?.sources
      if (sources !== undefined && sources.size < MAX_SOURCES) sources.add(from)
    }
  }

  /**
   * @param from null: our own disk
   * @param seat block key of the member in whose answer to a question of ours it came; null: it came otherwise
   */
  receive(block: OpenedBlock, from: PeerId | null, now: Instant, seat: string | null = null): Received {
    const received: Received = { accepted: [], late: [], broken: [] }
    this.#take(block, from, now, received, seat)
    return received
  }

  /** Time has passed, or the garbage line has moved: what waited for its time goes on, what is too old goes. */
  review(now: Instant): Received {
    const received: Received = { accepted: [], late: [], broken: [] }
    for (const [key, { block, from }] of this.#early) {
      if (block.block.timestamp > now.wall + this.components.pace.maxDrift) continue
      this.#early.delete(key)
      this.#take(block, from, now, received)
    }
    for (const [key, { block }] of this.#suspended) if (this.#isForgotten(block)) this.#drop(key)
    return received
  }

  /** Requests that are due, by peer. `peers`: whoever is connected, in an order of the caller's. */
  requests(now: number, peers: readonly PeerId[]): { to: PeerId; keys: BlockKey[] }[] {
    const byPeer = new Map<PeerId, BlockKey[]>()
    for (const [key, wanted] of this.#wanted) {
      if (now < wanted.askAt) continue
      wanted.askAt = now + this.components.pace.requestAfter
      const sources = [...wanted.sources].filter(peer => peers.includes(peer))
      // Each block begins elsewhere in the list, so that a few silent peers don't hold up all of them in turn.
      const to = sources[wanted.tries] ?? peers[(wanted.tries + placeOf(key)) % peers.length]
      wanted.tries += 1
      if (to === undefined) continue
      const keys = byPeer.get(to) ?? []
      if (keys.length < MAX_REQUEST_IDS) byPeer.set(to, [...keys, key])
    }
    return [...byPeer].map(([to, keys]) => ({ to, keys }))
  }

  /** When something is due by itself, in elapsed ms; null: nothing. */
  wake(now: Instant): number | null {
    let at = Infinity
    for (const { askAt } of this.#wanted.values()) at = Math.min(at, askAt)
    for (const { block } of this.#early.values()) {
      at = Math.min(at, now.elapsed + block.block.timestamp - this.components.pace.maxDrift - now.wall)
    }
    return at === Infinity ? null : Math.max(at, now.elapsed + 1)
  }

  #take(block: OpenedBlock, from: PeerId | null, now: Instant, received: Received, seat: string | null = null): void {
    const { dag, check, pace } = this.components
    const { round, author, timestamp } = block.block
    if (this.has(block)) return
    if (this.#isForgotten(block) || round > dag.quorumRound + MAX_ROUNDS_AHEAD) return
    // An equivocator's further blocks for a slot are only taken when somebody built on them, also where they are too late to count; or
    // when a member has them whose answer may let us decide what it has decided. What is on our disk was taken by these rules before.
    const more =
      from !== null && !this.#wanted.has(block.key) && dag.versions(round, author) >= MAX_UNSOLICITED_PER_SLOT
    if (more && (seat === null || round <= dag.gcRound || !this.#mayTakeMore(seat, block))) return
    const rule = check(block)
    if (rule !== null) return void received.broken.push({ block, rule })
    if (timestamp > now.wall + pace.maxDrift) {
      const waits = timestamp <= now.wall + MAX_EARLY_MS && this.#early.size < MAX_EARLY_BLOCKS
      if (waits) this.#early.set(block.key, { block, from })
      return
    }
    const missing = [...block.parents, ...block.weak].filter(link => !dag.holds(link))
    if (missing.length === 0) this.#accept(block, received)
    else this.#suspend(block, missing, from, now)
  }

  /** Counts it. */
  #mayTakeMore(seat: string, { bytes }: OpenedBlock): boolean {
    const taken = this.#more.get(seat) ?? { blocks: 0, bytes: 0 }
    if (taken.blocks >= MAX_MORE_PER_MEMBER || taken.bytes + bytes.length > MAX_MORE_BYTES) return false
    this.#more.set(seat, { blocks: taken.blocks + 1, bytes: taken.bytes + bytes.length })
    return true
  }

  /** So far below the garbage line that nobody remembers what it refers to. */
  #isForgotten({ block }: OpenedBlock): boolean {
    return block.round <= this.components.dag.gcRound - KNOWN_ROUNDS
  }

  #suspend(block: OpenedBlock, missing: readonly Link[], from: PeerId | null, now: Instant): void {
    const { author, round } = block.block
    const same = [...this.#suspended.values()].filter(other => other.block.block.author === author)
    if (same.length >= MAX_SUSPENDED_PER_AUTHOR) {
      // The highest round is of least use; it comes again when it is wanted.
      const highest = same.reduce((a, b) => (a.block.block.round >= b.block.block.round ? a : b))
      if (highest.block.block.round <= round) return
      this.#drop(highest.block.key)
    }
    this.#suspended.set(block.key, { block, missing: new Set(missing.map(({ key }) => key)) })
    // It may well be on its way: links deliver in different times.
    const askAt = now.elapsed + this.components.pace.requestAfter / 8
    for (const { key } of missing) {
      const wanted: Wanted = this.#wanted.get(key) ?? { children: new Set(), sources: new Set(), askAt, tries: 0 }
      wanted.children.add(block.key)
      if (from !== null && wanted.sources.size < MAX_SOURCES) wanted.sources.add(from)
      this.#wanted.set(key, wanted)
    }
  }

  #accept(first: OpenedBlock, received: Received): void {
    const { dag, checkParents } = this.components
    const ready = [first]
    for (let block = ready.pop(); block !== undefined; block = ready.pop()) {
      const rule = checkParents(block)
      if (rule !== null) {
        received.broken.push({ block, rule })
        continue
      }
      if (block.block.round <= dag.gcRound) {
        dag.know(knownOf(block))
        received.late.push(block)
      } else {
        dag.add(block)
        received.accepted.push(block)
      }
      ready.push(...this.#release(block.key))
    }
  }

  /** Suspended blocks that lacked only this one. */
  #release(key: BlockKey): OpenedBlock[] {
    const released: OpenedBlock[] = []
    for (const child of this.#wanted.get(key)?.children ?? []) {
      const suspended = this.#suspended.get(child)
      suspended?.missing.delete(key)
      if (suspended?.missing.size !== 0) continue
      this.#suspended.delete(child)
      released.push(suspended.block)
    }
    this.#wanted.delete(key)
    return released
  }

  #drop(key: BlockKey): void {
    const suspended = this.#suspended.get(key)
    this.#suspended.delete(key)
    for (const missing of suspended?.missing ?? []) {
      const wanted = this.#wanted.get(missing)
      wanted?.children.delete(key)
      if (wanted?.children.size === 0) this.#wanted.delete(missing)
    }
  }
}

/** A number from a block's id. */
const placeOf = (key: BlockKey): number => Number.parseInt(key.slice(0, 6), 16)
