import {
  asPekkaError,
  commitViewSchema,
  decodeCanonical,
  equalBytes,
  genesisSchema,
  isPekkaError,
  networkId,
  PekkaError,
  taskViewSchema,
  toHex,
  transactionId,
  trustGenesis,
  type AccountView,
  type AskView,
  type AuctionView,
  type Clock,
  type CommitView,
  type HistoryRequest,
  type PageOf,
  type LedgerAccess,
  type LedgerTime,
  type ProofRequest,
  type ProviderView,
  type TaskView,
  type TransactionOutcome,
  type Verifier,
  decodeSigned
} from '@pekka/node/protocol'
import {
  accountView,
  auctionView,
  decodeRow,
  encodeRow,
  executeCommit,
  genesisState,
  laneHead,
  liveAsks,
  openAuctions,
  MemoryState,
  providerView,
  runningFor,
  taskView,
  TABLE_NAMES,
  scan,
  timeView,
  toOutcome,
  verifyTransaction,
  type Table,
  type VerifiedTransaction
} from '@pekka/node/ledger'
import type { LedgerStore, StoredRow } from '@pekka/node/host/storage'
import type { LedgerProver } from './checkpoints.js'
import { Admission, type Entry } from './admission.js'
import { RECENT_TRANSACTIONS } from './constants.js'
import { CommitFeed } from './feed.js'
import { LedgerHistory, type DecidingHistory } from './history.js'
import { askKey, pastOutcome } from './past.js'
import { batchOf, commitView } from './stored-commit.js'
import type { Decision, Sequencer } from './sequencer.js'

export interface LocalLedgerComponents {
  store: LedgerStore
  sequencer: Sequencer
  /** Makes checkpoints and proofs; without one nothing can be proved. */
  prover?: LedgerProver
  /** Blocks and committee, where a committee decides. */
  deciding?: DecidingHistory
  verifier: Verifier
  clock: Clock
  log: { info(data: object, text: string): void; error(data: object, text: string): void }
}

export interface LocalLedgerInit {
  /** Canonical bytes of the genesis. */
  genesis: Uint8Array
  /** Called when the ledger can't go on, e.g. the disk failed. It has stopped; the process should end. */
  onFailure?: (error: unknown) => void
}

type Waiter = ReturnType<typeof Promise.withResolvers<TransactionOutcome>>

/**
 * The ledger where it is executed: runs what the sequencer decides, stores each commit, and only then shows it. What a
 * caller has seen is on disk.
 */
export class LocalLedger implements LedgerAccess {
  #state = new MemoryState()
  readonly #feed: CommitFeed
  readonly #waiting = new Map<string, Waiter>()
  /** Ids of final transactions, the newest; parents are looked up here (R29). */
  readonly #recent = new Set<string>()
  /** Bytes of the transactions that published the live asks. */
  readonly #askBytes = new Map<string, Uint8Array>()
  readonly #stopping = new AbortController()
  readonly #admission: Admission
  #loop: Promise<void> = Promise.resolve()
  #failed: unknown = null
  #history: LedgerHistory | null = null

  constructor(
    private readonly components: LocalLedgerComponents,
    private readonly init: LocalLedgerInit
  ) {
    const { store, clock } = components
    this.#admission = new Admission({ state: () => this.#state, clock })
    this.#feed = new CommitFeed({ last: () => store.last(), read: index => this.#readCommit(index) })
  }

