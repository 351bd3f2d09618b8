import type { z } from 'zod'
import { PekkaError } from '@pekka/node/protocol'
import { REQUEST_TIMEOUT_MS } from './constants.js'
import type { HandleOptions, NetworkHost } from './index.js'
import { TypedChannel } from './typed-channel.js'

export interface RequestOptions {
  signal?: AbortSignal
  /** ms; default REQUEST_TIMEOUT_MS. */
  timeout?: number
  maxMessageBytes?: number
}

/**
 * Sends one request on a stream of its own and gives its one answer.
 * @throws PekkaError LINK_TIMEOUT, LINK_PROTOCOL, PEER_UNREACHABLE; the signal's reason
 */
export async function request<Answer>(
  host: NetworkHost,
  address: string,
  protocol: string,
  message: unknown,
  answer: z.ZodType<Answer>,
  options: RequestOptions = {}
): Promise<Answer> {
  const timeout = options.timeout ?? REQUEST_TIMEOUT_MS
  const limit = AbortSignal.timeout(timeout)
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal])
  try {
    const channel = await host.open(address, protocol, { signal, maxMessageBytes: options.maxMessageBytes })
    const typed = new TypedChannel<Answer, unknown>(channel, answer)
    try {
      await typed.send(message, signal)
      await channel.closeWrite(signal)
      return await typed.expect(signal)
    } finally {
      channel.close().catch(() => {})
    }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (limit.aborted) throw new PekkaError('LINK_TIMEOUT', { seconds: timeout / 1000 }, { cause: error })
    throw error
  }
}

/** Serves a protocol of {@link request}. What the handler throws resets the stream, so answer refusals with a message. */
export async function serveRequests<Request>(
  host: NetworkHost,
  protocol: string,
  schema: z.ZodType<Request>,
  handler: (request: Request, peer: string, signal: AbortSignal) => Promise<unknown>,
  options: HandleOptions & { timeout?: number } = {}
): Promise<void> {
  await host.handle(
    protocol,
    async (channel, stopping) => {
      const signal = AbortSignal.any([stopping, AbortSignal.timeout(options.timeout ?? REQUEST_TIMEOUT_MS)])
      const typed = new TypedChannel<Request, unknown>(channel, schema)
      await typed.send(await handler(await typed.expect(signal), channel.remotePeer, signal), signal)
      await channel.close()
    },
    options
  )
}
