import type { ICodeCellModel } from '@jupyterlab/cells'
import type { OutputArea } from '@jupyterlab/outputarea'
import type { PartialJSONObject } from '@lumino/coreutils'
import type { EventOf, TaskEvent } from '@pekka/node/protocol'
import { cellMetadataJson, METADATA_KEY, parseCellMetadata, runIdOf } from './cell-metadata.js'
import type { CellMetadata } from './cell-metadata.js'
import type { CellClaims, Claimant } from './claims.js'
import type { OutputCleaner } from './clean.js'
import { RemoteFuture } from './remote-future.js'
import type { CellEvent, RemoteFutureComponents } from './remote-future.js'
import { clearUntrusted, untrust } from './trust.js'
import type { WriterEvent } from './writer-events.js'
import { hasFuture, WrittenCell } from './written-cell.js'

/** A code cell as it stands in the page just now. A moved cell has new ones, so nobody keeps them. */
export interface CellPlace {
  model: ICodeCellModel
  outputArea: OutputArea
}

export interface TaskWriterComponents {
  /** Finds a cell by id in the open notebook; asked again at every write. */
  locate: (cell: string) => CellPlace | undefined
  claims: CellClaims
  cleaner: OutputCleaner
  timer?: RemoteFutureComponents['timer']
}

export interface TaskWriterInit {
  /** The cells that the task may write to, in order. Events for other cells are ignored, whatever a provider sends. */
  cells: readonly string[]
  metadata: CellMetadata
  /** `source` of each cell's metadata. */
  sources?: ReadonlyMap<string, string>
  /** ISO date for message headers. */
  date: string
  onEvent?: (event: WriterEvent) => void
  hintFor?: (error: { ename: string; evalue: string }) => string | undefined
}

/**
 * Writes the events of a task into its cells, from number 0 on, through one {@link RemoteFuture} per cell. Fed the same
 * events again after `begin`, it leaves exactly the same outputs.
 */
export class TaskWriter implements Claimant {
  private readonly runs = new Map<string, WrittenCell>()
  /** Cells that were made to remember this run. */
  private readonly taken = new Set<string>()
  private readonly displays = new Map<string, Set<string>>()
  private metadata: CellMetadata
  private current: string | undefined
  private generation = 0
  private waitingForFirst = false
  private closed = false
  /** How often it began. */
  private begun = 0
  /** A cell was found without what wrote to it, and `begin` wasn't called since. */
  private displaced = false
  private disposed = false

  constructor(
    private readonly components: TaskWriterComponents,
    private readonly init: TaskWriterInit
  ) {
    this.metadata = init.metadata
  }

  /**
   * Takes the cells: `[*]`, metadata, and no earlier output. With `keep`, what stands there stays until the first event
   * (a reopened notebook, while the bridge is asked). Again after `displaced`; cells that were given up stay so.
   */
  begin({ keep = false }: { keep?: boolean } = {}): void {
    this.displaced = false
    this.closed = this.disposed
    this.begun += 1
    for (const cell of this.init.cells) {
      if (this.runs.get(cell)?.state === 'given-up') continue
      const place = this.components.locate(cell)
      if (place !== undefined && this.isLost(cell, place.model)) continue
      this.components.claims.claim(cell, this)
      if (place === undefined) continue
      this.taken.add(cell)
      place.model.sharedModel.setMetadata(METADATA_KEY, this.memory(cell))
      place.model.executionState = 'running'
    }
    if (keep) this.waitingForFirst = true
    else this.open()
  }

  /** Attempt n is lost: its output stays, greyed, until the first event after this, which clears all cells (R14). */
  nextAttempt(): void {
    this.waitingForFirst = true
    for (const cell of this.init.cells) this.emit({ type: 'stale', cell, stale: true })
  }

  /** Takes the next event of the current attempt, in order. */
  push(event: TaskEvent): void {
    if (this.closed) return
    if (this.waitingForFirst) this.open()
    switch (event.type) {
      case 'cell-start':
        if (!this.runs.has(event.cell)) return
        this.current = event.cell
        this.emit({ type: 'cell-start', cell: event.cell })
        return
      case 'cell-end':
        return this.endCell(event)
      case 'update_display_data':
        return this.update(event)
      case 'display_data':
      case 'execute_result':
        this.remember(event)
        return this.write(event.cell, event)
      case 'stream':
      case 'truncated': {
        const cell = event.cell ?? this.current ?? this.init.cells.at(-1)
        return cell === undefined ? undefined : this.write(cell, event)
      }
      case 'clear_output':
      case 'error':
        return this.write(event.cell, event)
      case 'done':
        return this.endRest()
      case 'status':
      case 'progress':
      case 'files':
        // Told by the line and the panel, which follow the task themselves.
        return
    }
  }

  /** Writes a line of ours into the cell that ran last (an end that the run itself couldn't report). */
  note(text: string): void {
    const cell = this.current ?? this.init.cells[0]
    const run = cell === undefined ? undefined : this.runs.get(cell)
    if (run !== undefined && this.reach(run)) run.future.note(text)
  }

