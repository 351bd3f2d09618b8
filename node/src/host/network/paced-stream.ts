import type { Stream } from '@libp2p/interface'
import { PekkaError } from '@pekka/node/protocol'
import {
  GOSSIP_BURST_BYTES,
  GOSSIP_BYTES_PER_SECOND,
  GOSSIP_READ_HIGH_BYTES,
  GOSSIP_READ_LOW_BYTES
} from './constants.js'
import { ReadWindow } from './read-window.js'

/** What a library that reads a stream by `for await` uses of it. */
export type ReadStream = Pick<Stream, 'close' | 'abort'> & AsyncIterable<Uint8Array>

/** So much a second, and a burst of so much at once. */
export class Pacer {
  #credit: number
  #paidAt = performance.now()

  constructor(
    private readonly perSecond: number,
    private readonly burst: number
  ) {
    this.#credit = burst
  }

  /** Resolves when it may be. */
  async pay(amount: number): Promise<void> {
    const now = performance.now()
    const back = ((now - this.#paidAt) / 1000) * this.perSecond
    this.#credit = Math.min(this.burst, this.#credit + back) - amount
    this.#paidAt = now
    if (this.#credit >= 0) return
    const wait = (-this.#credit / this.perSecond) * 1000
    await new Promise<void>(resolve => setTimeout(resolve, wait).unref())
  }
}

/**
 * The reading side of a stream for a library that iterates over it: at most so many bytes a second, and no more read ahead than a little.
 * The library's own iterator holds nothing back (docs/decisions/0004-links.md), so that who sends faster than we judge would fill
 * our memory.
 */
export class PacedStream implements ReadStream {
  #pieces: Uint8Array[] = []
  #bytes = 0
  #ended = false
  /** By this side. */
  #closed = false
  #wake: () => void = () => {}
  readonly #window: ReadWindow
  readonly #pacer = new Pacer(GOSSIP_BYTES_PER_SECOND, GOSSIP_BURST_BYTES)

  /** Must be made in the turn in which the stream was handed over: without a listener the library drops data. */
  constructor(private readonly stream: Stream) {
    this.#window = new ReadWindow(stream)
    stream.addEventListener('message', ({ data }) => this.#take(data))
    for (const end of ['remoteCloseWrite', 'end', 'close'] as const) stream.addEventListener(end, () => this.#end())
    if (stream.status !== 'open') this.#end()
  }

  /** Whoever stops reading wants nothing more of it: the library's own way ends what it writes, and goes on reading. */
  async close(): Promise<void> {
    this.abort(new PekkaError('LINK_CLOSED', {}))
  }

  abort(error: Error): void {
    this.#pieces = []
    this.#bytes = 0
    this.#closed = true
    this.#end()
    this.stream.abort(error)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece !== undefined) {
        this.#bytes -= piece.length
        await this.#pacer.pay(piece.length)
        if (this.#closed) return
        if (this.#bytes < GOSSIP_READ_LOW_BYTES) this.#window.open()
        yield piece
      } else if (this.#window.closed) this.#window.open()
      else if (this.#ended) return
      else await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  #take(data: Uint8Array | Iterable<Uint8Array>): void {
    if (this.#closed) return
    for (const piece of data instanceof Uint8Array ? [data] : data) {
      this.#pieces.push(piece)
      this.#bytes += piece.length
    }
    if (this.#bytes > GOSSIP_READ_HIGH_BYTES) this.#window.close()
    this.#wake()
  }

  #end(): void {
    this.#ended = true
    this.#wake()
  }
}
