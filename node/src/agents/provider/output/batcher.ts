import type { TaskEvent } from '@pekka/node/protocol'
import { BATCH_BYTES, BATCH_HIGH_WATER_BYTES, FLUSH_INTERVAL_MS } from '../constants.js'
import { sizeOf } from './large-values.js'

/**
 * Gathers events into batches (R37): the first goes out at once, those that follow within FLUSH_INTERVAL_MS or while a batch is
 * being written go together. Order is kept.
 */
export class Batcher {
  #events: TaskEvent[] = []
  #bytes = 0
  #flushing: Promise<void> | null = null
  #lastFlush = -Infinity
  #ending = false
  /** Ends the pause between two batches. */
  #hurry: () => void = () => undefined
  #failed: { error: unknown } | null = null
  #room: (() => void)[] = []

  constructor(
    private readonly write: (events: TaskEvent[]) => Promise<void>,
    private readonly now: () => number = () => performance.now()
  ) {}

  /** Takes an event; resolves when the next one may come. @throws what writing threw, now or earlier */
  async push(event: TaskEvent): Promise<void> {
    this.#assertWorking()
    this.#events.push(event)
    this.#bytes += sizeOf(event)
    this.#flushing ??= this.#flush()
    if (this.#bytes >= BATCH_HIGH_WATER_BYTES) await new Promise<void>(resolve => this.#room.push(resolve))
    this.#assertWorking()
  }

  /** Resolves when all that was pushed has been written. Nothing more comes, so nothing waits for company. */
  async flush(): Promise<void> {
    this.#ending = true
    this.#hurry()
    while (this.#flushing !== null) await this.#flushing
    this.#assertWorking()
  }

  #assertWorking(): void {
    if (this.#failed !== null) throw this.#failed.error
  }

  async #flush(): Promise<void> {
    try {
      while (this.#events.length > 0) {
        const wait = this.#lastFlush + FLUSH_INTERVAL_MS - this.now()
        // A full frame's worth needs no company.
        if (wait > 0 && !this.#ending && this.#bytes < BATCH_BYTES) await this.#pause(wait)
        this.#lastFlush = this.now()
        await this.write(this.#take())
        if (this.#bytes < BATCH_HIGH_WATER_BYTES) for (const go of this.#room.splice(0)) go()
      }
    } catch (error) {
      this.#failed = { error }
      for (const go of this.#room.splice(0)) go()
    } finally {
      this.#flushing = null
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** The first events that fill a frame. */
  #take(): TaskEvent[] {
    let size = 0
    let end = 0
    for (const event of this.#events) {
      const next = sizeOf(event)
      if (end > 0 && size + next > BATCH_BYTES) break
      size += next
      end += 1
    }
    const batch = this.#events.slice(0, end)
    this.#events = this.#events.slice(end)
    this.#bytes -= size
    return batch
  }
}
