import type { Stream } from '@libp2p/interface'
import { PekkaError, concat } from '@pekka/node/protocol'
import { ByteQueue, uninitialised } from './byte-queue.js'
import {
  CLOSE_TIMEOUT_MS,
  DEFAULT_MAX_MESSAGE_BYTES,
  JOIN_BELOW_BYTES,
  MAX_CHUNK_BYTES,
  PREFIX_BYTES,
  READ_HIGH_WATER_BYTES,
  READ_LOW_WATER_BYTES,
  WRITE_HIGH_WATER_BYTES
} from './constants.js'
import { updateRarely } from './few-updates.js'
import { ReadWindow } from './read-window.js'
import type { MessageChannel } from './index.js'

export interface ChannelInit {
  /** Bytes of the largest message that is sent or accepted. */
  maxMessageBytes?: number
  /** Called whenever anything arrives, so that the host knows that the connection lives. */
  onHeard?: () => void
}

type Ending = { kind: 'open' } | { kind: 'ended' } | { kind: 'failed'; error: Error }

interface Waiter {
  message: Uint8Array
  sent: () => void
  fail: (error: Error) => void
}

const asError = (value: unknown): Error => (value instanceof Error ? value : new Error(String(value)))

const abortReason = (signal: AbortSignal | undefined): Error => asError(signal?.reason ?? 'aborted')

/**
 * A message channel over one libp2p stream. It exists because each of the library's own ways of reading and writing
 * loses data or memory (docs/decisions/0004-links.md): the traps are named where they are avoided.
 */
export class StreamChannel implements MessageChannel {
  readonly closed: Promise<void>
  readonly #incoming = new ByteQueue()
  readonly #maxMessageBytes: number
  readonly #waitingSenders: Waiter[] = []
  #reader: (() => void) | null = null
  #receiving = false
  readonly #window: ReadWindow
  /** Framed messages that go to the stream at the end of this turn, and their bytes. */
  #outgoing: Uint8Array[] = []
  #outgoingBytes = 0
  #sawFin = false
  #ending: Ending = { kind: 'open' }
  #writing: 'open' | 'closing' | 'closed' = 'open'
  #closing: Promise<void> | null = null
  #finish: () => void = () => {}

