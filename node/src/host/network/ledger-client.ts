import { z } from 'zod'
import {
  HISTORY,
  LEDGER_PROTOCOL,
  PekkaError,
  accountViewSchema,
  askViewSchema,
  commitViewSchema,
  fromProblem,
  isPekkaError,
  ledgerAnswerSchema,
  ledgerTimeSchema,
  outcomeSchema,
  providerViewSchema,
  taskViewSchema,
  type AccountView,
  type AskView,
  type CommitView,
  type HistoryRequest,
  type LedgerAccess,
  type LedgerAnswer,
  type LedgerRequest,
  type LedgerTime,
  type PageOf,
  type ProofRequest,
  type ProviderView,
  type TaskView,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { LEDGER_MESSAGE_BYTES, LEDGER_PATIENCE_MS, RECONNECT_MAX_MS, RECONNECT_MIN_MS } from './constants.js'
import type { MessageChannel, NetworkHost } from './index.js'
import { pause } from './standing-link.js'
import { TypedChannel } from './typed-channel.js'

export interface LedgerClientComponents {
  host: NetworkHost
}

export interface LedgerClientInit {
  /** Witnesses, and bridges that relay: any of them will do; the next one is tried when one fails. */
  addresses: readonly string[]
  /** How long a call tries before LEDGER_UNREACHABLE, ms. */
  patience?: number
}

type Ask<T> = T extends { id: number } ? Omit<T, 'id'> : never
type Answer = ReturnType<typeof Promise.withResolvers<unknown>>

/**
 * Access to the ledger over `/pekka/ledger/1`. Calls share one stream on a connection of its own, so that a lease renewal
 * never waits behind bulk output. A call whose stream is lost is made again: reads change nothing, and a transaction has
 * one id however often it is sent (R13, R27).
 */
export class LedgerClient implements LedgerAccess {
  #addresses: string[]
  #next = 0
  #session: Promise<Session> | null = null
  readonly #patience: number
  readonly #stopping = new AbortController()

  constructor(
    private readonly components: LedgerClientComponents,
    init: LedgerClientInit
  ) {
    this.#addresses = [...init.addresses]
    this.#patience = init.patience ?? LEDGER_PATIENCE_MS
  }

  /** Other addresses from now on, e.g. those a bridge named. */
  use(addresses: readonly string[]): void {
    this.#addresses = [...addresses]
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new PekkaError('LINK_CLOSED', {}))
    const session = await this.#session?.catch(() => null)
    session?.end(new PekkaError('LINK_CLOSED', {}))
  }

  async submit(transaction: Uint8Array, signal?: AbortSignal): Promise<TransactionOutcome> {
    return view(outcomeSchema, await this.#call({ method: 'submit', transaction }, signal))
  }

  async time(signal?: AbortSignal): Promise<LedgerTime> {
    return view(ledgerTimeSchema, await this.#call({ method: 'time' }, signal))
  }

  async genesis(signal?: AbortSignal): Promise<Uint8Array> {
    return view(bytes, await this.#call({ method: 'genesis' }, signal))
  }

  async account(account: Uint8Array, signal?: AbortSignal): Promise<AccountView | null> {
    return view(accountViewSchema.nullable(), await this.#call({ method: 'account', account }, signal))
  }

  async provider(provider: Uint8Array, signal?: AbortSignal): Promise<ProviderView | null> {
    return view(providerViewSchema.nullable(), await this.#call({ method: 'provider', provider }, signal))
  }

  async task(task: Uint8Array, signal?: AbortSignal): Promise<TaskView | null> {
    return view(taskViewSchema.nullable(), await this.#call({ method: 'task', task }, signal))
  }

  async asks(image: string | null, signal?: AbortSignal): Promise<AskView[]> {
    return view(z.array(askViewSchema), await this.#call({ method: 'asks', image }, signal))
  }

  async transaction(
    id: Uint8Array,
    signal?: AbortSignal
  ): Promise<{ bytes: Uint8Array; outcome: TransactionOutcome } | null> {
    return view(finalSchema, await this.#call({ method: 'transaction', transaction: id }, signal))
  }

  async prove(what: ProofRequest, signal?: AbortSignal): Promise<Uint8Array | null> {
    return view(bytes.nullable(), await this.#call({ method: 'prove', what }, signal))
  }

  async history<R extends HistoryRequest>(what: R, signal?: AbortSignal): Promise<PageOf<R>> {
    // The page of the question's own kind is what its schema gives.
    const page = HISTORY[what.kind].page as unknown as z.ZodType<PageOf<R>>
    return view(page, await this.#call({ method: 'history', what }, signal))
  }

  async *follow(after: number, signal: AbortSignal): AsyncGenerator<CommitView, void, undefined> {
    let last = after
    let failures = 0
    let failingSince: number | null = null
    while (!signal.aborted) {
      try {
        for await (const commit of this.#followOnce(last, signal)) {
          failingSince = null
          failures = 0
          if (commit.header.index !== last + 1) throw new PekkaError('LINK_PROTOCOL', { issue: 'a commit is missing' })
          last = commit.header.index
          yield commit
        }
      } catch (error) {
        if (signal.aborted) return
        failingSince ??= performance.now()
        if (performance.now() - failingSince > this.#patience) {
          throw new PekkaError('LEDGER_UNREACHABLE', {}, { cause: error })
        }
        this.#next += 1
      }
      await pause(backOff(failures++), signal)
    }
  }

  /** One stream's life of a follow; it has a stream of its own, so that answers never wait behind commits. */
  async *#followOnce(after: number, signal: AbortSignal): AsyncGenerator<CommitView, void, undefined> {
    const typed = await this.#open(signal)
    try {
      await typed.send({ id: 0, method: 'follow', after }, signal)
      for (;;) {
        const answer = await typed.receive(signal)
        if (answer === null) return
        if (!answer.ok) throw fromProblem(answer)
        yield view(commitViewSchema, answer.value)
      }
    } finally {
      typed.channel.abort(new Error('no longer followed'))
    }
  }

  async #call(request: Ask<LedgerRequest>, signal?: AbortSignal): Promise<unknown> {
    const limit = AbortSignal.timeout(this.#patience)
    const parts = [limit, this.#stopping.signal, ...(signal === undefined ? [] : [signal])]
    const both = AbortSignal.any(parts)
    for (let failures = 0; ; failures++) {
      try {
        const session = await this.#getSession()
        return await session.call(request, both)
      } catch (error) {
        signal?.throwIfAborted()
        // An answer of the ledger, even a bad one, is an answer; a relay that can't reach it has none.
        if (error instanceof Answered && error.error.code !== 'LEDGER_UNREACHABLE') throw error.error
        if (error instanceof Answered) (await this.#session?.catch(() => null))?.end(error.error)
        if (both.aborted) throw new PekkaError('LEDGER_UNREACHABLE', {}, { cause: error })
        await pause(backOff(failures), both)
      }
    }
  }

  async #getSession(): Promise<Session> {
    this.#session ??= this.#open(this.#stopping.signal).then(
      typed => {
        const session = new Session(typed)
        void session.ended.then(() => this.#forget())
        return session
      },
      (error: unknown) => {
        this.#forget()
        throw error
      }
    )
    return await this.#session
  }

  #forget(): void {
    this.#session = null
    this.#next += 1
  }

  async #open(signal: AbortSignal): Promise<TypedChannel<LedgerAnswer, LedgerRequest>> {
    const address = this.#addresses[this.#next % this.#addresses.length]
    if (address === undefined) throw new PekkaError('LEDGER_UNREACHABLE', {})
    const channel: MessageChannel = await this.components.host.open(address, LEDGER_PROTOCOL, {
      signal,
      maxMessageBytes: LEDGER_MESSAGE_BYTES,
      separate: true
    })
    return new TypedChannel<LedgerAnswer, LedgerRequest>(channel, ledgerAnswerSchema)
  }
}

const bytes = z.custom<Uint8Array>(value => value instanceof Uint8Array)
const finalSchema = z.object({ bytes, outcome: outcomeSchema }).nullable()

function view<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new PekkaError(
    'LINK_PROTOCOL',
    { issue: `${issue?.path.join('.')}: ${issue?.message}` },
    { cause: parsed.error }
  )
}

const backOff = (failures: number): number =>
  Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2)

/** The ledger's own answer, as against a failure to get one. */
class Answered extends Error {
  constructor(readonly error: PekkaError) {
    super(error.message)
  }
}

/** One stream with the calls that wait on it. */
class Session {
  readonly ended: Promise<void>
  readonly #waiting = new Map<number, Answer>()
  #lastId = 0

  constructor(private readonly typed: TypedChannel<LedgerAnswer, LedgerRequest>) {
    this.ended = this.#read().catch((error: unknown) =>
      this.end(isPekkaError(error) ? error : new PekkaError('LINK_CLOSED', {}))
    )
  }

  async call(request: Ask<LedgerRequest>, signal: AbortSignal): Promise<unknown> {
    const id = ++this.#lastId
    const answer: Answer = Promise.withResolvers()
    const aborted = () => answer.reject(signal.reason)
    this.#waiting.set(id, answer)
    signal.addEventListener('abort', aborted, { once: true })
    try {
      await Promise.race([this.typed.send({ ...request, id }, signal), answer.promise])
      return await answer.promise
    } finally {
      signal.removeEventListener('abort', aborted)
      this.#waiting.delete(id)
    }
  }

  end(error: Error): void {
    this.typed.channel.abort(error)
    for (const answer of this.#waiting.values()) answer.reject(error)
    this.#waiting.clear()
  }

  async #read(): Promise<void> {
    for await (const answer of this.typed) {
      const waiting = this.#waiting.get(answer.id)
      // Nobody waits any more for what a signal ended.
      if (waiting === undefined) continue
      if (answer.ok) waiting.resolve(answer.value)
      else waiting.reject(new Answered(fromProblem(answer)))
    }
    this.end(new PekkaError('LINK_LOST', { reason: 'the ledger closed the stream' }))
  }
}
