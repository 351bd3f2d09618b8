import { toHex } from '@pekka/node/protocol'
import type { Metrics } from '../metrics.js'
import { READ_AHEAD_BYTES } from './constants.js'

/**
 * Where a paused client is felt by its provider: acknowledgements of a task's frames wait here while a reader is too far
 * behind. Without readers nothing waits: the log is on the disk.
 */
export class ReaderGate {
  readonly #slow = new Map<string, Set<object>>()
  readonly #waiting = new Map<string, (() => void)[]>()

  constructor(private readonly metrics: Metrics) {}

  /**
   * A reader says how far behind it is, after each change.
   * @param stalled whether its window is full: one that takes everything is never waited for
   */
  report(task: Uint8Array, reader: object, behindBytes: number, stalled: boolean): void {
    const name = toHex(task)
    if (stalled && behindBytes > READ_AHEAD_BYTES) {
      const slow = this.#slow.get(name) ?? new Set()
      slow.add(reader)
      this.#slow.set(name, slow)
    } else this.leave(task, reader)
  }

  /** The reader is gone. */
  leave(task: Uint8Array, reader: object): void {
    const name = toHex(task)
    const slow = this.#slow.get(name)
    if (slow?.delete(reader) !== true || slow.size > 0) return
    this.#slow.delete(name)
    const waiting = this.#waiting.get(name) ?? []
    this.#waiting.delete(name)
    this.metrics.acksHeld.dec(waiting.length)
    for (const resume of waiting) resume()
  }

  isHeld(task: Uint8Array): boolean {
    return this.#slow.has(toHex(task))
  }

  /** Resolves when no reader of the task is too far behind. */
  clear(task: Uint8Array): Promise<void> {
    const name = toHex(task)
    if (!this.#slow.has(name)) return Promise.resolve()
    this.metrics.acksHeld.inc()
    return new Promise(resolve => {
      const waiting = this.#waiting.get(name) ?? []
      waiting.push(resolve)
      this.#waiting.set(name, waiting)
    })
  }
}
