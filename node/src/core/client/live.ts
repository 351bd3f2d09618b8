import { z } from 'zod'
import {
  PekkaError,
  accountViewSchema,
  encodeCbor,
  fromProblem,
  logEntrySchema,
  subscribedSchema,
  taskItemSchema,
  toHex,
  type AccountView,
  type LogEntry,
  type TaskItem
} from '../protocol/index.js'
import type { TokenSource } from './credentials.js'
import { readPacked as read, type LiveFactory, type LiveSocket } from './transport.js'

const entriesSchema = z.object({
  task: z.custom<Uint8Array>(v => v instanceof Uint8Array),
  entries: z.array(logEntrySchema)
})

/** Who listens to one task. Called in order, and no more once it let go; the next batch waits until the promise settles. */
export interface TaskListener {
  /** Number of the last entry taken; a reconnection resumes behind it. */
  after(): number
  entries(entries: LogEntry[]): Promise<void>
  item(item: TaskItem): void
  failed(error: PekkaError): void
}

/** `since`: when it began, by the component's clock. */
export type ConnectionState = { status: 'connected' } | { status: 'connecting' } | { status: 'off'; reason: string }

interface Following {
  listener: TaskListener
  task: Uint8Array
  queue: Promise<void>
  /** Which subscription it waits for or has; entries before its answer are of an earlier one and not for this listener. */
  asked: number
  answered: boolean
}

/**
 * One socket to the bridge: subscriptions, resumed by number after every reconnection, acknowledgements after entries
 * were taken, and updates of tasks and account.
 */
export class Live {
  readonly #listeners = new Map<string, Following>()
  readonly #watchers = new Set<LiveWatcher>()
  #socket: LiveSocket | null = null
  #state: ConnectionState = { status: 'connecting' }

  constructor(private readonly components: { live: LiveFactory; tokens: TokenSource }) {}

  get state(): ConnectionState {
    return this.#state
  }

  /** Opens the socket, once; it stays open and reconnects by itself until {@link close}. */
  open(): void {
    if (this.#socket) return
    const { live, tokens } = this.components
    const socket = live(() => tokens.get())
    this.#socket = socket
    socket.on('connect', () => {
      this.#set({ status: 'connected' })
      for (const key of this.#listeners.keys()) this.#subscribe(key)
    })
    socket.on('disconnect', reason => this.#set({ status: 'off', reason: String(reason) }))
    socket.on('connect_error', error => {
      // A token that the bridge no longer knows (it was restarted, or time went by) is renewed at the next try.
      tokens.drop()
      this.#set({ status: 'off', reason: error instanceof Error ? error.message : 'connection refused' })
    })
    socket.on('entries', packed => this.#entries(packed))
    socket.on('task', packed => {
      const item = read(taskItemSchema, packed)
      if (!item) return
      this.#listeners.get(toHex(item.task))?.listener.item(item)
      for (const watcher of this.#watchers) watcher.task?.(item)
    })
    socket.on('account', packed => {
      const account = read(accountViewSchema, packed)
      if (account) for (const watcher of this.#watchers) watcher.account?.(account)
    })
    socket.connect()
  }

  close(): void {
    this.#socket?.disconnect()
    this.#socket = null
    this.#listeners.clear()
  }

  /** Watches every task and the account of this lane. @returns a function that ends it. */
  watch(watcher: LiveWatcher): () => void {
    this.#watchers.add(watcher)
    watcher.connection?.(this.#state)
    return () => this.#watchers.delete(watcher)
  }

  /** Follows one task. @returns a function that ends it. */
  follow(task: Uint8Array, listener: TaskListener): () => void {
    const key = toHex(task)
    this.#listeners.set(key, { listener, task, queue: Promise.resolve(), asked: 0, answered: false })
    this.open()
    if (this.#socket?.connected) this.#subscribe(key)
    return () => {
      if (this.#listeners.get(key)?.listener !== listener) return
      this.#listeners.delete(key)
      if (this.#socket?.connected) this.#socket.emit('unsubscribe', encodeCbor({ task }))
    }
  }

  #subscribe(key: string): void {
    const entry = this.#listeners.get(key)
    if (!entry) return
    const asked = ++entry.asked
    entry.answered = false
    // After what is still being worked on, so that `after` is true.
    entry.queue = entry.queue.then(() => {
      if (entry.asked !== asked || !this.#follows(entry)) return
      const request = encodeCbor({ task: entry.task, after: entry.listener.after() })
      this.#socket?.emit('subscribe', request, (packed: unknown) => {
        if (entry.asked !== asked || !this.#follows(entry)) return
        const answer = read(subscribedSchema, packed)
        entry.answered = answer?.ok === true
        if (!answer) entry.listener.failed(new PekkaError('ENCODING_MALFORMED'))
        else if (answer.ok) entry.listener.item(answer.item)
        else entry.listener.failed(fromProblem(answer))
      })
    })
  }

  #follows(entry: Following): boolean {
    return this.#listeners.get(toHex(entry.task)) === entry
  }

  #entries(packed: unknown): void {
    const batch = read(entriesSchema, packed)
    const last = batch?.entries.at(-1)
    if (!batch || !last) return
    const entry = this.#listeners.get(toHex(batch.task))
    if (!entry?.answered) return
    entry.queue = entry.queue
      .then(async () => {
        if (!this.#follows(entry)) return
        await entry.listener.entries(batch.entries)
        if (this.#follows(entry)) this.#socket?.emit('ack', encodeCbor({ task: batch.task, n: last.n }))
      })
      .catch((error: unknown) => {
        if (!this.#follows(entry)) return
        entry.listener.failed(
          error instanceof PekkaError ? error : new PekkaError('INTERNAL', { id: 'reader' }, { cause: error })
        )
      })
  }

  #set(state: ConnectionState): void {
    this.#state = state
    for (const watcher of this.#watchers) watcher.connection?.(state)
  }
}

export interface LiveWatcher {
  connection?(state: ConnectionState): void
  task?(item: TaskItem): void
  account?(account: AccountView): void
}
