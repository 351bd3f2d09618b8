import type { DocumentRegistry } from '@jupyterlab/docregistry'
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook'
import { asPekkaError, fromHex, isPekkaError, type PekkaError } from '@pekka/node/protocol'
import { Signal, type ISignal } from '@lumino/signaling'
import {
  METADATA_KEY,
  OutputCleaner,
  TaskWriter,
  parseCellMetadata,
  runIdOf,
  writerLock,
  type CellClaims,
  type CellMetadata,
  type CellState,
  type Locks,
  type Preludes,
  type WriterEvent
} from '../outputs/index.js'
import { analyse, hintFor, type HintContext } from '../scan/index.js'
import { returnNames, type ReturnSource } from '../values/index.js'
import type { Connection } from '../connection/index.js'
import { codeCells, markOf, modelOf, placeOf, sourceMark } from './cells.js'
import { SAVE_AFTER_MS } from './constants.js'
import type { EventSink, RemoteTask } from './remote-task.js'
import type { TaskSnapshot } from './snapshot.js'
import type { Tasks } from './tasks.js'

/** What the line under a cell tells. */
export type CellRun =
  /** Before a task has an id. */
  | { kind: 'preparing' }
  | { kind: 'asking' }
  /** Packages that no environment has are being looked up and fetched. */
  | { kind: 'adding'; packages: readonly string[] }
  /** The bridge fetches addresses that the code reads; `hosts` serve them. */
  | { kind: 'fetching'; hosts: readonly string[] }
  /** No machine matches yet; it is sent when one does. */
  | { kind: 'waiting'; until: number; stop: AbortController }
  /** Never became a task. `cells`: what was to be run. */
  | { kind: 'failed'; error: PekkaError; cells: readonly string[] }
  | {
      kind: 'task'
      task: RemoteTask
      snapshot: TaskSnapshot
      cell: string
      edited: boolean
      /** Another page of this browser writes the output. */
      elsewhere: boolean
      /** It is over, and its output is still on the way here. */
      fetching: boolean
    }
  /** From the notebook alone. `unknown`: the bridge knows no such task of this key. */
  | { kind: 'remembered'; metadata: CellMetadata; edited: boolean; unknown: boolean }

/**
 * What changed: a task went on, as it does many times a second; something that somebody waits to see; or cells are being prepared,
 * which is mostly over before anybody could read it.
 */
export type ChangeKind = 'progress' | 'state' | 'brief'

/** A run of it is on its way. */
const BEFORE: ReadonlySet<string> = new Set(['preparing', 'adding', 'fetching', 'waiting'])

export interface OpenNotebookComponents {
  tasks: Tasks
  connection: Connection
  claims: CellClaims
  preludes: Preludes
  locks: Locks | undefined
  now: () => number
  /** This page, as it signs what it writes into cells. */
  owner: string
  /** The cell at a place in a kept machine's session. @throws PekkaError where that can't be followed */
  kept: (notebook: OpenNotebook, task: string, place: number) => Promise<RemoteTask>
}

interface Run {
  task: RemoteTask
  cells: readonly string[]
  writer: TaskWriter | null
  /** Its events go there; null while nobody writes them, undefined while this run doesn't follow the task. */
  sink: EventSink | null | undefined
  stop: AbortController
  elsewhere: boolean
  /** What was written into the cells last. */
  remembered: string
  /** It ended while somebody waited for it, and nobody was told yet. */
  news: boolean
}

/** A notebook that is open in this page, in one or more views, and the remote runs of its cells. */
export class OpenNotebook {
  readonly panels = new Set<NotebookPanel>()
  readonly #runs = new Map<string, Run>()
  readonly #before = new Map<string, CellRun>()
  readonly #unknown = new Set<string>()
  /** Tasks that are being asked about to be continued: a second answer must not make a second run of them. */
  readonly #resuming = new Set<string>()
  readonly #changed = new Signal<this, ChangeKind>(this)
  readonly #ended = new Signal<this, RemoteTask>(this)
  #disposed = false
  #saving: ReturnType<typeof setTimeout> | null = null

