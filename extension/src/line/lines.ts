import type { CodeCell } from '@jupyterlab/cells'
import type { NotebookPanel } from '@jupyterlab/notebook'
import type { PanelLayout } from '@lumino/widgets'
import { Pace, codeCells, widgetOf, type CellRun, type ChangeKind, type OpenNotebook } from '../run/index.js'
import { environmentWith, packageWith } from '../scan/index.js'
import type { LiveRegion } from './live-region.js'
import { lineOf, type LineActionId, type LineContext } from './view.js'
import { LineWidget } from './widget.js'

export interface LinesComponents {
  notebook: OpenNotebook
  live: LiveRegion
  connection: () => LineContext['connection']
  act: (action: LineActionId, cell: string, run: CellRun) => void
  now: () => number
  clock: (ms: number) => string
}

/** Seconds go by in a line this often, ms. */
const TICK_MS = 1000
/** States that follow one another faster than this, ms, are passed over: each costs the page 10 ms. An end is drawn at once. */
const PAUSE_MS = 150

/**
 * The lines of one view of a notebook, between input and output. Lab makes cells' widgets late, and new ones when a cell is moved
 * or its deletion is undone, so each drawing looks anew which widgets there are.
 */
export class Lines {
  readonly #lines = new Map<CodeCell, LineWidget>()
  readonly #pace: Pace
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(
    private readonly components: LinesComponents,
    private readonly panel: NotebookPanel
  ) {
    const draw = (): void => {
      if (!panel.isDisposed) this.#drawAll()
    }
    this.#pace = new Pace({ draw, now: () => performance.now() }, { pauseMs: PAUSE_MS })
    components.notebook.changed.connect(this.#onChange, this)
    components.notebook.ended.connect(this.draw, this)
    panel.content.modelContentChanged.connect(this.#later, this)
    panel.content.cellInViewportChanged.connect(this.draw, this)
    panel.model?.cells.changed.connect(this.draw, this)
    panel.disposed.connect(this.dispose, this)
    this.draw()
  }

  /** Draws all lines, once for all changes of this turn. */
  draw(): void {
    this.#pace.soon()
  }

  #later(): void {
    this.#pace.later()
  }

  #onChange(_: OpenNotebook, kind: ChangeKind): void {
    if (kind === 'state') this.#pace.soon()
    else if (kind === 'progress') this.#pace.later()
    else this.#prepare()
  }

  /** Sending takes some 50 ms: a line that is there follows with the next state, and says so itself only if that takes longer. */
  #prepare(): void {
    for (const id of this.components.notebook.preparing) {
      const cell = widgetOf(this.panel, id)
      const line = cell && this.#lines.get(cell)
      if (line === undefined || line.isDisposed) return this.#pace.soon()
      line.node.dataset['state'] = 'preparing'
    }
    this.#pace.afterPause()
  }

  dispose(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    const { notebook } = this.components
    notebook.changed.disconnect(this.#onChange, this)
    notebook.ended.disconnect(this.draw, this)
    this.#pace.dispose()
    for (const widget of this.#lines.values()) widget.dispose()
    this.#lines.clear()
  }

  #drawAll(): void {
    const { notebook, connection, now, clock, live } = this.components
    const shown = new Set<CodeCell>()
    let ticking = false
    for (const { id, number } of codeCells(notebook.model)) {
      const run = notebook.cellRun(id)
      const cell = widgetOf(this.panel, id)
      if (run === undefined || cell === undefined) continue
      const view = lineOf(run, { now: now(), number, connection: connection(), clock, environmentWith, packageWith })
      // A cell far away has no body yet; its line is drawn when it comes near.
      const line = this.#lineOf(cell, id)
      if (line === undefined) continue
      shown.add(cell)
      line.draw(view, number)
      ticking ||= view.ticking
      if (view.spoken === null) live.pass(`${notebook.context.path}:${id}`, view.key)
      else live.say(`${notebook.context.path}:${id}`, view.key, view.spoken.text, view.spoken.assertive)
    }
    for (const [cell, line] of this.#lines) {
      if (shown.has(cell) && !cell.isDisposed) continue
      line.dispose()
      this.#lines.delete(cell)
    }
    this.#tick(ticking)
  }

  #lineOf(cell: CodeCell, id: string): LineWidget | undefined {
    const known = this.#lines.get(cell)
    if (known !== undefined && !known.isDisposed) return known
    // A cell's layout is a panel: header, input, handle, output, footer; of a cell far away it is empty yet.
    const layout = cell.layout as PanelLayout
    const output = layout.widgets.findIndex(widget => widget.hasClass('jp-Cell-outputWrapper'))
    if (output < 0) return undefined
    const { notebook, act } = this.components
    const line = new LineWidget({
      act: action => {
        const run = notebook.cellRun(id)
        if (run !== undefined) act(action, id, run)
      }
    })
    layout.insertWidget(output, line)
    this.#lines.set(cell, line)
    return line
  }

  #tick(ticking: boolean): void {
    if (ticking && this.#timer === null) this.#timer = setInterval(() => this.#drawAll(), TICK_MS)
    if (!ticking && this.#timer !== null) {
      clearInterval(this.#timer)
      this.#timer = null
    }
  }
}
