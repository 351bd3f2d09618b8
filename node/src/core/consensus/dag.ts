import type { BlockReference } from '../protocol/index.js'
import { MAX_WITNESSES, toHex } from '../protocol/index.js'
import type { BlockKey, Link, OpenedBlock } from './block.js'
import type { Committee } from './committee.js'
import { KNOWN_ROUNDS } from './constants.js'

/** What stays of a block below the garbage line: enough to check blocks that refer to it. */
export interface Known {
  readonly key: BlockKey
  readonly author: number
  readonly round: number
  readonly timestamp: number
}

/**
 * The accepted blocks of one epoch above the garbage line, and what is known of those below it. Everything a block refers to
 * is accepted before it, also below the line: garbage lines differ between witnesses, and a reference to nothing that one of
 * them lets pass as too old could hold up another for ever.
 */
export class Dag {
  readonly #blocks = new Map<BlockKey, OpenedBlock>()
  /** By round, then author: the blocks of that slot, in order of acceptance. */
  readonly #rounds = new Map<number, OpenedBlock[][]>()
  readonly #genesis: ReadonlySet<BlockKey>
  readonly #known = new Map<BlockKey, Known>()
  /** How many of them each slot has, where it has any. */
  readonly #knownAt = new Map<number, number>()
  #gcRound = 0
  #highestRound = 0
  #quorumRound = 0

  constructor(
    readonly committee: Committee,
    /** Round 0. */
    readonly genesis: readonly BlockReference[]
  ) {
    this.#genesis = new Set(genesis.map(({ id }) => toHex(id)))
  }

  /** Blocks of this round and below are gone; nothing there can be committed any more. */
  get gcRound(): number {
    return this.#gcRound
  }

  get highestRound(): number {
    return this.#highestRound
  }

  /** The highest round of which a quorum of authors is here. */
  get quorumRound(): number {
    return this.#quorumRound
  }

  /** Blocks held. */
  get size(): number {
    return this.#blocks.size
  }

  /** Blocks below the line of which something is known. */
  get knownSize(): number {
    return this.#known.size
  }

  get(key: BlockKey): OpenedBlock | undefined {
    return this.#blocks.get(key)
  }

  /** What a link names, if it was accepted. */
  find({ key }: Pick<Link, 'key'>): Known | undefined {
    const block = this.#blocks.get(key)
    return block === undefined ? this.#known.get(key) : knownOf(block)
  }

  /** Whether what a link names was accepted (V8). */
  holds({ key, round }: Link): boolean {
    return round === 0 ? this.#genesis.has(key) : this.#blocks.has(key) || this.#known.has(key)
  }

  /** Notes an accepted block below the garbage line. */
  know(block: Known): void {
    if (!this.#known.has(block.key)) this.#count(block, 1)
    this.#known.set(block.key, block)
  }

  add(block: OpenedBlock): void {
    const { author, round } = block.block
    let slots = this.#rounds.get(round)
    if (slots === undefined) this.#rounds.set(round, (slots = this.committee.members.map(() => [])))
    slots[author]?.push(block)
    this.#blocks.set(block.key, block)
    this.#highestRound = Math.max(this.#highestRound, round)
    if (round > this.#quorumRound && this.committee.isQuorum(this.authors(round))) this.#quorumRound = round
  }

  /** Blocks of one author in one round: more than one is equivocation. */
  at(round: number, author: number): readonly OpenedBlock[] {
    return this.#rounds.get(round)?.[author] ?? []
  }

  /** How many blocks of one author in one round were accepted, above the garbage line and below. */
  versions(round: number, author: number): number {
    return this.at(round, author).length + (this.#knownAt.get(slotOf({ round, author })) ?? 0)
  }

  /** All blocks of a round, by author. */
  inRound(round: number): OpenedBlock[] {
    return (this.#rounds.get(round) ?? []).flat()
  }

  /** Authors with a block in a round, ascending. */
  authors(round: number): number[] {
    if (round === 0) return this.genesis.map(({ author }) => author)
    const authors: number[] = []
    this.#rounds.get(round)?.forEach((blocks, author) => {
      if (blocks.length > 0) authors.push(author)
    })
    return authors
  }

  hasQuorum(round: number): boolean {
    return this.committee.isQuorum(this.authors(round))
  }

  /**
   * The causal history of a block, itself included, down to and with `lowest`, without what `stop` says and what is below it.
   * Iterative: a history can be as deep as the garbage depth.
   */
  history(from: OpenedBlock, lowest: number, stop: (block: OpenedBlock) => boolean = () => false): OpenedBlock[] {
    const found: OpenedBlock[] = []
    const seen = new Set<BlockKey>([from.key])
    const stack = [from]
    for (let block = stack.pop(); block !== undefined; block = stack.pop()) {
      found.push(block)
      for (const links of [block.parents, block.weak]) {
        for (const { key, round } of links) {
          if (round < lowest || seen.has(key)) continue
          seen.add(key)
          const next = this.#blocks.get(key)
          if (next !== undefined && !stop(next)) stack.push(next)
        }
      }
    }
    return found
  }

  /** Drops rounds up to `round`. Returns what is gone. */
  prune(round: number): OpenedBlock[] {
    const gone: OpenedBlock[] = []
    for (; this.#gcRound < round;) {
      this.#gcRound += 1
      for (const block of this.inRound(this.#gcRound)) {
        this.#blocks.delete(block.key)
        this.know(knownOf(block))
        gone.push(block)
      }
      this.#rounds.delete(this.#gcRound)
    }
    for (const block of this.#known.values()) {
      if (block.round > this.#gcRound - KNOWN_ROUNDS) continue
      this.#known.delete(block.key)
      this.#count(block, -1)
    }
    // What is below the line counts as complete: nobody needs it any more.
    this.#quorumRound = Math.max(this.#quorumRound, this.#gcRound)
    this.#highestRound = Math.max(this.#highestRound, this.#gcRound)
    return gone
  }

  #count(block: Known, change: number): void {
    const slot = slotOf(block)
    const count = (this.#knownAt.get(slot) ?? 0) + change
    if (count > 0) this.#knownAt.set(slot, count)
    else this.#knownAt.delete(slot)
  }
}

/** A slot as a number. */
const slotOf = ({ round, author }: Pick<Known, 'round' | 'author'>): number => round * MAX_WITNESSES + author

export const knownOf = ({ key, block: { author, round, timestamp } }: OpenedBlock): Known => ({
  key,
  author,
  round,
  timestamp
})
