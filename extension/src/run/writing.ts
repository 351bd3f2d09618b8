import { asPekkaError } from '@pekka/node/protocol'
import {
  OutputCleaner,
  TaskWriter,
  runIdOf,
  writerLock,
  type CellClaims,
  type CellMetadata,
  type CellPlace,
  type Locks,
  type Preludes,
  type WriterEvent
} from '../outputs/index.js'
import { hintFor, type HintContext } from '../scan/index.js'
import type { ChangeKind } from './cell-run.js'
import { turnOf, type Company } from './company.js'
import type { EventSink, RemoteTask } from './remote-task.js'
import { stateOf } from './states.js'
import type { Tasks } from './tasks.js'

export interface WritingComponents {
  tasks: Pick<Tasks, 'follow'>
  claims: CellClaims
  preludes: Preludes
  locks: Locks | undefined
  now: () => number
  company: Company
  /** Finds a cell of the notebook where it stands now. */
  locate: (cell: string) => CellPlace | undefined
  /** What a cell remembers of its remote run. */
  memoryOf: (cell: string) => CellMetadata | undefined
  markdown: (source: string) => Promise<string>
  changed: (kind: ChangeKind) => void
  /** A run that somebody waited for has ended. */
  ended: (task: RemoteTask) => void
}

export interface WritingInit {
  task: RemoteTask
  cells: readonly string[]
  /** It is under way, and somebody waits for its end. */
  news: boolean
}

/** What goes into the cells of one run, and with what. */
export interface WritingOrder {
  metadata: CellMetadata
  /** `source` of each cell's metadata. */
  sources: ReadonlyMap<string, string>
  hints: HintContext
  /** The notebook was reopened: another page may write, and what stands there stays until the first event. */
  keep: boolean
}

/** One run of a notebook's cells: follows its task, and writes its output once this page is the one to do so. */
export class Writing {
  readonly task: RemoteTask
  #cells: readonly string[]
  #writer: TaskWriter | null = null
  /** The task's events go there; null while nobody writes them, undefined while this run doesn't follow the task. */
  #sink: EventSink | null | undefined
  readonly #stop = new AbortController()
  #elsewhere = false
  #wake: () => void = () => undefined
  /** It couldn't be followed anew after a cell was found elsewhere. */
  #displaced = false
  /** What was written into the cells last. */
  #remembered = ''
  /** It ended while somebody waited for it, and nobody was told yet. */
  #news: boolean