  /** Must be made in the same turn in which the stream was handed over: without a listener the library drops data (P5). */
  constructor(
    private readonly stream: Stream,
    readonly remotePeer: string,
    private readonly init: ChannelInit = {}
  ) {
    this.#maxMessageBytes = init.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    this.closed = new Promise(resolve => (this.#finish = resolve))
    this.#window = new ReadWindow(stream)
    updateRarely(stream)
    stream.addEventListener('message', event => this.#onData(event.data))
    // A half-close by the other side. Without it an end is a lost connection, which the library reports in the same way.
    stream.addEventListener('remoteCloseWrite', () => (this.#sawFin = true))
    stream.addEventListener('end', () => this.#onEnd())
    stream.addEventListener('close', event => this.#onClose(event.error))
    // The library's own onDrain() returns at once after its first use (P1), so we listen to the events. After either one
    // it sends from a microtask; ours is queued behind that and sees the result.
    const look = () => queueMicrotask(() => this.#admitSenders())
    stream.addEventListener('drain', look)
    stream.addEventListener('idle', look)
    // All of this may have happened while the protocol was agreed on; then no event tells it any more.
    if (stream.status !== 'open') {
      this.#fail(this.#lossOf(undefined))
      this.#onClose(undefined)
    } else if (stream.remoteWriteStatus === 'closed') {
      this.#sawFin = true
      if (stream.readableEnded) this.#onEnd()
    }
  }

  get protocol(): string {
    return this.stream.protocol
  }

  async send(message: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (message.length > this.#maxMessageBytes) {
      throw new PekkaError('LINK_MESSAGE_TOO_LARGE', { size: message.length, max: this.#maxMessageBytes })
    }
    this.#assertWritable()
    if (this.#waitingSenders.length === 0 && this.#hasRoom()) this.#append(message)
    else await this.#waitForRoom(message, signal)
  }

  async receive(signal?: AbortSignal): Promise<Uint8Array | null> {
    signal?.throwIfAborted()
    if (this.#receiving) throw new TypeError('receive() is already waiting on this channel')
    this.#receiving = true
    try {
      for (;;) {
        const message = this.#next()
        if (message !== null) return message
        if (this.#window.closed) {
          this.#window.open()
          continue
        }
        if (this.#ending.kind === 'failed') throw this.#ending.error
        if (this.#ending.kind === 'ended') {
          if (this.#incoming.length === 0) return null
          throw this.#fail(new PekkaError('LINK_LOST', { reason: 'the stream ended inside a message' }))
        }
        await this.#waitForData(signal)
      }
    } finally {
      this.#receiving = false
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const message = await this.receive()
      if (message === null) return
      yield message
    }
  }

  async closeWrite(signal?: AbortSignal): Promise<void> {
    if (this.#ending.kind === 'failed') throw this.#ending.error
    if (this.#writing !== 'open') return
    this.#flush()
    this.#writing = 'closing'
    for (const waiter of this.#waitingSenders.splice(0)) waiter.fail(new PekkaError('LINK_CLOSED', {}))
    try {
      await this.stream.close({ signal })
      this.#writing = 'closed'
    } catch (cause) {
      signal?.throwIfAborted()
      throw this.#fail(new PekkaError('LINK_LOST', { reason: 'the stream closed before all was written' }, { cause }))
    }
  }

  close(signal: AbortSignal = AbortSignal.timeout(CLOSE_TIMEOUT_MS)): Promise<void> {
    // One farewell, whoever asks for it first.
    this.#closing ??= this.#close(signal)
    return this.#closing
  }

  async #close(signal: AbortSignal): Promise<void> {
    try {
      await this.closeWrite(signal)
      // What still arrives is of no use to a caller who has closed, but it must be taken for the end to come through.
      if (this.#receiving) await this.#waitForClose(signal)
      else while ((await this.receive(signal)) !== null) continue
    } catch (error) {
      this.abort(asError(error))
    }
    this.#finish()
  }

  abort(error: Error): void {
    this.#flush()
    this.#fail(error)
    this.stream.abort(error)
    this.#finish()
  }

  // --- reading

  #onData(data: Uint8Array | Iterable<Uint8Array>): void {
    this.init.onHeard?.()
    if (this.#ending.kind === 'failed') return
    if (data instanceof Uint8Array) this.#incoming.append(data)
    else for (const piece of data) this.#incoming.append(piece)
    const announced = this.#incoming.nextMessageLength()
    if (announced !== null && announced > this.#maxMessageBytes) {
      this.abort(new PekkaError('LINK_MESSAGE_TOO_LARGE', { size: announced, max: this.#maxMessageBytes }))
      return
    }
    if (this.#reader === null && this.#incoming.length > READ_HIGH_WATER_BYTES) this.#window.close()
    if (this.#reader !== null && this.#canMove()) this.#wakeReader()
  }

  /** Whether a receive() that waits could go on. */
  #canMove(): boolean {
    const length = this.#incoming.nextMessageLength()
    if (length !== null && this.#incoming.length >= PREFIX_BYTES + length) return true
    return this.#ending.kind !== 'open'
  }

  #next(): Uint8Array | null {
    const length = this.#incoming.nextMessageLength()
    if (length === null) return null
    if (length > this.#maxMessageBytes) {
      const error = new PekkaError('LINK_MESSAGE_TOO_LARGE', { size: length, max: this.#maxMessageBytes })
      this.abort(error)
      throw error
    }
    if (this.#incoming.length < PREFIX_BYTES + length) return null
    const message = this.#incoming.takeMessage(length)
    if (this.#incoming.length < READ_LOW_WATER_BYTES) this.#window.open()
    return message
  }

  #waitForData(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = () => {
        this.#reader = null
        reject(abortReason(signal))
      }
      this.#reader = () => {
        signal?.removeEventListener('abort', aborted)
        this.#reader = null
        resolve()
      }
      signal?.addEventListener('abort', aborted, { once: true })
    })
  }

  #wakeReader(): void {
    this.#reader?.()
  }

  /** No more data will come. The library says so in the same way after a half-close, a reset and a lost connection. */
  #onEnd(): void {
    if (this.#ending.kind !== 'open') return
    if (this.#sawFin && this.stream.status !== 'reset') {
      this.#ending = { kind: 'ended' }
      this.#wakeReader()
    } else this.#fail(this.#lossOf(undefined))
  }

  #onClose(cause: Error | undefined): void {
    this.#writing = 'closed'
    if (cause !== undefined) this.#fail(this.#lossOf(cause))
    for (const waiter of this.#waitingSenders.splice(0)) waiter.fail(new PekkaError('LINK_CLOSED', {}))
    this.#finish()
  }

  #lossOf(cause: Error | undefined): PekkaError {
    const code = this.stream.status === 'reset' ? 'LINK_RESET' : 'LINK_LOST'
    return new PekkaError(code, { reason: cause?.message ?? 'no farewell' }, { cause })
  }

  #waitForClose(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = () => reject(abortReason(signal))
      if (signal.aborted) return aborted()
      signal.addEventListener('abort', aborted, { once: true })
      void this.closed.then(() => {
        signal.removeEventListener('abort', aborted)
        resolve()
      })
    })
  }

  // --- writing

  #assertWritable(): void {
    if (this.#ending.kind === 'failed') throw this.#ending.error
    if (this.#writing !== 'open' || this.stream.writeStatus !== 'writable') throw new PekkaError('LINK_CLOSED', {})
  }

  #hasRoom(): boolean {
    return this.stream.writeBufferLength + this.#outgoingBytes < WRITE_HIGH_WATER_BYTES
  }

  /**
   * Takes a message for the stream. What is sent in one turn of the event loop goes out together: each piece given to the
   * stream is sealed and written to the socket by itself, which costs more than a small message's own work.
   */
  #append(message: Uint8Array): void {
    // A copy, because the stream keeps a reference until the bytes are on the wire (P7). It also joins prefix and body.
    const framed = uninitialised(PREFIX_BYTES + message.length)
    new DataView(framed.buffer, framed.byteOffset).setUint32(0, message.length)
    framed.set(message, PREFIX_BYTES)
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush())
    this.#outgoing.push(framed)
    this.#outgoingBytes += framed.length
    if (this.#outgoingBytes >= MAX_CHUNK_BYTES) this.#flush()
  }

  /** Whole messages in one go, so that neither an abort nor another sender can cut one in two. */
  #flush(): void {
    if (this.#outgoing.length === 0) return
    const messages = this.#outgoing
    this.#outgoing = []
    this.#outgoingBytes = 0
    if (this.#ending.kind === 'failed') return
    try {
      for (const bytes of joined(messages)) {
        for (let at = 0; at < bytes.length; at += MAX_CHUNK_BYTES) {
          this.stream.send(bytes.subarray(at, at + MAX_CHUNK_BYTES))
        }
      }
    } catch (cause) {
      this.#fail(new PekkaError('LINK_LOST', { reason: 'the stream takes no more' }, { cause }))
    }
    if (this.#waitingSenders.length > 0) this.#admitSenders()
  }

  #waitForRoom(message: Uint8Array, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        message,
        sent: () => {
          signal?.removeEventListener('abort', aborted)
          resolve()
        },
        fail: error => {
          signal?.removeEventListener('abort', aborted)
          reject(error)
        }
      }
      const aborted = () => {
        const at = this.#waitingSenders.indexOf(waiter)
        if (at >= 0) this.#waitingSenders.splice(at, 1)
        reject(abortReason(signal))
      }
      signal?.addEventListener('abort', aborted, { once: true })
      this.#waitingSenders.push(waiter)
    })
  }

  /** Lets those who wait send, in the order in which they came. */
  #admitSenders(): void {
    while (this.#hasRoom()) {
      const waiter = this.#waitingSenders.shift()
      if (waiter === undefined) return
      try {
        this.#append(waiter.message)
        waiter.sent()
      } catch (error) {
        waiter.fail(asError(error))
      }
    }
  }

  #fail(error: Error): Error {
    if (this.#ending.kind !== 'failed') this.#ending = { kind: 'failed', error }
    for (const waiter of this.#waitingSenders.splice(0)) waiter.fail(error)
    this.#wakeReader()
    return error
  }
}

/** Neighbours below JOIN_BELOW_BYTES as one piece each; a larger one costs more to copy than to send by itself. */
function* joined(messages: Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = []
  for (const message of messages) {
    if (message.length < JOIN_BELOW_BYTES) {
      small.push(message)
      continue
    }
    if (small.length > 0) yield concat(...small)
    small = []
    yield message
  }
  const [first, second] = small
  if (first !== undefined) yield second === undefined ? first : concat(...small)
}