  /** Changes what the cells remember of the task. */
  updateMetadata(patch: Partial<Omit<CellMetadata, 'v' | 'task'>>): void {
    this.metadata = { ...this.metadata, ...patch }
    for (const cell of this.init.cells) {
      if (this.runs.get(cell)?.state === 'given-up' || this.components.claims.holder(cell) !== this) continue
      const place = this.components.locate(cell)
      if (place !== undefined && this.owns(place.model))
        place.model.sharedModel.setMetadata(METADATA_KEY, this.memory(cell))
    }
  }

  /** No more events will come: cells that haven't ended stop waiting. Resolves when all output stands in the notebook. */
  async finish(): Promise<void> {
    if (this.waitingForFirst) {
      this.waitingForFirst = false
      for (const cell of this.init.cells) {
        const place = this.components.locate(cell)
        if (place !== undefined && this.components.claims.holder(cell) === this && this.owns(place.model))
          place.model.executionState = 'idle'
      }
    }
    const { begun } = this
    this.endRest()
    await this.settled()
    this.closed ||= this.begun === begun
  }

  /** Resolves when everything pushed so far stands in the notebook. */
  async settled(): Promise<void> {
    await Promise.all([...this.runs.values()].map(run => run.future.settled()))
  }

  /** The page lets go (notebook closed): the task goes on elsewhere, the cells keep what they show. */
  dispose(): void {
    this.closed = this.disposed = true
    for (const run of this.runs.values()) this.letGo(run)
    for (const cell of this.init.cells) this.components.claims.release(cell, this)
    this.runs.clear()
  }

  superseded(cell: string): void {
    const run = this.runs.get(cell)
    if (run !== undefined) this.giveUp(run)
    this.emit({ type: 'superseded', cell })
  }

  /** What a cell remembers of the task. */
  private memory(cell: string): PartialJSONObject {
    const source = this.init.sources?.get(cell)
    return cellMetadataJson({ ...this.metadata, cell, ...(source === undefined ? {} : { source }) })
  }

  /** Whether the cell still is this run's: in a shared notebook another page may have run it since. */
  private owns(model: ICodeCellModel): boolean {
    const remembered = parseCellMetadata(model.sharedModel.getMetadata(METADATA_KEY))
    return remembered !== undefined && runIdOf(remembered) === runIdOf(this.metadata)
  }

  /** Gives a cell up that this run had taken and somebody else has run since: what stands there is theirs. */
  private isLost(cell: string, model: ICodeCellModel): boolean {
    return this.taken.has(cell) && this.isTheirs(cell, model)
  }

  /** Gives the cell up where it isn't this run's. */
  private isTheirs(cell: string, model: ICodeCellModel): boolean {
    if (this.owns(model)) return false
    const run = this.runs.get(cell)
    if (run !== undefined) this.giveUp(run)
    else this.components.claims.release(cell, this)
    const remote = parseCellMetadata(model.sharedModel.getMetadata(METADATA_KEY)) !== undefined
    this.emit({ type: remote ? 'superseded' : 'run-locally', cell })
    return true
  }

  private emit(event: WriterEvent): void {
    this.init.onEvent?.(event)
  }

  /** Clears all cells of the task and gives each a fresh future. */
  private open(): void {
    const again = this.waitingForFirst && this.generation > 0
    this.waitingForFirst = false
    this.generation += 1
    this.displays.clear()
    this.current = undefined
    for (const cell of this.init.cells) {
      const before = this.runs.get(cell)
      if (before?.state === 'given-up' || this.components.claims.holder(cell) !== this) continue
      const place = this.components.locate(cell)
      if (place !== undefined && this.isLost(cell, place.model)) continue
      if (before !== undefined) this.letGo(before)
      const future = new RemoteFuture(
        {
          cleaner: this.components.cleaner,
          ...(this.components.timer === undefined ? {} : { timer: this.components.timer })
        },
        {
          id: `pekka-${this.metadata.task.slice(0, 16)}-${this.generation}-${cell}`,
          date: this.init.date,
          ...(this.init.hintFor === undefined ? {} : { hintFor: this.init.hintFor })
        }
      )
      const run = new WrittenCell(cell, future, before, edited => this.emit({ type: 'edited', cell, edited }))
      this.runs.set(cell, run)
      if (place !== undefined) this.enter(run, place)
      future.onDisposed(() => this.lost(run))
      if (again) this.emit({ type: 'stale', cell, stale: false })
    }
  }

  private enter(run: WrittenCell, { model, outputArea }: CellPlace): void {
    clearUntrusted(model)
    model.sharedModel.setMetadata(METADATA_KEY, this.memory(run.id))
    this.taken.add(run.id)
    model.executionState = 'running'
    outputArea.future = run.future
    run.state = 'writing'
    run.begin(model)
  }

