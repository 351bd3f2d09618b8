interface Entry {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** What happens in a world, by virtual time; at the same time in the order in which it was planned. A binary heap. */
export class Agenda {
  readonly #heap: Entry[] = []
  #order = 0
  #now = 0

  /** Virtual ms since the world began. */
  get now(): number {
    return this.#now
  }

  plan(at: number, run: () => void): void {
    const entry = { at: Math.max(at, this.#now), order: this.#order++, run }
    const heap = this.#heap
    let place = heap.push(entry) - 1
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = heap[parent]
      if (above === undefined || before(above, entry)) break
      heap[place] = above
      place = parent
    }
    heap[place] = entry
  }

  after(delay: number, run: () => void): void {
    this.plan(this.#now + delay, run)
  }

  /** Runs until `end`, or until nothing is planned, or until `stop` says so. */
  run(end: number, stop: () => boolean): void {
    for (let next = this.#take(); next !== undefined && next.at <= end && !stop(); next = this.#take()) {
      this.#now = next.at
      next.run()
    }
  }

  #take(): Entry | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let place = 0
    for (;;) {
      const left = 2 * place + 1
      const [a, b] = [heap[left], heap[left + 1]]
      const child = b !== undefined && a !== undefined && before(b, a) ? left + 1 : left
      const below = heap[child]
      if (below === undefined || before(last, below)) break
      heap[place] = below
      place = child
    }
    heap[place] = last
    return first
  }
}