  /** @throws PekkaError NETWORK_MISMATCH when the store holds another network */
  async start(): Promise<void> {
    const { store, log } = this.components
    await store.start()
    const genesis = genesisSchema.parse(decodeCanonical(this.init.genesis))
    const stored = await store.genesis()
    if (stored === null) await store.create(this.init.genesis, rowsOf(genesisState(genesis)))
    else if (!equalBytes(stored, this.init.genesis)) throw new PekkaError('NETWORK_MISMATCH')
    await this.#load()
    await this.components.prover?.start(this.#state)
    log.info({ network: toHex(networkId(genesis)), index: store.last() }, 'ledger loaded')
    this.#loop = this.#run()
    if (store.last() < 0) await this.#firstCommit()
  }

  /** Ends the commit under way; what waits is refused with LEDGER_UNREACHABLE and can be sent again. */
  async stop(): Promise<void> {
    this.#stopping.abort(new PekkaError('LEDGER_UNREACHABLE'))
    await this.#loop
    await this.components.sequencer.stop?.()
    for (const waiter of this.#waiting.values()) waiter.reject(new PekkaError('LEDGER_UNREACHABLE'))
    this.#waiting.clear()
    await this.components.prover?.stop()
    await this.components.store.stop()
  }

  /** The state after the last stored commit. Read only. */
  get state(): MemoryState {
    return this.#state
  }

  // --- LedgerAccess

  async submit(bytes: Uint8Array, signal?: AbortSignal): Promise<TransactionOutcome> {
    signal?.throwIfAborted()
    if (this.#stopping.signal.aborted || this.#failed !== null) throw new PekkaError('LEDGER_UNREACHABLE')
    // The compiler doesn't see that the callback sets it.
    let entry = null as Entry | null
    let transaction: VerifiedTransaction
    try {
      transaction = await verifyTransaction(bytes, this.components.verifier, signed => {
        entry = this.#admission.enter(signed, bytes.length)
      })
    } catch (error) {
      entry?.disown()
      const again = isPekkaError(error) && (error.code === 'BANDWIDTH_SPENT' || error.code === 'RATE_LIMITED')
      const known = again ? this.#sentBefore(idOf(bytes)) : null
      return (await known) ?? refusal(idOf(bytes), error)
    }
    const outcome = this.#propose(transaction)
    const leave = (): void => entry?.leave()
    outcome.then(leave, leave)
    return await withSignal(outcome, signal)
  }

  async time(): Promise<LedgerTime> {
    const time = timeView(this.#state)
    // An idle ledger makes no commits; what is compared with the next commit's timestamp is compared with the clock's time.
    return { ...time, timestamp: Math.max(time.timestamp, this.components.clock.now()) }
  }

  async genesis(): Promise<Uint8Array> {
    return this.init.genesis
  }

  async account(account: Uint8Array): Promise<AccountView | null> {
    return accountView(this.#state, account)
  }

  async provider(provider: Uint8Array): Promise<ProviderView | null> {
    return providerView(this.#state, provider)
  }

  async task(task: Uint8Array): Promise<TaskView | null> {
    const open = taskView(this.#state, task)
    if (open !== null) return open
    const closed = await this.components.store.closedTask(task)
    return closed === null ? null : taskViewSchema.parse(decodeCanonical(closed))
  }

  async asks(image: string | null): Promise<AskView[]> {
    const { timestamp } = await this.time()
    const views: AskView[] = []
    for (const row of liveAsks(this.#state, image, timestamp)) {
      const provider = providerView(this.#state, row.provider)
      const transaction = await this.#bytesOfAsk(toHex(row.ask.ask), row.transaction)
      if (provider === null || transaction === null) continue
      views.push({ ask: row.ask, provider, transaction, running: runningFor(this.#state, row.ask.ask) })
    }
    return views
  }

  async auctions(auction: Uint8Array | null): Promise<AuctionView[]> {
    if (auction === null) return openAuctions(this.#state)
    const found = auctionView(this.#state, auction)
    return found === null ? [] : [found]
  }

  async transaction(id: Uint8Array): Promise<{ bytes: Uint8Array; outcome: TransactionOutcome } | null> {
    const { store } = this.components
    const place = await store.locate(id)
    // A ledger that began with a snapshot knows places of commits that it hasn't.
    if (place === null || place.index < (await store.first())) return null
    const commit = await this.#feed.get(place.index).catch((error: unknown) => {
      // It was deleted between the two.
      if (isPekkaError(error) && error.code === 'HISTORY_PRUNED') return null
      throw error
    })
    return commit?.transactions[place.position] ?? null
  }

  /** What became of a transaction that is final; null: it isn't, or was before what this ledger knows. */
  async #outcomeOf(id: Uint8Array): Promise<TransactionOutcome | null> {
    return (await this.transaction(id))?.outcome ?? (await pastOutcome(this.components.store.beside, id))
  }

  async prove(what: ProofRequest, signal?: AbortSignal): Promise<Uint8Array | null> {
    const proof = (await this.components.prover?.prove(what, signal)) ?? null
    if (proof === null && what.kind === 'transaction') await this.#needPlace(what.id)
    return proof
  }

  /** @throws PekkaError HISTORY_PRUNED: it isn't among the commits that are here, and some aren't */
  async #needPlace(id: Uint8Array): Promise<void> {
    const { store } = this.components
    const [place, first] = [await store.locate(id), await store.first()]
    if (first > 0 && (place?.index ?? -1) < first)
      throw new PekkaError('HISTORY_PRUNED', { what: `transaction ${toHex(id)}`, first })
  }

  async history<R extends HistoryRequest>(what: R): Promise<PageOf<R>> {
    this.#history ??= this.#makeHistory()
    // `page` answers a question with its own kind's page; the compiler can't follow the kind through the switch.
    return (await this.#history.page(what)) as PageOf<R>
  }

  async *follow(after: number, signal: AbortSignal): AsyncGenerator<CommitView, void, undefined> {
    const both = AbortSignal.any([signal, this.#stopping.signal])
    yield* this.#feed.follow(after, both)
    if (!signal.aborted) throw new PekkaError('LEDGER_UNREACHABLE')
  }

  // --- submitting

  async #propose(transaction: VerifiedTransaction): Promise<TransactionOutcome> {
    const { sequencer } = this.components
    const key = toHex(transaction.id)
    const { account, key: lane, sequence, parents } = transaction.transaction
    const known = this.#waiting.get(key)
    if (known !== undefined) return known.promise
    const waiter: Waiter = Promise.withResolvers<TransactionOutcome>()
    waiter.promise.catch(() => {})
    this.#waiting.set(key, waiter)
    try {
      // Sent before? Only what its lane has passed can be final already.
      if (sequence < (laneHead(this.#state, account, lane)?.sequence ?? 0)) {
        const final = await this.#outcomeOf(transaction.id)
        if (final !== null) return this.#answer(key, final)
      }
      for (const parent of parents) await this.#recall(parent)
      const taken = sequencer.propose(transaction, vertex => this.#recent.has(toHex(vertex)))
      if (taken !== undefined) await taken
    } catch (error) {
      // Another witness's block may have brought it meanwhile: what the ledger came to is the answer, or it would be signed and paid again.
      const final = await this.#outcomeOf(transaction.id)
      if (this.#waiting.get(key) !== waiter) return waiter.promise
      return this.#answer(key, final ?? refusal(transaction.id, error))
    }
    return waiter.promise
  }

  /** What is asked for again needn't be paid for again. */
  async #sentBefore(id: Uint8Array): Promise<TransactionOutcome | null> {
    return (await this.#waiting.get(toHex(id))?.promise) ?? (await this.#outcomeOf(id))
  }

  #answer(key: string, outcome: TransactionOutcome): TransactionOutcome {
    this.#waiting.get(key)?.resolve(outcome)
    this.#waiting.delete(key)
    return outcome
  }

  /** Brings a final transaction that was long ago back among the recent ones, so that it may be a parent. */
  async #recall(vertex: Uint8Array): Promise<void> {
    if (!this.#recent.has(toHex(vertex)) && (await this.components.store.locate(vertex)) !== null) {
      this.#remember(vertex)
    }
  }

  #remember(vertex: Uint8Array): void {
    this.#recent.add(toHex(vertex))
    if (this.#recent.size <= RECENT_TRANSACTIONS) return
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest)
      return
    }
  }

  // --- committing

  async #run(): Promise<void> {
    const { sequencer, log } = this.components
    try {
      for (;;) await this.#execute(await sequencer.next(this.#state, this.#stopping.signal))
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      this.#failed = error
      log.error({ error: String(error) }, 'the ledger stopped')
      for (const waiter of this.#waiting.values()) waiter.reject(new PekkaError('LEDGER_UNREACHABLE'))
      this.#waiting.clear()
      this.init.onFailure?.(error)
    }
  }

  async #execute(decision: Decision): Promise<void> {
    const { store, prover } = this.components
    const { timestamp, transactions, due, witness, includers, sign } = decision
    const isFinal = decision.isFinal ?? ((vertex: Uint8Array): boolean => this.#recent.has(toHex(vertex)))
    const result = executeCommit(this.#state, { timestamp, transactions, witness, includers, isFinal })
    const commit = commitView(result, await sign(result.message))
    // What may not be ordered makes no commit: nobody can fill the history with refused transactions.
    if (due || result.ordered.length > 0) {
      // First the sequencer's: the checkpoint names what that comes to.
      const deciding = decision.beside?.(result) ?? []
      const beside = [...deciding, ...(prover?.beside?.(result, decision, this.#state) ?? [])]
      await store.write({ ...batchOf(result, commit), beside })
      prover?.add(result)
      this.#state.write(result.writes)
      for (const { outcome } of result.ordered) this.#remember(outcome.id)
      this.#feed.add(commit)
    }
    const dead = decision.stored?.() ?? []
    for (const { outcome } of result.ordered) this.#answer(toHex(outcome.id), outcome)
    for (const { transaction, outcome } of result.refused) {
      this.#admission.wasted(transaction)
      await this.#refuse(outcome)
    }
    for (const { transaction, error } of dead) await this.#refuse(refusal(transaction.id, error))
  }

  /** A refusal for its sequence may mean that it is final already: sent twice at the same moment. */
  async #refuse(outcome: TransactionOutcome): Promise<void> {
    this.#answer(toHex(outcome.id), (await this.#outcomeOf(outcome.id)) ?? outcome)
  }

  /** The sequencer makes commit 0 by itself: it gives the ledger its first index and time. */
  async #firstCommit(): Promise<void> {
    for await (const _ of this.follow(-1, this.#stopping.signal)) return
  }

  // --- storage

  async #load(): Promise<void> {
    const state = new MemoryState()
    const { store } = this.components
    for await (const { table, key, value } of store.rows()) {
      if (!isTable(table)) throw new TypeError(`the store has an unknown table ${table}`)
      state.put(table, key, decodeRow(table, decodeCanonical(value)))
    }
    const { index } = timeView(state)
    // One batch writes both, so this can't be; going on with a torn state would be worse than not starting.
    if (index !== store.last())
      throw new TypeError(`the state is of commit ${index}, the history ends at ${store.last()}`)
    this.#state = state
    for (const tip of timeView(state).parents) this.#remember(tip)
  }

  #makeHistory(): LedgerHistory {
    const { store, deciding } = this.components
    const { network, members } = trustGenesis(genesisSchema.parse(decodeCanonical(this.init.genesis)))
    return new LedgerHistory({ store, state: () => this.#state, deciding }, { network, members })
  }

  async #readCommit(index: number): Promise<CommitView> {
    const { store } = this.components
    const bytes = await store.commit(index)
    if (bytes === null) throw new PekkaError('HISTORY_PRUNED', { what: `commit ${index}`, first: await store.first() })
    return commitViewSchema.parse(decodeCanonical(bytes))
  }

  async #bytesOfAsk(ask: string, transaction: Uint8Array): Promise<Uint8Array | null> {
    const known = this.#askBytes.get(ask)
    if (known !== undefined) return known
    const { beside } = this.components.store
    const found = (await this.transaction(transaction))?.bytes ?? (await beside.get(askKey(toHex(transaction))))
    if (found === null) return null
    for (const id of this.#askBytes.keys()) if (this.#state.get('ask', id) === undefined) this.#askBytes.delete(id)
    this.#askBytes.set(ask, found)
    return found
  }
}

function* allRows(state: MemoryState): Generator<StoredRow> {
  for (const table of TABLE_NAMES) {
    for (const [key, row] of scan(state, table)) yield { table, key, value: encodeRow(row) }
  }
}

const rowsOf = (state: MemoryState): StoredRow[] => [...allRows(state)]

const isTable = (name: string): name is Table => (TABLE_NAMES as readonly string[]).includes(name)

const refusal = (id: Uint8Array, error: unknown): TransactionOutcome => ({
  status: 'refused',
  id,
  ...toOutcome(asPekkaError(error))
})

/** Id of what may not even be a transaction: zeros then. */
function idOf(bytes: Uint8Array): Uint8Array {
  try {
    return transactionId(decodeSigned(bytes).transaction)
  } catch {
    return new Uint8Array(32)
  }
}

function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    signal.addEventListener('abort', aborted, { once: true })
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
