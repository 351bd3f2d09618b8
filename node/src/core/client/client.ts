import {
  PekkaError,
  accountViewSchema,
  asPekkaError,
  encodeSigned,
  fromOutcome,
  healthSchema,
  imagesSchema,
  inputAnswerSchema,
  layerAnswerSchema,
  networkSchema,
  outcomeSchema,
  proofSchema,
  readKey,
  taskItemSchema,
  taskKey,
  taskListSchema,
  toCid,
  toHex,
  type AccountView,
  type BodyOf,
  type Clock,
  type Input,
  type LayerAnswer,
  type LayerRequest,
  type NetworkInfo,
  type Primitives,
  type Receipt,
  type TaskItem,
  type TaskView,
  type TransactionOutcome
} from '../protocol/index.js'
import { buyByAuction, type AuctionObserver, type AuctionRequest } from './task/auction.js'
import { TokenSource, type Identity, type OwnerSignature } from './credentials.js'
import { TaskFollower, type TaskObserver } from './task/follow.js'
import { SignedImageRegistry, type ImageRegistry } from './ledger/image-registry.js'
import { LedgerImageRegistry } from './ledger/ledger-images.js'
import { Lane, createExclusive, type Exclusive } from './ledger/lane.js'
import { LedgerTail, type TailListener, type TailRequest } from './ledger/ledger-tail.js'
import { Live } from './live.js'
import { Market } from './market.js'
import { HandIn } from './task/hand-in.js'
import { openNote, prepareTask, type TaskNote, type TaskRequest } from './task/offer.js'
import { findQuote, type Quote, type QuoteRequest } from './quote.js'
import { TaskReader, type FinishedRun } from './task/reader.js'
import { ProvenLedger } from './ledger/proven-ledger.js'
import { proofForReceipt } from './ledger/receipt-proof.js'
import { makeReceipt } from './task/receipt.js'
import { RemoteSession, type SessionObserver } from './task/session.js'
import { Http, type FetchLike, type LiveFactory } from './transport.js'
import { packTravel, type Packed, type Travel } from './task/travel.js'

export interface ClientComponents {
  fetch: FetchLike
  live: LiveFactory
  primitives: Primitives
  clock: Clock
  /** Signs tokens as the account's owner; default: as the delegate. */
  owner?: OwnerSignature
  /** Serialises signing on the lane; between the tabs of a browser profile a Web Lock. Default: a mutex. */
  exclusive?: Exclusive
}

export interface ClientInit {
  /** Address of the bridge. */
  base: string
  identity: Identity
  headers?: Record<string, string>
}

/** A client of one bridge, for one delegate of one account. */
export class PekkaClient {
  readonly http: Http
  readonly tokens: TokenSource
  readonly market: Market
  /** What the ledger says, by proof. */
  readonly ledger: ProvenLedger
  /** Which images this network lists. */
  readonly registry: ImageRegistry
  readonly live: Live
  readonly #lane: Lane
  readonly #cells: Exclusive = createExclusive()
  readonly #agents = new Map<string, Uint8Array>()
  readonly #handIn: HandIn

  constructor(
    private readonly components: ClientComponents,
    private readonly init: ClientInit
  ) {
    const { primitives, clock } = components
    const { identity } = init
    this.http = new Http(components, init)
    this.tokens = new TokenSource({ http: this.http, clock, identity, owner: components.owner })
    this.market = new Market({ http: this.http, primitives, clock }, identity.network)
    const { verifier } = primitives
    this.ledger = new ProvenLedger({ http: this.http, verifier, token: () => this.tokens.get() }, identity.network)
    const list = new SignedImageRegistry(
      { verifier, clock, network: fresh => this.ledger.anchor(fresh) },
      identity.network
    )
    this.registry = new LedgerImageRegistry({ ledger: this.ledger, clock, list })
    this.live = new Live({ live: components.live, tokens: this.tokens })
    const exclusive = components.exclusive ?? createExclusive()
    this.#lane = new Lane({ http: this.http, tokens: this.tokens, clock, identity, exclusive })
    const authorised = <T>(work: (token: string) => Promise<T>): Promise<T> => this.#authorised(work)
    this.#handIn = new HandIn({ http: this.http, tokens: this.tokens, lane: this.#lane, authorised })
  }

  get identity(): Identity {
    return this.init.identity
  }

  /** Follows the ledger's final transactions, whosever they are, until its `stop`. */
  followLedger(request: TailRequest, listener: TailListener): LedgerTail {
    const tail = new LedgerTail({ live: this.components.live, tokens: this.tokens }, request, listener)
    tail.start()
    return tail
  }

  /** What it would cost and who would run it. @throws PekkaError NO_MATCH, IMAGE_UNKNOWN, IMAGE_RETIRED, IMAGE_UNLISTED, IMAGE_LIST_INVALID, SESSION_NOT_OFFERED, BRIDGE_UNREACHABLE */
  async quote(request: QuoteRequest): Promise<Quote> {
    const { registry, market, ledger } = this
    return await findQuote({ registry, market, ledger, random: this.components.primitives.random }, request)
  }

