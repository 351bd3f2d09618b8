/**
 * Draws for however many changes at most once a pause: the first after a rest in the same turn, what comes meanwhile when the
 * pause is over. A page that draws each of a run's first states (five in 100 ms) keeps its output waiting in the socket.
 */
export class Pace {
  #timer: ReturnType<typeof setTimeout> | null = null
  #pending = false
  #disposed = false
  #last = Number.NEGATIVE_INFINITY

  constructor(
    private readonly components: { draw: () => void; now: () => number },
    /** `trailing`: the first after a rest waits for the pause, too. */
    private readonly init: { pauseMs: number; trailing?: boolean }
  ) {}

  /** Something changed. */
  later(): void {
    const wait = this.#last + this.init.pauseMs - this.components.now()
    if (this.init.trailing === true) this.afterPause()
    else if (wait <= 0) this.soon()
    else this.#wait(wait)
  }

  /** Something changed that may be over before anybody has read it: drawn after a whole pause, or with what comes before that. */
  afterPause(): void {
    this.#wait(this.init.pauseMs)
  }

  /** Something changed that is to be seen at once. */
  soon(): void {
    if (this.#pending) return
    this.#pending = true
    queueMicrotask(() => this.#draw())
  }

  dispose(): void {
    this.#disposed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #wait(ms: number): void {
    if (!this.#pending) this.#timer ??= setTimeout(() => this.#draw(), ms)
  }

  #draw(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#pending = false
    if (this.#disposed) return
    this.#last = this.components.now()
    this.components.draw()
  }
}
