import {
  PekkaError,
  asPekkaError,
  encodeCbor,
  followingLedgerSchema,
  fromProblem,
  ledgerBatchSchema,
  type FollowLedger,
  type LedgerBatch
} from '../../protocol/index.js'
import type { TokenSource } from '../credentials.js'
import { readPacked as read, type LiveFactory, type LiveSocket } from '../transport.js'

/** Where to begin and what to leave out; `after` null: with what comes from now on. */
export type TailRequest = FollowLedger

/** Who listens. Called in order; the next batch comes once the promise settles. */
export interface TailListener {
  /** `missed`: the first and last commit before it that the ledger's witnesses don't have any more. */
  batch(batch: LedgerBatch, missed: { from: number; to: number } | null): void | Promise<void>
  /** The connection is there, or is gone and is being made anew. */
  connected?(connected: boolean): void
  failed(error: PekkaError): void
}

/**
 * Follows the ledger's final transactions through a bridge. It goes on by the commit's index after every reconnection, so nothing is told
 * twice and nothing left out, also over a restart of the bridge.
 */
export class LedgerTail {
  #socket: LiveSocket | null = null
  /** Last commit that was told of; null: not yet known where to begin. */
  #after: number | null
  /** The request under way: batches before its answer are another's. */
  #asked = 0
  #answered = false
  #queue: Promise<void> = Promise.resolve()

  constructor(
    private readonly components: { live: LiveFactory; tokens: TokenSource },
    private readonly request: TailRequest,
    private readonly listener: TailListener
  ) {
    this.#after = request.after
  }

  /** Index of the last commit that has been told of; null before it is known. */
  get after(): number | null {
    return this.#after
  }

  start(): void {
    if (this.#socket !== null) return
    const { live, tokens } = this.components
    const socket = live(() => tokens.get())
    this.#socket = socket
    socket.on('connect', () => {
      this.listener.connected?.(true)
      this.#ask(socket)
    })
    socket.on('disconnect', () => this.#lost())
    // A token that the bridge no longer knows (it was restarted) is renewed at the next try.
    socket.on('connect_error', () => {
      tokens.drop()
      this.#lost()
    })
    socket.on('ledger', (packed, taken) => this.#take(packed, taken))
    socket.connect()
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#asked += 1
    this.#answered = false
    const socket = this.#socket
    this.#socket = null
    socket?.disconnect()
  }

  #lost(): void {
    // Our own end is no loss.
    if (this.#socket === null) return
    this.#asked += 1
    this.#answered = false
    this.listener.connected?.(false)
  }

  /** After what is still being told, so that `after` is true. */
  #ask(socket: LiveSocket): void {
    const asked = ++this.#asked
    this.#answered = false
    this.#queue = this.#queue.then(() => {
      if (asked !== this.#asked) return
      const request: FollowLedger = { ...this.request, after: this.#after }
      socket.emit('follow-ledger', encodeCbor(request), (packed: unknown) => {
        if (asked !== this.#asked) return
        const answer = read(followingLedgerSchema, packed)
        if (answer === null) return this.listener.failed(new PekkaError('ENCODING_MALFORMED'))
        if (!answer.ok) return this.listener.failed(fromProblem(answer))
        this.#answered = true
        this.#after ??= answer.after
      })
    })
  }

  #take(packed: unknown, taken: unknown): void {
    const asked = this.#asked
    const batch = read(ledgerBatchSchema, packed)
    if (batch === null) return this.listener.failed(new PekkaError('ENCODING_MALFORMED'))
    if (!this.#answered) return
    this.#queue = this.#queue
      .then(async () => {
        const after = this.#after
        // Another connection's: this one has been asked for anew, from `after`.
        if (asked !== this.#asked || after === null || batch.after < after) return
        await this.listener.batch(batch, batch.after > after ? { from: after + 1, to: batch.after } : null)
        this.#after = batch.through
        if (typeof taken === 'function') taken()
      })
      .catch((error: unknown) => this.listener.failed(asPekkaError(error)))
  }
}
