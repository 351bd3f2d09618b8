import { z } from 'zod'
import {
  HISTORY,
  LEDGER_PROTOCOL,
  PekkaError,
  accountViewSchema,
  askViewSchema,
  auctionRowSchema,
  commitViewSchema,
  decodeProof,
  fromProblem,
  isStage,
  isPekkaError,
  ledgerAnswerSchema,
  ledgerTimeSchema,
  outcomeSchema,
  providerViewSchema,
  taskViewSchema,
  type AccountView,
  type AskView,
  type AuctionView,
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
import {
  LEDGER_MESSAGE_BYTES,
  LEDGER_PATIENCE_MS,
  LEDGER_SILENCE_MS,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS
} from './constants.js'
import type { MessageChannel, NetworkHost } from './index.js'
import { Heights } from './heights.js'
import { Liveness } from './liveness.js'
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
  /** Where there are several addresses: how long one may be silent before the next is tried, ms. */
  silence?: number
}

type Ask<T> = T extends { id: number } ? Omit<T, 'id'> : never
type Answer = ReturnType<typeof Promise.withResolvers<unknown>>

/**
 * Access to the ledger over `/pekka/ledger/1`. Calls share one stream on a connection of its own, so that a lease renewal
 * never waits behind bulk output. A call whose stream is lost is made again: reads change nothing, and a transaction has
 * one id however often it is sent (R13, R27).
 *
 * With several addresses one that is silent is left for the next, and nothing is read from a witness that is behind what another has shown:
 * an account never goes back to what it was because its witness was killed.
 */
export class LedgerClient implements LedgerAccess {
  #addresses: string[]
  #next = 0
  #session: Promise<Session> | null = null
  /** Commits that answers were about, and checkpoints that rows were proved from, by witness. */
  readonly #seen = new Heights(() => this.#addresses.length)
  readonly #proven = new Heights(() => this.#addresses.length)
  readonly #patience: number
  readonly #silence: number
  readonly #stopping = new AbortController()

