/**
 * How far witnesses say they are, and what of it is believed. What is read must never go back, so a witness that is behind what another has
 * told isn't read from. But nobody proves such a height, and a liar's would stop all reading for ever. So it is believed until most of
 * the others have failed to reach it in good time: an honest witness's commit is on the others within a moment.
 */
export class Heights {
  readonly #told = new Map<string, number>()
  /** Whose word alone isn't believed: what they told was beyond all others. */
  readonly #doubted = new Set<string>()
  /** Who stayed behind what is required. */
  readonly #behind = new Set<string>()

  /** @param count how many witnesses there are to ask */
  constructor(private readonly count: () => number) {}

  /** A witness has shown that it is at a height. */
  tell(address: string, height: number): void {
    if (height > (this.#told.get(address) ?? -1)) this.#told.set(address, height)
    this.#behind.delete(address)
    // Those whose word it bears out were right.
    for (const doubted of this.#doubted) {
      if (doubted !== address && height >= (this.#told.get(doubted) ?? -1)) this.#doubted.delete(doubted)
    }
  }

  /** What must be reached before anything is read; −1: nothing was told. */
  get required(): number {
    let most = -1
    for (const [address, height] of this.#told) if (!this.#doubted.has(address)) most = Math.max(most, height)
    return most
  }

  /** A witness has had its time, and stayed behind {@link required}. Once more than half of the others have, that was a lie. */
  stayedBehind(address: string): void {
    const { required } = this
    this.#behind.add(address)
    const tellers = [...this.#told].filter(([, height]) => height >= required).map(([teller]) => teller)
    if (this.#behind.size * 2 <= this.count() - tellers.length) return
    for (const teller of tellers) this.#doubted.add(teller)
    this.#behind.clear()
  }
}
