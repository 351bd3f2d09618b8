/** How often who waits looks again whether a place can still come in time, ms. */
const LOOK_MS = 500

/** A place that is taken; called once, it is given back. */
export type Release = () => void

interface Waiting {
  got: (release: Release) => void
}

/**
 * Places for tasks: so many at a time, the others wait in the order in which they came. Who waits is told early when it waits in
 * vain: nobody knows how long a task takes, but one that has run for a minute is as likely as not to run for another.
 */
export class Places {
  /** When each place that is taken was taken. */
  readonly #taken = new Map<Release, number>()
  #waiting: Waiting[] = []

  constructor(
    readonly total: number,
    private readonly clock: { now(): number } = performance
  ) {}

  get free(): number {
    return Math.max(0, this.total - this.#taken.size)
  }

  /**
   * Resolves with a place, or with null when the signal is aborted first or none can be expected within `patience` ms, which may
   * be said at once.
   */
  take(signal: AbortSignal, patience = Infinity): Promise<Release | null> {
    if (signal.aborted) return Promise.resolve(null)
    if (this.free > 0) return Promise.resolve(this.#give())
    const deadline = this.clock.now() + patience
    return new Promise(resolve => {
      const waiting: Waiting = { got: release => end(release) }
      const end = (release: Release | null): void => {
        clearInterval(timer)
        signal.removeEventListener('abort', leave)
        resolve(release)
      }
      const leave = (): void => {
        this.#waiting = this.#waiting.filter(one => one !== waiting)
        end(null)
      }
      const look = (): void => {
        if (this.#expected(this.#waiting.indexOf(waiting)) > deadline - this.clock.now()) leave()
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(waiting)
      const timer = setInterval(look, LOOK_MS)
      look()
    })
  }

  #give(): Release {
    const release = (): void => {
      if (!this.#taken.delete(release)) return
      const next = this.#waiting.shift()
      if (next !== undefined) next.got(this.#give())
    }
    this.#taken.set(release, this.clock.now())
    return release
  }

  /** How long who stands at `position` in the line must expect to wait, ms: a task runs for as long again as it has run. */
  #expected(position: number): number {
    const now = this.clock.now()
    const ages = [...this.#taken.values()].map(since => now - since).sort((a, b) => a - b)
    const mean = ages.reduce((sum, age) => sum + age, 0) / ages.length
    return (ages[position % ages.length] ?? 0) + Math.floor(position / ages.length) * mean
  }
}
