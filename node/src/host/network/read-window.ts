import type { Stream } from '@libp2p/interface'

/** The reading side of a stream, shut while its reader has more than it wants: who sends then waits, instead of filling our memory. */
export class ReadWindow {
  #closed = false

  constructor(private readonly stream: Pick<Stream, 'readStatus' | 'pause' | 'resume'>) {}

  get closed(): boolean {
    return this.#closed
  }

  /** Inside a 'message' event pause() would leave the window open (docs/decisions/0004-links.md), so it waits for the microtask. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    queueMicrotask(() => {
      if (this.#closed && this.stream.readStatus === 'readable') this.stream.pause()
    })
  }

  /** Hands over, in this very call, what the stream held. */
  open(): void {
    if (!this.#closed) return
    this.#closed = false
    if (this.stream.readStatus !== 'paused') return
    try {
      this.stream.resume()
    } catch {
      // The connection is gone, so the window can't be opened again; what was held has been handed over before that.
    }
  }
}
