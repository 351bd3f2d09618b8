/** An image as the pool sees it, and how many of its sandboxes always wait. */
export interface WarmEntry {
  /** Digest, hex. */
  digest: string
  /** Always so many. */
  fixed: number
}

/**
 * Decides which images have sandboxes that wait. What the settings fix always does; any other image gets one after its first task, for who
 * uses an image once mostly uses it again, as long as the memory that is set aside allows. When it doesn't, the one that was used longest
 * ago goes cold.
 */
export class Warmth {
  /** Images warmed by use, the one used longest ago first. */
  #used: string[] = []
  readonly #fixed: ReadonlyMap<string, number>

  /**
   * @param budget bytes for sandboxes that wait, all together; fixed ones count, and are kept even over it
   * @param cost bytes of one that waits
   */
  constructor(
    entries: readonly WarmEntry[],
    private readonly budget: number,
    private readonly cost: number
  ) {
    this.#fixed = new Map(entries.map(({ digest, fixed }) => [digest, fixed]))
  }

  /** Sandboxes that shall wait, by digest. */
  sizes(): ReadonlyMap<string, number> {
    return new Map(
      [...this.#fixed].map(([digest, fixed]) => [digest, Math.max(fixed, this.#used.includes(digest) ? 1 : 0)])
    )
  }

  /** A task used the image. Returns whether the sizes changed. */
  used(digest: string): boolean {
    const fixed = this.#fixed.get(digest)
    if (fixed === undefined || fixed > 0) return false
    const before = new Set(this.#used)
    const always = [...this.#fixed.values()].reduce((sum, size) => sum + size, 0)
    const room = Math.max(0, Math.floor(this.budget / this.cost) - always)
    const order = [...this.#used.filter(one => one !== digest), digest]
    this.#used = order.slice(Math.max(0, order.length - room))
    return this.#used.length !== before.size || this.#used.some(one => !before.has(one))
  }
}