  constructor(
    private readonly components: OpenNotebookComponents,
    readonly context: DocumentRegistry.IContext<INotebookModel>
  ) {
    components.connection.changed.connect(this.#onConnection, this)
  }

  /** A line may say something else now. */
  get changed(): ISignal<this, ChangeKind> {
    return this.#changed
  }

  /** A run that was under way here has ended, once for each: not those that a reopened notebook finds to be over. */
  get ended(): ISignal<this, RemoteTask> {
    return this.#ended
  }

  get model(): INotebookModel {
    return this.context.model
  }

  /** Runs of this notebook that aren't over. */
  get running(): RemoteTask[] {
    return [...this.#runs.values()].map(run => run.task).filter(task => !task.over)
  }

  /** Ids of the cells that are being prepared. */
  get preparing(): string[] {
    return [...this.#before].filter(([, { kind }]) => kind === 'preparing').map(([id]) => id)
  }

  /** What stands under a cell; undefined where it has no remote run. */
  cellRun(id: string): CellRun | undefined {
    const before = this.#before.get(id)
    if (before) return before
    const model = modelOf(this.model, id)
    const metadata = parseCellMetadata(model?.sharedModel.getMetadata(METADATA_KEY))
    if (model === undefined || metadata === undefined) return undefined
    const edited = metadata.source !== undefined && metadata.source !== markOf(model)
    const key = runIdOf(metadata)
    const run = this.#runs.get(key)
    const task = run?.task ?? this.components.tasks.get(key)
    if (task === undefined) return { kind: 'remembered', metadata, edited, unknown: this.#unknown.has(key) }
    return {
      kind: 'task',
      task,
      snapshot: task.snapshot,
      cell: id,
      edited,
      elsewhere: run?.elsewhere ?? false,
      fetching: run?.writer != null && !task.complete
    }
  }

  /** Whether a remote run of this page or another one writes to the cell. */
  isRunning(id: string): boolean {
    const run = this.cellRun(id)
    return BEFORE.has(run?.kind ?? '') || (run?.kind === 'task' && !run.task.over)
  }

  /** What is told of cells before they belong to a task; undefined takes it back. */
  before(cells: readonly string[], state: CellRun | undefined): void {
    for (const id of cells) {
      if (state === undefined) this.#before.delete(id)
      else this.#before.set(id, state)
    }
    this.#changed.emit(state?.kind === 'preparing' ? 'brief' : 'state')
  }

  /** Shows a task's output in its cells from now on, and remembers it in them. */
  async attach(task: RemoteTask, cells: readonly string[], hints: HintContext, submitted: number): Promise<void> {
    const sources = new Map(codeCells(this.model).map(({ id, source }) => [id, sourceMark(source)]))
    const metadata: CellMetadata = {
      v: 1,
      task: task.taskId,
      bridge: this.components.connection.setting,
      owner: this.components.owner,
      state: 'running',
      submitted,
      ...(task.kept === null ? {} : { place: task.kept.index })
    }
    const run = this.#add(task, cells)
    run.news = true
    for (const id of cells) this.#before.delete(id)
    await this.#write(run, metadata, sources, hints, { keep: false })
    this.saveSoon()
  }

  /** Continues what the notebook was doing when it was closed. Called when it was opened, and when a connection comes. */
  resume(): void {
    if (this.#disposed || !this.context.isReady || this.components.connection.client === null) return
    const tasks = new Map<string, { cells: string[]; metadata: CellMetadata; sources: Map<string, string> }>()
    for (const { id } of codeCells(this.model)) {
      const metadata = parseCellMetadata(modelOf(this.model, id)?.sharedModel.getMetadata(METADATA_KEY))
      if (metadata === undefined) continue
      const key = runIdOf(metadata)
      if (this.#runs.has(key) || this.#resuming.has(key)) continue
      if (metadata.state !== 'running' && metadata.state !== 'received') continue
      const entry = tasks.get(key) ?? { cells: [], metadata, sources: new Map<string, string>() }
      entry.cells.push(id)
      if (metadata.source !== undefined) entry.sources.set(id, metadata.source)
      tasks.set(key, entry)
    }
    for (const { cells, metadata, sources } of tasks.values()) void this.#resumeTask(cells, metadata, sources)
  }

  /** The notebook's remote runs, as far as values need them. */
  returnSources(): ReturnSource[] {
    const runs = new Map<string, { metadata: CellMetadata; cells: ReturnType<typeof analyse>[] }>()
    for (const { id, source } of codeCells(this.model)) {
      const metadata = parseCellMetadata(modelOf(this.model, id)?.sharedModel.getMetadata(METADATA_KEY))
      if (metadata === undefined) continue
      const key = runIdOf(metadata)
      const run = runs.get(key) ?? { metadata, cells: [] }
      run.cells.push(analyse(source))
      runs.set(key, run)
    }
    return [...runs].map(([task, { metadata, cells }]) => ({
      ...{ task, submitted: metadata.submitted ?? 0, names: new Set(returnNames(cells)) },
      load: async () => await this.components.tasks.values(await this.#taskOf(metadata))
    }))
  }

  /** A run that cells name, as far as it takes to follow it. @throws PekkaError */
  async #taskOf(metadata: CellMetadata): Promise<Uint8Array | RemoteTask> {
    const id = fromHex(metadata.task)
    const { place } = metadata
    if (place === undefined) return id
    return this.#runs.get(runIdOf(metadata))?.task ?? (await this.components.kept(this, metadata.task, place))
  }

  /** Whether a task was sent from this notebook and none of its cells is there any more. */
  hasLost({ snapshot: { path, cells } }: Pick<RemoteTask, 'snapshot'>): boolean {
    return path === this.context.path && cells.length > 0 && cells.every(id => modelOf(this.model, id) === undefined)
  }

  /** Makes cells for a task whose own were deleted, below the selected one, and shows its output there, from its beginning. */
  async insertOutput(task: RemoteTask): Promise<void> {
    const { title, cells, submittedAt } = task.snapshot
    const before = this.#runs.get(task.id)
    if (before !== undefined) {
      this.#end(before)
      this.#runs.delete(task.id)
    }
    const [panel] = this.panels
    const at = (panel?.content.activeCellIndex ?? this.model.cells.length - 1) + 1
    const source = `# Output of ${title}, whose cell was deleted`
    const made = cells.map(id => ({ cell_type: 'code' as const, id, source, metadata: { trusted: false } }))
    this.model.sharedModel.insertCells(at, made)
    if (panel) panel.content.activeCellIndex = at
    const metadata: CellMetadata = {
      v: 1,
      task: task.id,
      bridge: this.components.connection.setting,
      owner: this.components.owner,
      state: 'running',
      submitted: submittedAt
    }
    const sources = new Map(cells.map(id => [id, sourceMark(source)]))
    await this.#resumeTask([...cells], metadata, sources)
  }

  /** Saves in a while: several runs sent meanwhile are saved with it. */
  saveSoon(): void {
    this.#saving ??= setTimeout(() => void this.#save(), SAVE_AFTER_MS)
  }

  /** Saves, so that a page closed now still finds its task; a notebook that can't be saved goes on unsaved. */
  async #save(): Promise<void> {
    if (this.#saving !== null) clearTimeout(this.#saving)
    this.#saving = null
    try {
      if (!this.context.model.readOnly) await this.context.save()
    } catch (error) {
      console.warn('The notebook could not be saved after a remote run was sent', error)
    }
  }

  /** Lets go; tasks go on. */
  dispose(): void {
    this.#disposed = true
    // the notebook is being closed, and its model still whole
    if (this.#saving !== null && !this.context.isDisposed) void this.#save()
    this.components.connection.changed.disconnect(this.#onConnection, this)
    for (const run of this.#runs.values()) this.#end(run)
    Signal.clearData(this)
  }

  #onConnection(): void {
    this.resume()
    this.#changed.emit('state')
  }

  #add(task: RemoteTask, cells: readonly string[]): Run {
    const stop = new AbortController()
    const run: Run = { task, cells, writer: null, sink: undefined, stop, elsewhere: false, remembered: '', news: false }
    this.#runs.set(task.id, run)
    task.changed.connect(this.#onTask, this)
    return run
  }

  #onTask(task: RemoteTask): void {
    const run = this.#runs.get(task.id)
    if (run) this.#remember(run)
    this.#changed.emit('progress')
  }

  async #resumeTask(cells: string[], metadata: CellMetadata, sources: Map<string, string>): Promise<void> {
    const { tasks, connection } = this.components
    const id = fromHex(metadata.task)
    const { client } = connection
    if (client === null) return
    const key = runIdOf(metadata)
    this.#resuming.add(key)
    try {
      const item = await client.task(id)
      const note = await client.note(item)
      const { place } = metadata
      const task =
        place === undefined ? tasks.learn(item, note) : await this.components.kept(this, metadata.task, place)
      if (this.#disposed || this.#runs.has(key)) return
      const run = this.#add(task, cells)
      this.#resuming.delete(key)
      run.news = metadata.state === 'running'
      await this.#write(run, metadata, sources, { cells: [] }, { keep: true })
    } catch (error) {
      if (isPekkaError(error) && error.code === 'TASK_UNKNOWN') this.#unknown.add(key)
      else console.warn('A remote run could not be followed', asPekkaError(error).message)
      for (const cell of cells) {
        const model = modelOf(this.model, cell)
        if (model) model.executionState = 'idle'
      }
      this.#changed.emit('state')
    } finally {
      this.#resuming.delete(key)
    }
  }

  /** Follows the task and writes its output, as soon as no other page of this browser does. */
  async #write(
    run: Run,
    metadata: CellMetadata,
    sources: ReadonlyMap<string, string>,
    hints: HintContext,
    { keep }: { keep: boolean }
  ): Promise<void> {
    const { tasks, claims, preludes, locks, now, owner } = this.components
    const { task, cells } = run
    // Only a reopened notebook may find another writer.
    if (keep) {
      run.elsewhere = true
      const waiting = writerLock(task.id, run.stop.signal, locks)
      const first = await Promise.race([waiting, tick()])
      if (first === undefined) {
        this.#changed.emit('state')
        // The other writer may be another notebook of this page (a copy): what it follows stays its own.
        if (!task.followed) await tasks.follow(task, (run.sink = null))
      }
      const { release } = await waiting
      run.elsewhere = false
      if (this.#disposed) return release()
      run.stop.signal.addEventListener('abort', release, { once: true })
    } else {
      const held = writerLock(task.id, run.stop.signal, locks)
      held
        .then(({ release }) => run.stop.signal.addEventListener('abort', release, { once: true }))
        .catch(() => undefined)
    }
    const cleaner = new OutputCleaner({ preludes, markdown: source => this.#markdown(source) }, { run: task.id })
    const writer = new TaskWriter(
      { locate: id => placeOf(this.panels, id), claims, cleaner },
      {
        cells,
        metadata: { ...metadata, owner },
        sources,
        date: new Date(now()).toISOString(),
        onEvent: event => this.#onWriter(run, event),
        hintFor: error => hintFor(error, hints)
      }
    )
    run.writer = writer
    writer.begin({ keep })
    this.#changed.emit('progress')
    run.sink = {
      superseded: () => writer.nextAttempt(),
      events: events => {
        for (const event of events) writer.push(event)
      }
    }
    await tasks.follow(task, run.sink)
    this.#remember(run)
  }

  async #markdown(source: string): Promise<string> {
    const [panel] = this.panels
    return (await panel?.content.rendermime.markdownParser?.render(source)) ?? ''
  }

  #onWriter(run: Run, event: WriterEvent): void {
    if (event.type === 'run-locally' || event.type === 'superseded') {
      // The cell is somebody else's now; the run's other cells may still be ours.
      run.cells = run.cells.filter(cell => cell !== event.cell)
    }
    const goesOn = event.type === 'cell-start' || event.type === 'cell-end'
    this.#changed.emit(goesOn ? 'progress' : 'state')
  }

  /** Writes the task's state into its cells when it has moved on. */
  #remember(run: Run): void {
    const { writer, task } = run
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
    if (text !== run.remembered) writer.updateMetadata(facts)
    run.remembered = text
    if (run.news && state !== 'failed') this.#ended.emit(task)
    run.news = false
    if (state !== 'received') run.stop.abort()
  }

  #end(run: Run): void {
    run.task.changed.disconnect(this.#onTask, this)
    run.stop.abort()
    run.writer?.dispose()
    if (run.sink !== undefined) run.task.unfollow(run.sink)
  }
}

/** What a reopened notebook must know. */
export function stateOf({ phase, end, kept }: Pick<TaskSnapshot, 'phase' | 'end' | 'kept'>): CellState {
  // A cell that had ended when its machine was lost stays what it was.
  if (kept !== null && end !== null && phase.phase === 'refunded')
    return end.outcome === 'stopped' ? 'cancelled' : end.outcome === 'ok' ? 'settled' : 'failed'
  switch (phase.phase) {
    case 'received':
      return 'received'
    case 'settled':
      return end?.outcome === 'stopped' ? 'cancelled' : end === null || end.outcome === 'ok' ? 'settled' : 'failed'
    case 'refunded':
      return phase.reason === 'cancelled' ? 'cancelled' : 'failed'
    case 'refused':
    case 'mismatch':
      return 'failed'
    default:
      return 'running'
  }
}

/** One turn of the page: a free lock is had by then. */
const tick = (): Promise<undefined> => new Promise(resolve => setTimeout(() => resolve(undefined), 50))
