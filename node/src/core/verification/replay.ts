import { SCRIPT_CELL, type EventOf, type Result, type TaskEvent } from '../protocol/index.js'

type DisplayEvent = EventOf<'display_data' | 'update_display_data' | 'execute_result'>
/** What stands in a cell besides text. */
export type RecordEvent = DisplayEvent | EventOf<'error'>

/** Keeps text of one stream in some form. */
export interface TextKeeper {
  push(part: string | Uint8Array): void
}

export interface ReplayedCell<T extends TextKeeper, R> {
  cell: string
  status: Result['cells'][number]['status']
  streams: Map<'stdout' | 'stderr', T>
  records: { display: string | null; value: R }[]
  /** Kinds of cuts: `text`, `output`. */
  cut: Set<string>
}

interface State<T extends TextKeeper, R> extends ReplayedCell<T, R> {
  clearNext: boolean
}

/**
 * Plays the events of a run to the state a notebook is left in: text joined per cell and stream, `clear_output` done, displays that were
 * updated as they are at last (reproducibility.md §2.1, "replay to final state"). How text was cut into pieces, and how it lies between
 * displays, leaves no trace. A script is one cell.
 */
export class Replay<T extends TextKeeper, R> {
  readonly #cells = new Map<string, State<T, R>>()

  constructor(private readonly components: { text: () => T; record: (event: RecordEvent) => R }) {}

  add(event: TaskEvent): void {
    switch (event.type) {
      case 'stream':
        return this.#stream(event)
      case 'cell-start':
        this.#cell(event.cell)
        return
      case 'cell-end':
        this.#cell(event.cell).status = event.status
        return
      case 'display_data':
      case 'execute_result':
      case 'error': {
        const display = event.type === 'error' ? null : displayId(event)
        this.#output(event.cell).records.push({ display, value: this.components.record(event) })
        return
      }
      case 'update_display_data':
        return this.#update(event)
      case 'clear_output': {
        const cell = this.#cell(event.cell)
        if (event.wait) cell.clearNext = true
        else clear(cell)
        return
      }
      case 'truncated':
        this.#cell(event.cell ?? SCRIPT_CELL).cut.add(event.what)
        return
      case 'done': {
        const script = this.#cells.get(SCRIPT_CELL)
        if (script !== undefined) script.status = event.outcome === 'ok' ? 'ok' : 'error'
        return
      }
      default:
    }
  }

  /** The cells in the order they were first told of. */
  cells(): ReplayedCell<T, R>[] {
    return [...this.#cells.values()]
  }

  #cell(id: string): State<T, R> {
    const known = this.#cells.get(id)
    if (known) return known
    const created: State<T, R> = {
      cell: id,
      status: 'not-run',
      streams: new Map(),
      records: [],
      cut: new Set(),
      clearNext: false
    }
    this.#cells.set(id, created)
    return created
  }

  /** The cell that is about to show something. */
  #output(id: string): State<T, R> {
    const cell = this.#cell(id)
    if (cell.clearNext) clear(cell)
    return cell
  }

  #stream(event: EventOf<'stream'>): void {
    if (typeof event.text === 'object' && 'blob' in event.text)
      throw new TypeError('a blob must be resolved before it is digested')
    const { streams } = this.#output(event.cell ?? SCRIPT_CELL)
    let keeper = streams.get(event.name)
    if (keeper === undefined) streams.set(event.name, (keeper = this.components.text()))
    keeper.push(event.text)
  }

  #update(event: EventOf<'update_display_data'>): void {
    const id = displayId(event)
    if (id === null) return
    const shown = [...this.#cells.values()].flatMap(({ records }) => records.filter(({ display }) => display === id))
    if (shown.length === 0) return
    const value = this.components.record(event)
    for (const record of shown) record.value = value
  }
}

function clear<T extends TextKeeper, R>(cell: State<T, R>): void {
  cell.streams = new Map()
  cell.records = []
  cell.clearNext = false
}

function displayId(event: DisplayEvent): string | null {
  const id = event.type === 'execute_result' ? undefined : event.transient?.['display_id']
  return typeof id === 'string' ? id : null
}
