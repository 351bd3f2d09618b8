import type { RequestHandler } from 'express'
import { MemoryStore, ipKeyGenerator, rateLimit } from 'express-rate-limit'
import { PekkaError } from '@pekka/node/protocol'
import { isLoopback } from './guards.js'

const WINDOW_MS = 60_000

/** Requests a minute from one address, over HTTP and the socket together. */
export class RequestLimit {
  readonly #store = new MemoryStore()
  /** For express, before the routes. */
  readonly handler: RequestHandler

  constructor(
    private readonly loopback: number,
    private readonly remote: number
  ) {
    this.handler = rateLimit({
      windowMs: WINDOW_MS,
      limit: request => this.#most(request.socket.remoteAddress),
      keyGenerator: request => keyOf(request.socket.remoteAddress),
      store: this.#store,
      standardHeaders: false,
      legacyHeaders: false,
      validate: false,
      handler: () => {
        throw new PekkaError('RATE_LIMITED')
      }
    })
  }

  /** Counts what didn't come as an HTTP request. @throws PekkaError RATE_LIMITED */
  async take(address: string): Promise<void> {
    const { totalHits } = await this.#store.increment(keyOf(address))
    if (totalHits > this.#most(address)) throw new PekkaError('RATE_LIMITED')
  }

  #most(address: string | undefined): number {
    return isLoopback(address) ? this.loopback : this.remote
  }
}

/** Of IPv6 the network, as a house has many addresses. */
const keyOf = (address: string | undefined): string => ipKeyGenerator(address ?? '')
