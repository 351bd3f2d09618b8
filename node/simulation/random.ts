/** A small seeded generator (sfc32): the same seed gives the same world, on every machine. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number, stream = 0) {
    this.#a = seed | 0
    this.#b = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ stream
    this.#c = Math.imul(stream + 1, 0xc2b2ae35)
    for (let i = 0; i < 16; i++) this.#next()
  }

  /** From 0, below 1. */
  real(): number {
    return this.#next() / 4294967296
  }

  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.real() * (to - from + 1))
  }

  chance(probability: number): boolean {
    return this.real() < probability
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.real() * items.length)]
    if (item === undefined) throw new TypeError('nothing to pick from')
    return item
  }

  /** A random half or so of the items, in their order. */
  some<T>(items: readonly T[], probability = 0.5): T[] {
    return items.filter(() => this.chance(probability))
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + sum) | 0
    return sum >>> 0
  }
}
