import {
  LEDGER_PROTOCOL,
  asPekkaError,
  ledgerRequestSchema,
  type ErrorData,
  type HistoryRequest,
  type LedgerAccess,
  type LedgerAnswer,
  type LedgerRequest,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { LEDGER_MESSAGE_BYTES, MAX_LEDGER_REQUESTS, MAX_UNSIGNED_IN_A_ROW } from './constants.js'
import type { NetworkHost } from './index.js'
import { TypedChannel } from './typed-channel.js'

export interface ServeLedgerOptions {
  /** Told of each submission that was answered, and how long it took, ms. */
  submitted?: (outcome: TransactionOutcome, milliseconds: number) => void
}

/**
 * Serves `/pekka/ledger/1` from any access to the ledger: a witness gives its own, a bridge relays by giving its client. Each
 * stream may have MAX_LEDGER_REQUESTS requests under way; the next one is read when one of them is done. Of pages of the past one is made at a
 * time for a stream: they are much work for a short question. A stream that brings MAX_UNSIGNED_IN_A_ROW is answered and ended.
 */
export async function serveLedger(
  host: NetworkHost,
  ledger: LedgerAccess,
  { submitted }: ServeLedgerOptions = {}
): Promise<void> {
  await host.handle(
    LEDGER_PROTOCOL,
    async (channel, stopping) => {
      const typed = new TypedChannel<LedgerRequest, LedgerAnswer>(channel, ledgerRequestSchema)
      await new LedgerSession(typed, ledger, stopping, submitted).run()
      await channel.close()
    },
    { maxMessageBytes: LEDGER_MESSAGE_BYTES }
  )
}

class LedgerSession {
  readonly #ended = new AbortController()
  readonly #signal: AbortSignal
  readonly #running = new Set<Promise<void>>()
  readonly #follows = new Map<number, AbortController>()
  /** Submissions in a row whose signatures don't hold, and what ends the reading after too many. */
  #unsigned = 0
  readonly #enough = new AbortController()
  readonly #reading: AbortSignal
  /** The page of the past that is made now, and all that wait for it. */
  #history: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly typed: TypedChannel<LedgerRequest, LedgerAnswer>,
    private readonly ledger: LedgerAccess,
    stopping: AbortSignal,
    private readonly submitted: ServeLedgerOptions['submitted']
  ) {
    this.#signal = AbortSignal.any([stopping, this.#ended.signal])
    this.#reading = AbortSignal.any([this.#signal, this.#enough.signal])
  }

  async run(): Promise<void> {
    void this.typed.channel.closed.then(() => this.#ended.abort(new Error('the stream is closed')))
    try {
      for (;;) {
        if (this.#running.size >= MAX_LEDGER_REQUESTS) await Promise.race(this.#running)
        const request = await this.#next()
        if (request === null) break
        if (request.method === 'unfollow') {
          this.#follows.get(request.id)?.abort(new Error('unfollowed'))
          continue
        }
        const work = this.#serve(request).finally(() => this.#running.delete(work))
        this.#running.add(work)
      }
      // A half-close means "no more requests": what was asked is still answered, a follow ends with the stream.
      for (const follow of this.#follows.values()) follow.abort(new Error('the stream is half-closed'))
      await Promise.all(this.#running)
    } finally {
      this.#ended.abort(new Error('the stream is closed'))
    }
  }

  /** null: no more is read. */
  async #next(): Promise<LedgerRequest | null> {
    try {
      return await this.typed.receive(this.#reading)
    } catch (error) {
      if (this.#enough.signal.aborted) return null
      throw error
    }
  }

  async #serve(request: Exclude<LedgerRequest, { method: 'unfollow' }>): Promise<void> {
    const { id } = request
    try {
      if (request.method === 'follow') await this.#follow(id, request.after)
      else await this.typed.send({ id, ok: true, value: await this.#value(request) }, this.#signal)
    } catch (error) {
      if (this.#signal.aborted) return
      const { code, data } = asPekkaError(error)
      // Where the stream is gone there is nobody to tell.
      await this.typed.send({ id, ok: false, code, data: plain(data) }, this.#signal).catch(() => {})
    }
  }

  #value(request: Exclude<LedgerRequest, { method: 'follow' | 'unfollow' }>): Promise<unknown> {
    switch (request.method) {
      case 'submit':
        return this.#submit(request.transaction)
      case 'time':
        return this.ledger.time(this.#signal)
      case 'genesis':
        return this.ledger.genesis(this.#signal)
      case 'account':
        return this.ledger.account(request.account, this.#signal)
      case 'provider':
        return this.ledger.provider(request.provider, this.#signal)
      case 'task':
        return this.ledger.task(request.task, this.#signal)
      case 'asks':
        return this.ledger.asks(request.image, this.#signal)
      case 'auctions':
        return this.ledger.auctions(request.auction, this.#signal)
      case 'transaction':
        return this.ledger.transaction(request.transaction, this.#signal)
      case 'prove':
        return this.ledger.prove(request.what, this.#signal)
      case 'history':
        return this.#page(request.what)
    }
  }

  #page(what: HistoryRequest): Promise<unknown> {
    const page = this.#history.then(() => {
      this.#signal.throwIfAborted()
      return this.ledger.history(what, this.#signal)
    })
    this.#history = page.catch(() => undefined)
    return page
  }

  async #submit(transaction: Uint8Array): Promise<TransactionOutcome> {
    const began = performance.now()
    const outcome = await this.ledger.submit(transaction, this.#signal)
    this.submitted?.(outcome, performance.now() - began)
    this.#unsigned = 'code' in outcome && UNSIGNED.includes(outcome.code) ? this.#unsigned + 1 : 0
    if (this.#unsigned >= MAX_UNSIGNED_IN_A_ROW) this.#enough.abort()
    return outcome
  }

  async #follow(id: number, after: number): Promise<void> {
    const stop = new AbortController()
    this.#follows.set(id, stop)
    const signal = AbortSignal.any([this.#signal, stop.signal])
    try {
      // Each send waits for room, so a follower that reads slowly holds the ledger's reader back, not our memory.
      for await (const value of this.ledger.follow(after, signal))
        await this.typed.send({ id, ok: true, value }, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#follows.delete(id)
    }
  }
}

/** What a submission is refused with whose signatures don't hold: no honest sender's, but each costs as much to find out as one that does. */
const UNSIGNED: readonly string[] = ['SIGNATURE_INVALID', 'PEER_NOT_VOUCHED']

/** Amounts as text: an answer's data is shown to people, not counted with. */
const plain = (data: ErrorData): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, typeof value === 'bigint' ? value.toString() : value])
  )
