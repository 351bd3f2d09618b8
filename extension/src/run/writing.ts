import {
  OutputCleaner,
  TaskWriter,
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
import type { EventSink, RemoteTask } from './remote-task.js'
import { stateOf } from './states.js'
import type { Tasks } from './tasks.js'

export interface WritingComponents {
  tasks: Pick<Tasks, 'follow'>
  claims: CellClaims
  preludes: Preludes
  locks: Locks | undefined
  now: () => number
  owner: string
  /** Finds a cell of the notebook where it stands now. */
  locate: (cell: string) => CellPlace | undefined
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
  }

  /** Another page of this browser writes. */
  get elsewhere(): boolean {
    return this.#elsewhere
  }

  /** It is over, and its output is still on the way here. */
  get fetching(): boolean {
    return this.#writer !== null && !this.task.complete
  }

  /** Follows the task and writes its output, as soon as no other page of this browser does. @throws PekkaError */
  async write({ metadata, sources, hints, keep }: WritingOrder): Promise<void> {
    const { tasks, claims, preludes, locks, now, owner, locate, markdown, changed } = this.components
    const { task } = this
    const { signal } = this.#stop
    // Only a reopened notebook may find another writer.
    if (keep) {
      this.#elsewhere = true
      const waiting = writerLock(task.id, signal, locks)
      const first = await Promise.race([waiting, tick()])
      if (first === undefined) {
        changed('state')
        // The other writer may be another notebook of this page (a copy): what it follows stays its own.
        if (!task.followed) await tasks.follow(task, (this.#sink = null))
      }
      const { release } = await waiting
      this.#elsewhere = false
      if (signal.aborted) return release()
      signal.addEventListener('abort', release, { once: true })
    } else {
      const held = writerLock(task.id, signal, locks)
      held.then(({ release }) => signal.addEventListener('abort', release, { once: true })).catch(() => undefined)
    }
    const cleaner = new OutputCleaner({ preludes, markdown }, { run: task.id })
    const writer = new TaskWriter(
      { locate, claims, cleaner },
      {
        cells: this.#cells,
        metadata: { ...metadata, owner },
        sources,
        date: new Date(now()).toISOString(),
        onEvent: event => this.#onWriter(event),
        hintFor: error => hintFor(error, hints)
      }
    )
    this.#writer = writer
    writer.begin({ keep })
    changed('progress')
    this.#sink = {
      superseded: () => writer.nextAttempt(),
      events: events => {
        for (const event of events) writer.push(event)
      }
    }
    await tasks.follow(task, this.#sink)
    this.#remember()
  }

  /** Lets go; the task goes on. */
  end(): void {
    this.task.changed.disconnect(this.#onTask, this)
    this.#stop.abort()
    this.#writer?.dispose()
    if (this.#sink !== undefined) this.task.unfollow(this.#sink)
  }

  #onTask(): void {
    this.#remember()
    this.components.changed('progress')
  }

  #onWriter(event: WriterEvent): void {
    if (event.type === 'run-locally' || event.type === 'superseded') {
      // The cell is somebody else's now; the run's other cells may still be ours.
      this.#cells = this.#cells.filter(cell => cell !== event.cell)
    }
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