  /**
   * Looks where the cell is now, before every write. True where output may be pushed: into the cell, or, where it was deleted,
   * into the future that JupyterLab keeps for undoing that.
   */
  private reach(run: WrittenCell): boolean {
    if (run.state === 'given-up') return false
    const place = this.components.locate(run.id)
    if (place === undefined) {
      if (run.state === 'writing') {
        run.state = 'gone'
        run.unfollow()
        this.emit({ type: 'deleted', cell: run.id })
      }
      run.missed = true
      return !run.future.isDisposed
    }
    const { model, outputArea } = place
    if (this.isTheirs(run.id, model)) return false
    // JupyterLab's type leaves out that there may be no future.
    const attached = outputArea.future as RemoteFuture | null | undefined
    if (attached !== run.future) {
      if (attached !== null && attached !== undefined && !attached.isDisposed) {
        this.lost(run)
        return false
      }
      if (run.future.isDisposed || run.missed) {
        this.displace(run)
        return false
      }
      outputArea.reattachFuture(run.future)
    }
    run.missed = false
    if (run.state === 'gone') {
      run.state = 'writing'
      this.emit({ type: 'restored', cell: run.id })
    }
    if (run.model !== model) {
      run.follow(model)
      model.sharedModel.setMetadata(METADATA_KEY, this.memory(run.id))
    }
    // "Clear outputs" takes the prompt as well, and would make JupyterLab trust what comes after.
    if (!run.ended && model.executionState !== 'running') model.executionState = 'running'
    if (model.trusted || model.sharedModel.getMetadata('trusted') === true) untrust(model)
    return true
  }

  private write(cell: string, event: CellEvent): void {
    const run = this.runs.get(cell)
    if (run !== undefined && this.reach(run)) run.future.push(event)
  }

  private remember(event: EventOf<'display_data'> | EventOf<'execute_result'>): void {
    const id = 'transient' in event ? this.components.cleaner.displayId(event.transient) : undefined
    if (id === undefined || !this.runs.has(event.cell)) return
    const cells = this.displays.get(id) ?? new Set()
    cells.add(event.cell)
    this.displays.set(id, cells)
  }

  /** A display may stand in several cells; JupyterLab's kernel connection updates them all, and so does this. */
  private update(event: EventOf<'update_display_data'>): void {
    const id = this.components.cleaner.displayId(event.transient)
    for (const cell of id === undefined ? [] : (this.displays.get(id) ?? [])) this.write(cell, event)
  }

  private endCell({ cell, status, executionCount }: EventOf<'cell-end'>): void {
    const run = this.runs.get(cell)
    if (run === undefined || run.ended) return
    run.ended = true
    if (!this.reach(run)) return
    const reply = status === 'ok' ? 'ok' : status === 'error' ? 'error' : 'aborted'
    void run.future.finish(reply, executionCount).then(() => {
      if (run.state === 'given-up' || this.runs.get(cell) !== run) return
      const place = run.state === 'writing' ? this.components.locate(cell) : undefined
      if (place !== undefined && this.owns(place.model)) {
        // The count goes in last: JupyterLab takes a count for "idle".
        if (executionCount !== null) place.model.executionCount = executionCount
        place.model.executionState = 'idle'
      }
      this.emit({ type: 'cell-end', cell, status })
    })
  }

  private endRest(): void {
    for (const run of this.runs.values()) {
      if (!run.ended) this.endCell({ type: 'cell-end', cell: run.id, status: 'not-run', executionCount: null, t: 0 })
    }
  }

  /** Our future was taken away: by a local run of the cell, or with the cell or the whole notebook. */
  private lost(run: WrittenCell): void {
    // Only afterwards does the output area show which: it has another future, or is disposed of.
    queueMicrotask(() => {
      if (run.state === 'given-up' || this.disposed || this.runs.get(run.id) !== run) return
      const place = this.components.locate(run.id)
      if (place === undefined || place.outputArea.isDisposed || place.model.isDisposed) {
        if (run.state === 'writing') this.emit({ type: 'deleted', cell: run.id })
        run.state = 'gone'
        run.unfollow()
      } else if (!hasFuture(place.outputArea) && this.owns(place.model)) {
        this.displace(run)
      } else if (place.outputArea.future !== run.future) {
        this.giveUp(run)
        if (this.owns(place.model)) place.model.sharedModel.deleteMetadata(METADATA_KEY)
        this.emit({ type: 'run-locally', cell: run.id })
      }
    })
  }

  /** The cell has a new widget, which doesn't listen to what writes to it: pages that share a notebook move cells so. */
  private displace(run: WrittenCell): void {
    run.state = 'gone'
    run.unfollow()
    if (this.displaced || this.closed) return
    this.displaced = true
    this.emit({ type: 'displaced', cell: run.id })
  }

  private giveUp(run: WrittenCell): void {
    run.state = 'given-up'
    this.components.claims.release(run.id, this)
    this.letGo(run)
  }

  private letGo(run: WrittenCell): void {
    run.unfollow()
    if (this.runs.get(run.id) === run && run.state !== 'given-up') this.runs.delete(run.id)
    run.future.dispose()
  }
}
