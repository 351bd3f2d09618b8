import { PekkaError, asPekkaError, isPekkaError, toHex, type TaskItem } from '@pekka/node/protocol'
import type { PekkaClient, Quote, TaskNote, TaskRequest } from '@pekka/node/client'
import { Signal, type ISignal } from '@lumino/signaling'
import type { Connection } from '../connection/index.js'
import { NAMES_AGE_MS, PAGE_OF_TASKS } from './constants.js'
import { RemoteTask, type EventSink } from './remote-task.js'

/** All tasks of this browser's key: those of the bridge's list and those that this page sent. */
export class Tasks {
  readonly #tasks = new Map<string, RemoteTask>()
  readonly #names = new Map<string, string>()
  #namesAt = 0
  #next: string | null = null
  #loaded = false
  #unwatch: (() => void) | null = null
  readonly #changed = new Signal<this, RemoteTask | null>(this)
  /** Tasks to cancel as soon as there is a connection. */
  readonly #toCancel = new Set<RemoteTask>()

  constructor(private readonly components: { connection: Connection; now: () => number }) {
    const { connection } = components
    connection.clientChanged.connect((_, client) => this.#adopt(client))
    connection.changed.connect((_, state) => {
      if (state.status === 'connected') void this.#catchUp()
    })
  }

  /** A task changed, or, with null, the list did. */
  get changed(): ISignal<this, RemoteTask | null> {
    return this.#changed
  }

  /** Newest first. */
  get all(): RemoteTask[] {
    return [...this.#tasks.values()].sort((a, b) => b.sentAt - a.sentAt)
  }

  get running(): RemoteTask[] {
    return this.all.filter(task => !task.over)
  }

  /** Whether the bridge's list has arrived. */
  get loaded(): boolean {
    return this.#loaded
  }

  /** What people call a provider; undefined while nobody knows. */
  nameOf(provider: Uint8Array): string | undefined {
    return this.#names.get(toHex(provider))
  }

  get hasMore(): boolean {
    return this.#next !== null
  }

  get(id: string): RemoteTask | undefined {
    return this.#tasks.get(id)
  }

  /** Sends a task. Resolves when the bridge has it on disk. @throws PekkaError */
  async submit(request: TaskRequest, quote: Quote): Promise<RemoteTask> {
    const client = this.#client()
    for (const { provider } of quote.candidates) this.#names.set(toHex(provider.provider), provider.name)
    const id = await client.submit(request, quote)
    const task = this.#take(id)
    task.note = request.note
    this.#changed.emit(null)
    return task
  }

  /** Follows a task's output from its beginning; what `sink` gets is all of it, in order. @throws PekkaError */
  async follow(which: Uint8Array | RemoteTask, sink: EventSink | null): Promise<RemoteTask> {
    const client = this.#client()
    const task = which instanceof Uint8Array ? this.#take(which) : which
    const { kept, bytes } = task
    await task.follow(sink, observer => (kept === null ? client.follow(bytes, observer) : kept.follow(observer)))
    return task
  }

  /**
   * A task of which all output is here that will come. One that is followed, or about to be, goes on to its sink: only one
   * that nobody follows is followed for this. Of a task that isn't known yet the bridge is asked first: in a shared notebook it
   * may be another browser's, which is not to be listed here.
   *
   * @throws PekkaError TASK_UNKNOWN, …
   */
  async whole(which: Uint8Array | RemoteTask): Promise<RemoteTask> {
    if (which instanceof Uint8Array && this.get(toHex(which)) === undefined) await this.#client().task(which)
    const known = which instanceof Uint8Array ? this.get(toHex(which)) : which
    const task = known?.followed === true ? known : await this.follow(which, null)
    await task.whole()
    return task
  }

  /** The values that a task brought back, when it is over. Null where there are none to be used. @throws PekkaError */
  async values(which: Uint8Array | RemoteTask): Promise<RemoteTask['values']> {
    return (await this.whole(which)).values
  }

  /** Asks the ledger to stop a task; without a connection as soon as there is one. @throws PekkaError TASK_STATE, … */
  async cancel(task: RemoteTask): Promise<void> {
    task.cancelling = true
    if (this.components.connection.state.status !== 'connected') {
      this.#toCancel.add(task)
      return
    }
    try {
      await (task.kept === null ? this.#client().cancel(task.bytes) : task.kept.interrupt())
    } catch (error) {
      // It ended by itself in between: then that is how it ended.
      if (isPekkaError(error) && error.code === 'TASK_STATE') return
      task.cancelling = false
      throw error
    }
  }

  /** Older tasks, after the newest. */
  async more(): Promise<void> {
    const client = this.#client()
    const { tasks, next } = await client.tasks({
      limit: PAGE_OF_TASKS,
      ...(this.#next === null ? {} : { before: this.#next })
    })
    this.#next = next
    this.#loaded = true
    for (const { title, ...item } of tasks) this.#tell(item, title)
    this.#changed.emit(null)
  }

  /** Names of the machines that offer themselves now. */
  async learnNames(): Promise<void> {
    const now = this.components.now()
    if (now - this.#namesAt < NAMES_AGE_MS) return
    this.#namesAt = now
    try {
      for (const { provider } of await this.#client().market.asks(NAMES_AGE_MS))
        this.#names.set(toHex(provider.provider), provider.name)
      this.#changed.emit(null)
    } catch (error) {
      // Names are a nicety; ids stand in for them.
      console.debug('The names of the machines are not known', asPekkaError(error).code)
    }
  }

  #client(): PekkaClient {
    const { client } = this.components.connection
    if (client === null) throw new PekkaError('NOT_CONNECTED')
    return client
  }

  #adopt(client: PekkaClient | null): void {
    this.#unwatch?.()
    this.#unwatch = null
    if (client === null) return
    this.#unwatch = client.live.watch({ task: item => void this.#arrived(client, item) })
  }

  async #arrived(client: PekkaClient, item: TaskItem): Promise<void> {
    const known = this.#tasks.get(toHex(item.task))
    const note = known?.note ?? (await client.note(item))
    this.#tell(item, note)
  }

  /** What was asked of the bridge about one task. */
  learn(item: TaskItem, note: TaskNote | null): RemoteTask {
    this.#tell(item, note)
    return this.#take(item.task)
  }

  #tell(item: TaskItem, note: TaskNote | null): void {
    const isNew = !this.#tasks.has(toHex(item.task))
    const task = this.#take(item.task, item.submittedAt)
    task.note = note
    task.tell(item)
    const provider = item.view?.attempts.at(-1)?.provider
    if (provider && !this.#names.has(toHex(provider))) void this.learnNames()
    if (isNew) this.#changed.emit(null)
  }

  #take(id: Uint8Array, submittedAt = this.components.now()): RemoteTask {
    const hex = toHex(id)
    const known = this.#tasks.get(hex)
    if (known) return known
    const task = new RemoteTask(
      { nameOf: provider => this.nameOf(provider), now: this.components.now },
      id,
      submittedAt
    )
    task.changed.connect(() => this.#changed.emit(task))
    this.#tasks.set(hex, task)
    return task
  }

  /** After a connection came (back): what changed meanwhile, and what waited for it. */
  async #catchUp(): Promise<void> {
    try {
      this.#next = null
      await this.more()
      void this.learnNames()
      for (const task of this.#toCancel) {
        this.#toCancel.delete(task)
        await this.cancel(task)
      }
    } catch (error) {
      console.debug('The list of tasks could not be read', asPekkaError(error).code)
    }
  }
}
