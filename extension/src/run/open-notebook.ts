import type { DocumentRegistry } from '@jupyterlab/docregistry'
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook'
import { asPekkaError, fromHex, isPekkaError } from '@pekka/node/protocol'
import { Signal, type ISignal } from '@lumino/signaling'
import {
  METADATA_KEY,
  cellMetadataJson,
  memoryOf,
  runIdOf,
  type CellClaims,
  type CellMetadata,
  type Locks,
  type Preludes
} from '../outputs/index.js'
import { analyse, type HintContext } from '../scan/index.js'
import { returnNames, type ReturnSource } from '../values/index.js'
import type { Connection } from '../connection/index.js'
import { codeCells, markOf, modelOf, placeOf, sourceMark } from './cells.js'
import { BEFORE, type CellRun, type ChangeKind } from './cell-run.js'
import { Company, type AwarenessLike } from './company.js'
import { LOOK_PAUSE_MS, SAVE_AFTER_MS } from './constants.js'
import { Pace } from './pace.js'
import type { RemoteTask } from './remote-task.js'
import type { Tasks } from './tasks.js'
import { Writing } from './writing.js'

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

/** A notebook that is open in this page, in one or more views, and the remote runs of its cells. */
export class OpenNotebook {
  readonly panels = new Set<NotebookPanel>()
  readonly #runs = new Map<string, Writing>()
  readonly #before = new Map<string, CellRun>()
  readonly #unknown = new Set<string>()
  /** Tasks that are being asked about to be continued: a second answer must not make a second run of them. */
  readonly #resuming = new Set<string>()
  readonly #changed = new Signal<this, ChangeKind>(this)
  readonly #ended = new Signal<this, RemoteTask>(this)
  #disposed = false
  #saving: ReturnType<typeof setTimeout> | null = null
  #company: Company
  readonly #leaving = new AbortController()
  /** Of a shared notebook: what other pages write into it is looked at. */
  readonly #looking: Pace