  /**
   * Has the bridge look up packages that the image lacks, with all that they need, and fetch them: before anything costs.
   * The bridge learns their names. `digest` belongs into the request.
   * @throws PekkaError REQUIREMENT_REFUSED, LAYER_…, LAYERS_OFF, LAYERS_UNREACHABLE
   */
  async addPackages(quote: Quote, requirements: readonly string[], signal?: AbortSignal): Promise<LayerAnswer> {
    const [first] = quote.candidates
    if (!first) throw new PekkaError('NO_MATCH')
    const { name, digest } = first.ask.image
    const body: LayerRequest = { image: name, digest, requirements: [...requirements] }
    return await this.#authorised(token =>
      this.http.request('POST', '/v1/layers', layerAnswerSchema, { body, token, ...(signal && { signal }) })
    )
  }

  /**
   * Has the bridge fetch what stands at an address, for a program that reads it there. The bridge learns the address.
   * @throws PekkaError INPUT_REFUSED, INPUT_UNREACHABLE, INPUT_TOO_BIG
   */
  async fetchInput(url: string, path: string, signal?: AbortSignal): Promise<Input> {
    const { hash, size } = await this.#authorised(token =>
      this.http.request('POST', '/v1/inputs', inputAnswerSchema, { body: { url }, token, ...(signal && { signal }) })
    )
    return { url, hash, size, path }
  }

  /**
   * Seals, signs and hands the task to the bridge. Resolves when the bridge has it on disk.
   * @throws PekkaError NO_MATCH, IMAGE_UNKNOWN, CAP_TOO_LOW, FUNDS_MISSING, DELEGATE_CAP, BRIDGE_UNREACHABLE, …
   */
  async submit(request: TaskRequest, quote?: Quote): Promise<Uint8Array> {
    const { candidates } = quote ?? (await this.quote({ ...request, image: request.image ?? DEFAULT_IMAGE }))
    for (const { provider, agentKey } of candidates) this.#agents.set(provider.provider.join(), agentKey)
    const { primitives } = this.components
    const packed = request.travel === undefined ? undefined : await this.pack(request.travel)
    const prepared = await prepareTask({ primitives, identity: this.identity }, request, candidates, packed)
    await this.#handIn.upload(prepared)
    await this.#handIn.offer(prepared)
    return prepared.offer.task
  }

  /**
   * Has providers bid for a task (R31), and hands it to the lowest one. Stays until the award, for only this client can box the key
   * (R4): ended before, the task ends `no-key` and everything comes back. Resolves when the bridge has the offer on disk.
   * @throws PekkaError AUCTION_NO_BID, AUCTION_ENDED, PROOF_INVALID, and as {@link submit}
   */
  async auction(request: AuctionRequest, quote: Quote, observer: AuctionObserver = {}): Promise<Uint8Array> {
    const { primitives, clock } = this.components
    const packed = request.travel === undefined ? undefined : await this.pack(request.travel)
    const parts = {
      http: this.http,
      market: this.market,
      ledger: this.ledger,
      primitives,
      identity: this.identity,
      clock
    }
    return await buyByAuction(
      {
        ...parts,
        post: body => this.#post(body),
        offer: async (prepared, { provider, agentKey }) => {
          this.#agents.set(provider.provider.join(), agentKey)
          await this.#handIn.offer(prepared)
        },
        upload: sealed => this.#handIn.upload(sealed)
      },
      request,
      { quote, packed, observer }
    )
  }

  /** Follows a task from its beginning. The follower starts at once; stop it when its widget goes. */
  async follow(task: Uint8Array, observer: TaskObserver): Promise<TaskFollower> {
    const { viewKey, network } = this.identity
    const [read, key] = await Promise.all([readKey(viewKey, task), taskKey(viewKey, task)])
    const reader = new TaskReader(
      { primitives: this.components.primitives, blob: hash => this.#blob(task, hash) },
      { network, task, readKey: read, taskKey: key, agents: this.#agents }
    )
    const judge = (view: TaskView) => this.ledger.judge(view)
    const resubmit = (code: string) => this.#handIn.again(task, code)
    const follower = new TaskFollower({ live: this.live, reader, resubmit, judge }, task, observer)
    const forget = () => {
      this.#handIn.forget(task)
      // Who runs which task has changed; the next run finds it known.
      this.market.freshen()
    }
    follower.ended.then(forget, forget)
    follower.start()
    return follower
  }

  /** Follows a session (R33) from its beginning, to send it cells. Stop it when nobody looks any more. */
  async session(task: Uint8Array, observer: SessionObserver = {}): Promise<RemoteSession> {
    const { primitives } = this.components
    return await RemoteSession.follow(
      {
        http: this.http,
        authorised: work => this.#authorised(work),
        primitives,
        identity: this.identity,
        exclusive: this.#cells,
        follow: one => this.follow(task, one),
        close: () => this.closeSession(task)
      },
      task,
      observer
    )
  }

  /** Packs values and files that travel with a session's cell, and brings them to the bridge. */
  async pack(travel: Travel): Promise<Packed> {
    const { primitives } = this.components
    const { viewKey } = this.identity
    return await packTravel(
      { http: this.http, token: () => this.tokens.get(), aead: primitives.aead, viewKey, hash: primitives.hash },
      travel
    )
  }

  /** Ends a session as it should. Resolves when that is final on the ledger. @throws PekkaError TASK_STATE, … */
  async closeSession(task: Uint8Array): Promise<void> {
    await this.#post({ kind: 'close', task })
  }

  /**
   * Asks the ledger to stop a task, or an auction before its offer. Resolves when the cancel is final there, also where it came too late
   * (`failed`). @throws PekkaError TASK_STATE, …
   */
  async cancel(task: Uint8Array): Promise<TransactionOutcome> {
    return await this.#post({ kind: 'cancel', task })
  }

  async #post(body: BodyOf<'cancel' | 'close' | 'auction-open' | 'auction-reserve'>): Promise<TransactionOutcome> {
    return await this.#lane.send(body, async signed => {
      const outcome = await this.http.request('POST', '/v1/transactions', outcomeSchema, {
        body: { transaction: encodeSigned(signed) }
      })
      if (outcome.status === 'refused') throw outcomeError(outcome)
      return outcome
    })
  }

  async tasks(
    options: { before?: string; limit?: number } = {}
  ): Promise<{ tasks: (TaskItem & { title: TaskNote | null })[]; next: string | null }> {
    const query = `?limit=${options.limit ?? 50}${options.before ? `&before=${encodeURIComponent(options.before)}` : ''}`
    const { tasks, next } = await this.#authorised(token =>
      this.http.request('GET', `/v1/tasks${query}`, taskListSchema, { token })
    )
    const titled = await Promise.all(tasks.map(async item => ({ ...item, title: await this.note(item) })))
    return { tasks: titled, next }
  }

  async task(task: Uint8Array): Promise<TaskItem> {
    return await this.#authorised(token =>
      this.http.request('GET', `/v1/tasks/${toHex(task)}`, taskItemSchema, { token })
    )
  }

  /** The client's own note of a task: title and where its outputs belong. */
  note(item: TaskItem): Promise<TaskNote | null> {
    return openNote(this.components.primitives, this.identity, item.task, item.note)
  }

  async account(): Promise<AccountView> {
    const path = `/v1/accounts/${toHex(this.identity.account)}`
    return await this.#authorised(token => this.http.request('GET', path, accountViewSchema, { token }))
  }

  async images(): Promise<{ name: string; machines: number; least: bigint; most: bigint }[]> {
    const { images } = await this.http.request('GET', '/v1/images', imagesSchema)
    return images
  }

  health() {
    return this.http.request('GET', '/v1/health', healthSchema)
  }

  /**
   * The receipt of an ended task; `finished` from its follower. It carries the ledger's proof, which is asked for some seconds where the
   * network makes checkpoints; version 1 has none.
   * @throws PekkaError PROOF_INVALID where the ledger says something else than the bridge
   */
  async receipt(task: Uint8Array, finished: FinishedRun | null): Promise<Receipt> {
    const path = `/v1/tasks/${toHex(task)}/proof`
    const proof = await this.#authorised(token => this.http.request('GET', path, proofSchema, { token }))
    const key = await taskKey(this.identity.viewKey, task)
    const { clock } = this.components
    const shown = await proofForReceipt(this.ledger, proof.view, clock)
    return makeReceipt(this.identity.network, proof, finished, key, clock.now(), shown)
  }

  close(): void {
    this.live.close()
  }

  async #blob(task: Uint8Array, hash: Uint8Array): Promise<Uint8Array> {
    const path = `/v1/blobs/${toCid(hash, 'raw')}?task=${toHex(task)}`
    return await this.#authorised(token => this.http.bytes('GET', path, { token }))
  }

  /** A token the bridge no longer knows is renewed once. */
  async #authorised<T>(work: (token: string) => Promise<T>): Promise<T> {
    try {
      return await work(await this.tokens.get())
    } catch (error) {
      if (asPekkaError(error).code !== 'TOKEN_INVALID') throw error
      this.tokens.drop()
      return await work(await this.tokens.get())
    }
  }
}

/** The image when nobody chose one. */
export const DEFAULT_IMAGE = 'base'

/** The public facts of a bridge's network, before anything is signed. */
export const readNetwork = (http: Http): Promise<NetworkInfo> => http.request('GET', '/v1/network', networkSchema)

/** The error that a refused or failed transaction stands for. */
export const outcomeError = (outcome: { code: string; data: Record<string, string> }): PekkaError =>
  fromOutcome(outcome)
