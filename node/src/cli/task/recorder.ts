import { type EventOf, type TaskEvent } from '../../core/protocol/index.js'
import { cellId, type Notebook } from './notebook.js'

type Output = Record<string, unknown> & { output_type: string }

interface CellRecord {
  outputs: Output[]
  executionCount: number | null
  start: number | null
  end: number | null
  /** clear_output(wait=True): cleared by the next output. */
  clearNext: boolean
}

/**
 * Collects what a notebook's cells show and writes the executed notebook (nbformat 4): outputs as Jupyter keeps them,
 * execution counts, and times in `metadata.execution`. A new attempt starts over.
 */
export class NotebookRecorder {
  #cells = new Map<string, CellRecord>()
  #displays = new Map<string, Output[]>()
  #begun = 0

  constructor(private readonly init: { now: () => number }) {}

  reset(): void {
    this.#cells = new Map()
    this.#displays = new Map()
    this.#begun = this.init.now()
  }

  add(event: TaskEvent): void {
    switch (event.type) {
      case 'cell-start':
        this.#cell(event.cell).start = this.#begun + event.t
        return
      case 'cell-end': {
        const cell = this.#cell(event.cell)
        cell.executionCount = event.executionCount
        if (cell.start !== null) cell.end = this.#begun + event.t
        return
      }
      case 'stream':
        return this.#stream(event)
      case 'display_data':
      case 'execute_result':
        return this.#display(event)
      case 'update_display_data': {
        const id = displayId(event)
        for (const output of this.#displays.get(id ?? '') ?? [])
          Object.assign(output, { data: event.data, metadata: event.metadata })
        return
      }
      case 'clear_output': {
        const cell = this.#cell(event.cell)
        if (event.wait) cell.clearNext = true
        else cell.outputs = []
        return
      }
      case 'error': {
        const { ename, evalue, traceback } = event
        this.#push(event.cell, { output_type: 'error', ename, evalue, traceback })
        return
      }
      case 'truncated':
        if (event.cell !== null) {
          const text = `[PEKKA: ${event.cutBytes} bytes of output were cut here]\n`
          this.#push(event.cell, { output_type: 'stream', name: 'stderr', text })
        }
        return
      default:
      // status, progress, files and done leave no output.
    }
  }

  /** The notebook with the outputs in place; cells that did not run keep theirs empty. */
  notebook(original: Notebook): object {
    const minor = Math.max(original.nbformat_minor, 4)
    return {
      ...original,
      nbformat_minor: minor,
      cells: original.cells.map((cell, index) => {
        if (cell.cell_type !== 'code') return cell
        const record = this.#cells.get(cellId(cell, index))
        return {
          ...cell,
          metadata: { ...cell.metadata, ...times(record) },
          execution_count: record?.executionCount ?? null,
          outputs: record?.outputs ?? []
        }
      })
    }
  }

  #cell(id: string): CellRecord {
    const known = this.#cells.get(id)
    if (known) return known
    const created: CellRecord = { outputs: [], executionCount: null, start: null, end: null, clearNext: false }
    this.#cells.set(id, created)
    return created
  }

  #push(id: string, output: Output): void {
    const cell = this.#cell(id)
    if (cell.clearNext) cell.outputs = []
    cell.clearNext = false
    cell.outputs.push(output)
  }

  #stream(event: EventOf<'stream'>): void {
    if (event.cell === null || typeof event.text !== 'string') return
    const cell = this.#cell(event.cell)
    const last = cell.clearNext ? undefined : cell.outputs.at(-1)
    if (last?.output_type === 'stream' && last['name'] === event.name)
      last['text'] = `${String(last['text'])}${event.text}`
    else this.#push(event.cell, { output_type: 'stream', name: event.name, text: event.text })
  }

  #display(event: EventOf<'display_data' | 'execute_result'>): void {
    const output: Output = { output_type: event.type, data: event.data, metadata: event.metadata }
    if (event.type === 'execute_result') output['execution_count'] = event.executionCount
    this.#push(event.cell, output)
    const id = event.type === 'display_data' ? displayId(event) : null
    if (id !== null) this.#displays.set(id, [...(this.#displays.get(id) ?? []), output])
  }
}

function times(record: CellRecord | undefined): object {
  if (!record || record.start === null) return {}
  const execution: Record<string, string> = { 'iopub.execute_input': new Date(record.start).toISOString() }
  if (record.end !== null) execution['shell.execute_reply'] = new Date(record.end).toISOString()
  return { execution }
}

function displayId(event: EventOf<'display_data' | 'update_display_data'>): string | null {
  const id = event.transient?.['display_id']
  return typeof id === 'string' ? id : null
}