  constructor(
    private readonly components: OpenNotebookComponents,
    readonly context: DocumentRegistry.IContext<INotebookModel>
  ) {
    const { connection, owner } = components
    connection.changed.connect(this.#onConnection, this)
    this.#company = new Company(null, owner)
    const draw = (): void => this.#look()
    this.#looking = new Pace({ draw, now: () => performance.now() }, { pauseMs: LOOK_PAUSE_MS, trailing: true })
    void context.ready.then(() => this.#join())
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
    const metadata = model && memoryOf(model)
    if (model === undefined || metadata === undefined) return undefined
    const edited = metadata.source !== undefined && metadata.source !== markOf(model)
    const key = runIdOf(metadata)
    const run = this.#runs.get(key)
    const task = run?.task ?? this.components.tasks.get(key)
    if (task === undefined) {
      const writer = this.#company.shared ? (this.#company.has(metadata.owner) ? 'here' : 'gone') : null
      return { kind: 'remembered', metadata, edited, unknown: this.#unknown.has(key), writer }
    }
    return {
      kind: 'task',
      task,
      snapshot: task.snapshot,
      cell: id,
      edited,
      elsewhere: run?.elsewhere ?? false,
      fetching: run?.fetching ?? false
    }
  }

  /**
   * Why a cell can't be run now: a remote run of this browser, or one of another browser whose page is here, writes to it, or the
   * kernel does. What was sent from a page that is gone keeps nobody waiting.
   */
  occupied(id: string): 'remote' | 'other-browser' | 'kernel' | undefined {
    const run = this.cellRun(id)
    if (BEFORE.has(run?.kind ?? '') || (run?.kind === 'task' && !run.task.over)) return 'remote'
    const isForeign = run?.kind === 'remembered' && run.unknown && run.metadata.state === 'running'
    if (isForeign) return run.writer === 'here' ? 'other-browser' : undefined
    return modelOf(this.model, id)?.executionState === 'running' ? 'kernel' : undefined
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
      owner: this.#company.me,
      state: 'running',
      submitted,
      ...(task.kept === null ? {} : { place: task.kept.index })
    }
    const run = this.#add(task, cells, true)
    for (const id of cells) this.#before.delete(id)
    await run.write({ metadata, sources, hints, keep: false })
    this.saveSoon()
  }

  /** Continues what the notebook was doing when it was closed. Called when it was opened, and when a connection comes. */
  resume(): void {
    if (this.#disposed || !this.context.isReady || this.components.connection.client === null) return
    const tasks = new Map<string, { cells: string[]; metadata: CellMetadata; sources: Map<string, string> }>()
    for (const { id } of codeCells(this.model)) {
      const metadata = this.#memoryOf(id)
      if (metadata === undefined) continue
      const key = runIdOf(metadata)
      if (this.#runs.has(key) || this.#resuming.has(key)) continue
      // Another browser's, and asked about before.
      if (this.#company.shared && this.#unknown.has(key)) continue
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
      const metadata = this.#memoryOf(id)
      if (metadata === undefined) continue
      const key = runIdOf(metadata)
      const run = runs.get(key) ?? { metadata, cells: [] }
      run.cells.push(analyse(source))
      runs.set(key, run)
    }
    return [...runs].map(([task, { metadata, cells }]) => ({
      ...{ task, submitted: metadata.submitted ?? 0, names: new Set(returnNames(cells)) },
      reached: async () => {
        const { tasks, connection } = this.components
        if (tasks.get(task) !== undefined || this.#runs.has(task)) return true
        return (await connection.client?.task(fromHex(metadata.task)).catch(() => undefined)) !== undefined
      },
      load: async () => await this.components.tasks.values(await this.#taskOf(metadata))
    }))
  }

  /** A run that cells name, as far as it takes to follow it. @throws PekkaError */
  async #taskOf(metadata: CellMetadata): Promise<Uint8Array | RemoteTask> {
    const id = fromHex(metadata.task)
    const { place } = metadata
    if (place === undefined) return id
    const run = this.#runs.get(runIdOf(metadata))
    if (run !== undefined) return run.task
    // Another browser's machine isn't this page's to follow.
    await this.components.connection.client?.task(id)
    return await this.components.kept(this, metadata.task, place)
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
      before.end()
      this.#runs.delete(task.id)
    }
    const [panel] = this.panels
    const at = (panel?.content.activeCellIndex ?? this.model.cells.length - 1) + 1
    const source = `# Output of ${title}, whose cell was deleted`
    const metadata: CellMetadata = {
      v: 1,
      task: task.id,
      bridge: this.components.connection.setting,
      owner: this.#company.me,
      state: 'running',
      submitted: submittedAt
    }
    // In a shared notebook whoever writes a cell looks first whether it remembers the run.
    const memory = (id: string) => cellMetadataJson({ ...metadata, cell: id, source: sourceMark(source) })
    const made = cells.map(id => ({
      ...{ cell_type: 'code' as const, id, source },
      metadata: { trusted: false, [METADATA_KEY]: memory(id) }
    }))
    this.model.sharedModel.insertCells(at, made)
    if (panel) panel.content.activeCellIndex = at
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
    this.#leaving.abort()
    this.#looking.dispose()
    if (!this.context.isDisposed) this.model.contentChanged.disconnect(this.#onContent, this)
    // the notebook is being closed, and its model still whole
    if (this.#saving !== null && !this.context.isDisposed) void this.#save()
    this.components.connection.changed.disconnect(this.#onConnection, this)
    for (const run of this.#runs.values()) run.end()
    Signal.clearData(this)
  }

  /** The user ran a cell here: what it remembered of a remote run is of before. One that is under way gives the cell up itself. */
  ranHere(id: string): void {
    const model = modelOf(this.model, id)
    const metadata = model && memoryOf(model)
    if (model === undefined || metadata === undefined || this.#runs.get(runIdOf(metadata))?.writes(id)) return
    model.sharedModel.deleteMetadata(METADATA_KEY)
    this.#changed.emit('state')
  }

  #memoryOf(id: string): CellMetadata | undefined {
    const model = modelOf(this.model, id)
    return model && memoryOf(model)
  }

  /** Where pages share the notebook, what others write into its cells may be for this page to go on with. */
  #join(): void {
    if (this.#disposed || !this.model.collaborative) return
    // As y-protocols has it; the shared model's own type names less.
    this.#company = new Company(this.model.sharedModel.awareness as unknown as AwarenessLike, this.components.owner)
    this.model.contentChanged.connect(this.#onContent, this)
    const onPages = (): void => {
      this.#looking.later()
      this.#changed.emit('state')
    }
    this.#company.watch(onPages, this.#leaving.signal)
  }

  #onContent(): void {
    this.#looking.later()
  }

  #look(): void {
    if (this.#disposed || this.context.isDisposed) return
    for (const run of this.#runs.values()) run.look()
    this.resume()
  }

  #onConnection(): void {
    for (const run of this.#runs.values()) run.look()
    this.resume()
    this.#changed.emit('state')
  }

  #add(task: RemoteTask, cells: readonly string[], news: boolean): Writing {
    const { tasks, claims, preludes, locks, now } = this.components
    const run = new Writing(
      {
        ...{ tasks, claims, preludes, locks, now },
        company: this.#company,
        locate: id => placeOf(this.panels, id),
        memoryOf: id => this.#memoryOf(id),
        markdown: source => this.#markdown(source),
        changed: kind => this.#changed.emit(kind),
        ended: ended => this.#ended.emit(ended)
      },
      { task, cells, news }
    )
    this.#runs.set(task.id, run)
    return run
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
      const run = this.#add(task, cells, metadata.state === 'running')
      this.#resuming.delete(key)
      await run.write({ metadata, sources, hints: { cells: [] }, keep: true })
    } catch (error) {
      if (this.#disposed) return
      if (isPekkaError(error) && error.code === 'TASK_UNKNOWN') this.#unknown.add(key)
      else console.warn('A remote run could not be followed', asPekkaError(error).message)
      // In a shared notebook the prompt is that of the page that writes.
      for (const cell of this.#company.shared ? [] : cells) {
        const model = modelOf(this.model, cell)
        if (model) model.executionState = 'idle'
      }
      this.#changed.emit('state')
    } finally {
      this.#resuming.delete(key)
    }
  }

  async #markdown(source: string): Promise<string> {
    const [panel] = this.panels
    return (await panel?.content.rendermime.markdownParser?.render(source)) ?? ''
  }
}
