import type { Agenda } from './queue.js'
import type { Random } from './random.js'

export interface Links {
  /** One-way delay between two nodes, ms: each pair has its own mean, each message some of its own. */
  delay(from: number, to: number): number
  /** Whether a message sent now is lost. */
  loses(from: number, to: number): boolean
}

/** Links whose mean delays are spread over 20 to 100 ms, with a tenth of jitter; `equal`: one delay for all. */
export function spreadLinks(
  random: Random,
  nodes: number,
  lossRate: () => number,
  equal = false
): Links & { mean: number } {
  const one = equal ? random.between(20, 100) : null
  const means = Array.from({ length: nodes }, () => Array.from({ length: nodes }, () => one ?? random.between(20, 100)))
  const apart = means.flatMap((row, from) => row.filter((_, to) => from !== to))
  return {
    mean: apart.length === 0 ? 0 : apart.reduce((sum, mean) => sum + mean, 0) / apart.length,
    delay: (from, to) => (means[from]?.[to] ?? 50) * (0.95 + 0.1 * random.real()) + (random.chance(0.02) ? 40 : 0),
    loses: () => random.chance(lossRate())
  }
}

/** Carries messages between nodes: late, out of order, not at all; never over a partition, never to a later life of a node. */
export class Network {
  /** Which side of a partition a node is on. */
  #sides: readonly number[] = []
  /** Lives of nodes: a connection ends with either of its ends. */
  readonly #lives = new Map<number, number>()

  constructor(
    private readonly agenda: Agenda,
    private readonly links: Links
  ) {}

  partition(sides: readonly number[]): void {
    this.#sides = sides
  }

  restarted(node: number): void {
    this.#lives.set(node, this.#life(node) + 1)
  }

  send(from: number, to: number, deliver: () => void): void {
    if (this.#cut(from, to) || this.links.loses(from, to)) return
    const lives = [this.#life(from), this.#life(to)]
    this.agenda.after(this.links.delay(from, to), () => {
      if (lives[0] === this.#life(from) && lives[1] === this.#life(to) && !this.#cut(from, to)) deliver()
    })
  }

  #cut(from: number, to: number): boolean {
    return (this.#sides[from] ?? 0) !== (this.#sides[to] ?? 0)
  }

  #life(node: number): number {
    return this.#lives.get(node) ?? 0
  }
}