  constructor(
    private readonly components: WritingComponents,
    init: WritingInit
  ) {
    this.task = init.task
    this.#cells = init.cells
    this.#news = init.news
    this.task.changed.connect(this.#onTask, this)
    components.company.watch(() => this.look(), this.#stop.signal)
    this.#stop.signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  /** Whether this page writes the cell. */
  writes(cell: string): boolean {
    return this.#writer !== null && !this.task.complete && this.#cells.includes(cell)
  }

  /** Another page of this browser writes. */
  get elsewhere(): boolean {
    return this.#elsewhere
  }

  /** It is over, and its output is still on the way here. */
  get fetching(): boolean {
    return this.#writer !== null && !this.task.complete
  }

  /** Follows the task and writes its output, as soon as no other page does. @throws PekkaError */
  async write({ metadata, sources, hints, keep }: WritingOrder): Promise<void> {
    const { claims, preludes, locks, now, company, locate, markdown, changed } = this.components
    const { task } = this
    const { signal } = this.#stop
    // Only a reopened notebook may find another writer.
    if (keep) {
      if (!(await this.#turn())) return
      // Meanwhile some of them may have been run by somebody else.
      this.#cells = this.#cells.filter(cell => locate(cell) === undefined || this.#remembers(cell))
      if (this.#cells.length === 0) return this.#stop.abort()
    } else {
      const held = writerLock(task.id, signal, locks)
      held.then(({ release }) => signal.addEventListener('abort', release, { once: true })).catch(() => undefined)
    }
    const cleaner = new OutputCleaner({ preludes, markdown }, { run: task.id })
    const writer = new TaskWriter(
      { locate, claims, cleaner },
      {
        cells: this.#cells,
        metadata: { ...metadata, owner: company.me },
        sources,
        date: new Date(now()).toISOString(),
        onEvent: event => this.#onWriter(event),
        hintFor: error => hintFor(error, hints)
      }
    )
    this.#writer = writer
    writer.begin({ keep })
    changed('progress')
    await this.#feed(writer)
  }

  /** Waits until this page is the one to write. False: there is nothing for it to write any more. */
  async #turn(): Promise<boolean> {
    const { tasks, locks, company, changed } = this.components
    const { task } = this
    const { signal } = this.#stop
    this.#elsewhere = true
    const waiting = writerLock(task.id, signal, locks)
    const mine = waiting.then(({ release }) => {
      signal.addEventListener('abort', release, { once: true })
      if (signal.aborted) release()
      return this.#takeTurn(locks !== undefined)
    })
    mine.catch(() => undefined)
    const first = await Promise.race([mine, tick()])
    if (first === undefined) {
      changed('state')
      // The other writer may be another notebook of this page (a copy): what it follows stays its own.
      if (!task.followed) await tasks.follow(task, (this.#sink = null))
    }
    const goes = await mine
    this.#elsewhere = false
    if (goes) return !signal.aborted
    // Others of this browser needn't wait for what is there.
    if (company.shared) this.#stop.abort()
    changed('state')
    return false
  }

  /** In a shared notebook the page that began may have ended with its last word still on the way here. */
  async #takeTurn(locked: boolean): Promise<boolean> {
    const { company } = this.components
    const { signal } = this.#stop
    for (;;) {
      if (signal.aborted) return false
      const turn = turnOf({ remembered: this.#memory(), company, locked, over: this.task.over })
      if (turn !== 'wait') return turn === 'write'
      await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  /** What the cells remember of this run. */
  #memory(): CellMetadata | null {
    const cell = this.#cells.find(id => this.#remembers(id))
    return (cell === undefined ? undefined : this.components.memoryOf(cell)) ?? null
  }

  #remembers(cell: string): boolean {
    const memory = this.components.memoryOf(cell)
    return memory !== undefined && runIdOf(memory) === this.task.id
  }

  /** Hands the task's events to the writer, from the first on. @throws PekkaError */
  async #feed(writer: TaskWriter): Promise<void> {
    this.#displaced = false
    // A cell that is found elsewhere begins all anew: of what is being handed on then, the rest comes once more.
    const sink: EventSink = {
      superseded: () => {
        if (this.#sink === sink) writer.nextAttempt()
      },
      events: events => {
        for (const event of events) if (this.#sink === sink) writer.push(event)
      }
    }
    this.#sink = sink
    await this.components.tasks.follow(this.task, sink)
    this.#remember()
  }

  /** A cell stands elsewhere, and what it was written through is gone: all cells are written anew. */
  async #again(): Promise<void> {
    const writer = this.#writer
    if (writer === null || this.#stop.signal.aborted) return
    writer.begin({ keep: true })
    try {
      await this.#feed(writer)
    } catch (error) {
      // Tried again when the connection comes.
      this.#displaced = true
      console.warn('A remote run could not be followed again', asPekkaError(error).message)
    }
  }

  /** Something changed of what decides whose turn it is: the cells, the connection, or who has the notebook open. */
  look(): void {
    this.#wake()
    if (this.#displaced) void this.#again()
  }

  /** Lets go; the task goes on. */
  end(): void {
    this.task.changed.disconnect(this.#onTask, this)
    this.#stop.abort()
    this.#writer?.dispose()
    if (this.#sink !== undefined) this.task.unfollow(this.#sink)
  }

  #onTask(): void {
    this.#wake()
    this.#remember()
    this.components.changed('progress')
  }

  #onWriter(event: WriterEvent): void {
    if (event.type === 'run-locally' || event.type === 'superseded') {
      // The cell is somebody else's now; the run's other cells may still be ours.
      this.#cells = this.#cells.filter(cell => cell !== event.cell)
    }
    if (event.type === 'displaced') void this.#again()
    const goesOn = event.type === 'cell-start' || event.type === 'cell-end'
    this.components.changed(goesOn ? 'progress' : 'state')
  }

  /** Writes the task's state into its cells when it has moved on. */
  #remember(): void {
    const { task } = this
    const writer = this.#writer
    // What the bridge says of a task's end may be known before its output is here.
    if (writer === null || !task.complete) return
    const { snapshot } = task
    const state = stateOf(snapshot)
    if (state === 'running') return
    void writer.finish()
    const { provider, image, end, paid, phase } = snapshot
    const facts = {
      state,
      ...(provider === null ? {} : { provider }),
      ...(image === null ? {} : { image }),
      ...(end === null ? {} : { wallMs: end.usage.wallMs }),
      ...(paid === null || phase.phase === 'received' ? {} : { price: paid.toString() })
    }
    // Writing the same again would mark the notebook as changed.
    const text = JSON.stringify(facts)
    if (text !== this.#remembered) writer.updateMetadata(facts)
    this.#remembered = text
    if (this.#news && state !== 'failed') this.components.ended(task)
    this.#news = false
    if (state !== 'received') this.#stop.abort()
  }
}

/** One turn of the page: a free lock is had by then. */
const tick = (): Promise<undefined> => new Promise(resolve => setTimeout(() => resolve(undefined), 50))
