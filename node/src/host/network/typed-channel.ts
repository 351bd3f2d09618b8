import type { z } from 'zod'
import { PekkaError, decodeCborInPlace, encodeCbor } from '@pekka/node/protocol'
import type { MessageChannel } from './index.js'

/**
 * CBOR messages of one schema over a channel. What arrives is parsed once, here; a message that can't be read or has a
 * wrong shape resets the stream, and its receiver gets LINK_PROTOCOL.
 */
export class TypedChannel<Incoming, Outgoing> {
  constructor(
    readonly channel: MessageChannel,
    private readonly incoming: z.ZodType<Incoming>
  ) {}

  get remotePeer(): string {
    return this.channel.remotePeer
  }

  /** As {@link MessageChannel.send}. */
  async send(message: Outgoing, signal?: AbortSignal): Promise<void> {
    await this.channel.send(encodeCbor(message), signal)
  }

  /** As {@link MessageChannel.receive}. @throws PekkaError LINK_PROTOCOL */
  async receive(signal?: AbortSignal): Promise<Incoming | null> {
    const bytes = await this.channel.receive(signal)
    return bytes === null ? null : this.#parse(bytes)
  }

  /** The next message where none may be missing. @throws PekkaError LINK_PROTOCOL also for a half-close. */
  async expect(signal?: AbortSignal): Promise<Incoming> {
    const message = await this.receive(signal)
    if (message === null) throw this.#broken('the stream ended where a message was due')
    return message
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Incoming, void, undefined> {
    for await (const bytes of this.channel) yield this.#parse(bytes)
  }

  #parse(bytes: Uint8Array): Incoming {
    let value: unknown
    try {
      value = decodeCborInPlace(bytes)
    } catch (cause) {
      throw this.#broken('a message is no CBOR', cause)
    }
    const parsed = this.incoming.safeParse(value)
    if (parsed.success) return parsed.data
    const issue = parsed.error.issues[0]
    throw this.#broken(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong shape'}`.slice(0, 200), parsed.error)
  }

  #broken(issue: string, cause?: unknown): PekkaError {
    const error = new PekkaError('LINK_PROTOCOL', { issue }, { cause })
    this.channel.abort(error)
    return error
  }
}