  constructor(
    private readonly components: LedgerClientComponents,
    init: LedgerClientInit
  ) {
    this.#addresses = [...init.addresses]
    this.#patience = init.patience ?? LEDGER_PATIENCE_MS
    this.#silence = init.silence ?? LEDGER_SILENCE_MS
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

  async auctions(auction: Uint8Array | null, signal?: AbortSignal): Promise<AuctionView[]> {
    return view(z.array(auctionRowSchema), await this.#call({ method: 'auctions', auction }, signal))
  }

  async transaction(
    id: Uint8Array,
    signal?: AbortSignal
  ): Promise<{ bytes: Uint8Array; outcome: TransactionOutcome } | null> {
    return view(finalSchema, await this.#call({ method: 'transaction', transaction: id }, signal))
  }

  async prove(what: ProofRequest, signal?: AbortSignal): Promise<Uint8Array | null> {
    const until = performance.now() + this.#patience
    for (;;) {
      const { answer, session } = await this.#callOn({ method: 'prove', what }, signal)
      const proof = view(bytes.nullable(), answer)
      if (this.#addresses.length < 2) return proof
      if (what.kind !== 'rows') {
        this.#noteProven(proof, session)
        return proof
      }
      if (this.#isRecent(proof, session)) return proof
      if (performance.now() > until) return proof
      await pause(BEHIND_LOOK_MS, signal ?? this.#stopping.signal)
    }
  }

  /** A transaction may be shown under an old checkpoint; its reader wants no rows from before a newer one either. */
  #noteProven(proof: Uint8Array | null, { address }: Session): void {
    const index = proof === null ? null : checkpointIn(proof)
    if (index !== null && index > this.#proven.required) this.#proven.tell(address, index)
  }

  /** Another witness may still lack a certificate that was shown: its proof would be from before, which readers refuse. */
  #isRecent(proof: Uint8Array | null, session: Session): boolean {
    const index = proof === null ? null : checkpointIn(proof)
    if (index === null) return true
    const { address } = session
    this.#proven.tell(address, index)
    if (index >= this.#proven.required) {
      session.lateSince = null
      return true
    }
    session.lateSince ??= monotonic()
    if (monotonic() - session.lateSince < this.#silence) return false
    this.#proven.stayedBehind(address)
    session.end(new PekkaError('LINK_LOST', { reason: 'it is behind the others' }))
    return index >= this.#proven.required
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
    /** Witnesses in a row that can't give the next commit: it isn't kept any more, or is larger than a message. */
    let without = 0
    /** What was said by those who can't give the next commit, since the last one came, by their places in the list. */
    const missing = new Map<number, PekkaError>()
    while (!signal.aborted) {
      const place = this.#next % this.#addresses.length
      try {
        for await (const { commit, address } of this.#followOnce(last, signal)) {
          failingSince = null
          failures = 0
          without = 0
          missing.clear()
          if (commit.header.index !== last + 1) throw new PekkaError('LINK_PROTOCOL', { issue: 'a commit is missing' })
          last = commit.header.index
          this.#seen.tell(address, last)
          yield commit
        }
      } catch (error) {
        if (signal.aborted) return
        // Another one may keep more; where none does, trying on brings nothing.
        without = isCommitMissing(error) ? without + 1 : 0
        if (isCommitMissing(error)) missing.set(place, error)
        if (without >= this.#addresses.length) throw error
        failingSince ??= performance.now()
        if (performance.now() - failingSince > this.#patience) {
          // Who can be reached lacks it: one that can't be is no reason to wait for ever. Less than a third may lie.
          const [said] = missing.values()
          if (said !== undefined && 3 * missing.size >= this.#addresses.length) throw said
          throw new PekkaError('LEDGER_UNREACHABLE', {}, { cause: error })
        }
        this.#next += 1
      }
      await pause(backOff(failures++), signal)
    }
  }

  /** One stream's life of a follow; it has a stream of its own, so that answers never wait behind commits. */
  async *#followOnce(
    after: number,
    signal: AbortSignal
  ): AsyncGenerator<{ commit: CommitView; address: string }, void, undefined> {
    const { typed, address } = await this.#open(signal)
    const watch = this.#watch(typed)
    try {
      await typed.send({ id: FOLLOW, method: 'follow', after }, signal)
      for (;;) {
        const answer = await typed.receive(signal)
        watch?.heard()
        if (answer === null) return
        if (answer.id !== FOLLOW) continue
        if (!answer.ok) throw fromProblem(answer)
        yield { commit: view(commitViewSchema, answer.value), address }
      }
    } finally {
      watch?.stop()
      typed.channel.abort(new Error('no longer followed'))
    }
  }

  async #call(request: Ask<LedgerRequest>, signal?: AbortSignal): Promise<unknown> {
    return (await this.#callOn(request, signal)).answer
  }

  async #callOn(request: Ask<LedgerRequest>, signal?: AbortSignal): Promise<{ answer: unknown; session: Session }> {
    const limit = AbortSignal.timeout(this.#patience)
    const parts = [limit, this.#stopping.signal, ...(signal === undefined ? [] : [signal])]
    const both = AbortSignal.any(parts)
    for (let failures = 0; ; failures++) {
      try {
        const session = await this.#getSession()
        if (request.method !== 'submit' && request.method !== 'genesis') await this.#reach(session, both)
        const answer = await session.call(request, both)
        this.#note(session, answer)
        return { answer, session }
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

  /** Waits until a witness is as far as what was shown before; one that stays behind is left. */
  async #reach(session: Session, signal: AbortSignal): Promise<void> {
    if (this.#addresses.length < 2) return
    const began = monotonic()
    for (let looks = 0; session.height < this.#seen.required; looks++) {
      if (looks > 0) await pause(BEHIND_LOOK_MS, signal)
      this.#note(session, await session.call({ method: 'time' }, signal))
      if (monotonic() - began < this.#silence || session.height >= this.#seen.required) continue
      this.#seen.stayedBehind(session.address)
      if (session.height >= this.#seen.required) return
      session.end(new PekkaError('LINK_LOST', { reason: 'it is behind the others' }))
      throw new PekkaError('LINK_LOST', { reason: 'it is behind the others' })
    }
  }

  /** Answers about transactions and the time say how far a witness is. */
  #note(session: Session, answer: unknown): void {
    const { data } = heightSchema.safeParse(answer)
    if (data === undefined) return
    session.height = Math.max(session.height, data.index)
    this.#seen.tell(session.address, session.height)
  }

  /** Where there is another address: asks something small now and then, and gives a stream up whose other side says nothing. */
  #watch(typed: TypedChannel<LedgerAnswer, LedgerRequest>): Liveness | null {
    if (this.#addresses.length < 2) return null
    return new Liveness(typed.channel, {
      ping: () => typed.send({ id: PING, method: 'time' }),
      pingInterval: this.#silence / 3,
      silenceLimit: this.#silence
    })
  }

  async #getSession(): Promise<Session> {
    this.#session ??= this.#open(this.#stopping.signal).then(
      ({ typed, address }) => {
        const session = new Session(typed, address, this.#watch(typed))
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

  async #open(signal: AbortSignal): Promise<{ typed: TypedChannel<LedgerAnswer, LedgerRequest>; address: string }> {
    const address = this.#addresses[this.#next % this.#addresses.length]
    if (address === undefined) throw new PekkaError('LEDGER_UNREACHABLE', {})
    const channel: MessageChannel = await this.components.host.open(address, LEDGER_PROTOCOL, {
      signal,
      maxMessageBytes: LEDGER_MESSAGE_BYTES,
      separate: true
    })
    return { typed: new TypedChannel<LedgerAnswer, LedgerRequest>(channel, ledgerAnswerSchema), address }
  }
}

/** Ids of requests on a stream: a follow has one of its own; calls count from 1. */
const FOLLOW = 0
const PING = 0xffff_ffff

/** How often a witness that is behind what was shown is asked how far it is, ms. */
const BEHIND_LOOK_MS = 20

/** What commit a proof's checkpoint is about; null: it is no proof, which is for its reader to say, or leads to one only. */
function checkpointIn(bytes: Uint8Array): number | null {
  try {
    const proof = decodeProof(bytes)
    return isStage(proof) ? null : proof.certificate.checkpoint.index
  } catch {
    return null
  }
}

const monotonic = (): number => performance.now()

const heightSchema = z.looseObject({ index: z.number().int() })

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

/** Whether the witness that was asked will never send the commit that comes next. */
export const isCommitMissing = (error: unknown): error is PekkaError =>
  isPekkaError(error) && (error.code === 'HISTORY_PRUNED' || error.code === 'LINK_MESSAGE_TOO_LARGE')

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
  /** Index of the last commit that its witness is known to have. */
  height = -1
  /** Since when its proofs are from before what another has shown. */
  lateSince: number | null = null
  readonly #waiting = new Map<number, Answer>()
  #lastId = 0

  constructor(
    private readonly typed: TypedChannel<LedgerAnswer, LedgerRequest>,
    readonly address: string,
    private readonly watch: Liveness | null
  ) {
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
    this.watch?.stop()
    this.typed.channel.abort(error)
    for (const answer of this.#waiting.values()) answer.reject(error)
    this.#waiting.clear()
  }

  async #read(): Promise<void> {
    for await (const answer of this.typed) {
      this.watch?.heard()
      const waiting = this.#waiting.get(answer.id)
      // Nobody waits any more for what a signal ended.
      if (waiting === undefined) continue
      if (answer.ok) waiting.resolve(answer.value)
      else waiting.reject(new Answered(fromProblem(answer)))
    }
    this.end(new PekkaError('LINK_LOST', { reason: 'the ledger closed the stream' }))
  }
}
