/** Places for tasks: so many at a time, the others wait in the order in which they came. */
export class Places {
  #free: number
  #waiting: (() => void)[] = []

  constructor(readonly total: number) {
    this.#free = total
  }

  get free(): number {
    return this.#free
  }

  /** Resolves with true once a place is taken, with false when the signal is aborted first. */
  take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false)
    if (this.#free > 0) {
      this.#free -= 1
      return Promise.resolve(true)
    }
    return new Promise(resolve => {
      const got = () => {
        signal.removeEventListener('abort', aborted)
        resolve(true)
      }
      const aborted = () => {
        this.#waiting = this.#waiting.filter(one => one !== got)
        resolve(false)
      }
      signal.addEventListener('abort', aborted, { once: true })
      this.#waiting.push(got)
    })
  }

  release(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}
