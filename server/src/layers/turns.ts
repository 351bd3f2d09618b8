import { PekkaError } from '@pekka/node/protocol'

/** Lets so many pieces of work go on at a time; more wait, up to a bound. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(
    atOnce: number,
    private readonly maxWaiting: number
  ) {
    this.#free = atOnce
  }

  /** @throws PekkaError BRIDGE_BUSY where too many wait; the signal's reason */
  async take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (this.#free > 0) this.#free--
    else {
      if (this.#waiting.length >= this.maxWaiting) throw new PekkaError('BRIDGE_BUSY')
      // The turn is handed on by whoever ends; it is taken and given back also where nobody wants it any more.
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
    try {
      signal.throwIfAborted()
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
