import type { Logger } from 'pino'
import {
  toHex,
  type AskView,
  type CommitHeader,
  type CommitView,
  type LedgerAccess,
  type LedgerTime,
  type TaskView
} from '@pekka/node/protocol'
import { pause } from '@pekka/node/host/network'

export interface LedgerMirrorEvents {
  /** A task changed, or is read anew after a pause. */
  task: (view: TaskView) => void
  /** A commit was seen; tasks of it came before. */
  commit: (header: Pick<CommitHeader, 'index' | 'timestamp' | 'contractTime'>) => void
  /** A commit was seen, whole; before `commit`. None after a pause is told of: those stand in the history. */
  committed: (commit: CommitView) => void
  /** Money or lanes of accounts changed. */
  accounts: (accounts: Uint8Array[]) => void
  /** The ledger answers again; whatever may have been missed must be looked up. */
  connected: () => void
}

export interface LedgerMirrorComponents {
  ledger: LedgerAccess
  log: Logger
}

/** First and longest pause before the ledger is asked again, ms. The client below it retries by itself for a while first. */
const RETRY_MIN_MS = 200
const RETRY_MAX_MS = 5_000

type Listeners = { [K in keyof LedgerMirrorEvents]: Set<LedgerMirrorEvents[K]> }

/** Follows the ledger for as long as it runs. */
export class LedgerMirror {
  #connected = false
  #now: Pick<CommitHeader, 'index' | 'timestamp' | 'contractTime'> = { index: -1, timestamp: 0, contractTime: 0 }
  #asks: Promise<AskView[]> | null = null
  readonly #stopping = new AbortController()
  #running: Promise<void> | null = null
  readonly #listeners: Listeners = {
    task: new Set(),
    commit: new Set(),
    committed: new Set(),
    accounts: new Set(),
    connected: new Set()
  }

  constructor(private readonly components: LedgerMirrorComponents) {}

  get connected(): boolean {
    return this.#connected
  }

  /** Time of the last commit that was seen: its timestamp and contract time T (R12). */
  get now(): Pick<CommitHeader, 'index' | 'timestamp' | 'contractTime'> {
    return this.#now
  }

  on<K extends keyof LedgerMirrorEvents>(event: K, listener: LedgerMirrorEvents[K]): () => void {
    const all: Set<LedgerMirrorEvents[K]> = this.#listeners[event]
    all.add(listener)
    return () => all.delete(listener)
  }

  start(): void {
    this.#running ??= this.#run(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the bridge stops'))
    await this.#running
  }

  /** Published asks that are valid now; read once between changes. */
  async asks(image: string | null): Promise<AskView[]> {
    this.#asks ??= this.components.ledger.asks(null).catch(error => {
      this.#asks = null
      throw error
    })
    const all = await this.#asks
    return all.filter(({ ask }) => ask.expiry > this.#now.timestamp && (image === null || named(ask.image, image)))
  }

  async #run(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      try {
        const time = await this.components.ledger.time(signal)
        this.#welcome(time)
        failures = 0
        for await (const commit of this.components.ledger.follow(time.index, signal)) this.#take(commit)
      } catch (error) {
        if (signal.aborted) return
        if (this.#connected) this.components.log.warn({ err: error }, 'the ledger does not answer')
      }
      this.#connected = false
      this.#asks = null
      const full = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures++, 8))
      await pause(full * (0.5 + Math.random() / 2), signal)
    }
  }

  #welcome(time: LedgerTime): void {
    this.components.log.info({ index: time.index }, 'following the ledger')
    this.#connected = true
    this.#asks = null
    this.#now = time
    this.#tell('connected')
    this.#tell('commit', time)
  }

  #take(commit: CommitView): void {
    this.#now = commit.header
    if (commit.asks.length > 0) this.#asks = null
    for (const view of commit.tasks) this.#tell('task', view)
    if (commit.accounts.length > 0) this.#tell('accounts', commit.accounts)
    this.#tell('committed', commit)
    this.#tell('commit', commit.header)
  }

  #tell<K extends keyof LedgerMirrorEvents>(event: K, ...data: Parameters<LedgerMirrorEvents[K]>): void {
    for (const listener of this.#listeners[event]) {
      try {
        // The listener takes what its event carries; the compiler can't follow the pair through the map.
        ;(listener as (...data: Parameters<LedgerMirrorEvents[K]>) => void)(...data)
      } catch (error) {
        this.components.log.error({ err: error, event }, 'a listener of the ledger failed')
      }
    }
  }
}

const named = (image: AskView['ask']['image'], text: string): boolean =>
  image.name === text || toHex(image.digest) === text
