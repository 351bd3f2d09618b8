import type { EventOf, TaskEvent } from '@pekka/node/protocol'
// Past the room's index, which needs JupyterLab: this is tested without a page.
import { cleanText } from '../outputs/text.js'
import { LAST_CHARS, LAST_LINES } from './constants.js'
import type { CellProgress, RunEnd } from './snapshot.js'

/** What one run's events have told until now. A run that begins anew has another one. */
export class Heard {
  readonly progress = new Map<string, CellProgress>()
  /** When the run began, by our clock. */
  runningSince: number | null = null
  end: RunEnd | null = null
  error: string | null = null
  missingModule: string | null = null
  fraction: number | null = null
  files: EventOf<'files'> | null = null
  values: EventOf<'values'> | null = null
  #tail = ''
  /** Of each cell that began, ms since the run's start. */
  readonly #starts = new Map<string, number>()
  /** The cell that runs. */
  #current: string | null = null

  constructor(
    private readonly now: () => number,
    /** When it was sent, ms since 1970: it didn't begin before. */
    private readonly earliest: () => number
  ) {}

  get lastLines(): string[] {
    return lastLines(this.#tail)
  }

  take(event: TaskEvent): void {
    this.#tick(event.t)
    switch (event.type) {
      case 'cell-start':
        this.#starts.set(event.cell, event.t)
        this.#current = event.cell
        this.#showRunning()
        return
      case 'cell-end': {
        if (this.#current === event.cell) this.#current = null
        const start = this.#starts.get(event.cell)
        const ms = start === undefined ? null : Math.max(0, event.t - start)
        this.progress.set(event.cell, { status: event.status, ms })
        return
      }
      case 'stream':
        if (typeof event.text === 'string') this.#tail = (this.#tail + event.text.slice(-LAST_CHARS)).slice(-LAST_CHARS)
        return
      case 'error':
        this.error = cleanText(event.ename).slice(0, 80)
        this.missingModule =
          event.ename === 'ModuleNotFoundError'
            ? (/^No module named ['"](\w{1,80})/.exec(event.evalue)?.[1] ?? null)
            : null
        return
      case 'progress':
        this.fraction = event.fraction
        return
      case 'files':
        this.files = event
        return
      case 'values':
        this.values = event
        return
      case 'done':
        this.end = { reason: event.reason, outcome: event.outcome, detail: event.detail, usage: event.usage }
        return
      default:
    }
  }

  /**
   * A reloaded page reads all of a run's words at once, and the latest tells best when it began. No machine says more than that it began
   * when it was sent.
   */
  #tick(t: number): void {
    const now = this.now()
    const since = Math.max(now - t, Math.min(this.earliest(), now))
    if (since >= (this.runningSince ?? Infinity)) return
    this.runningSince = since
    this.#showRunning()
  }

  #showRunning(): void {
    const cell = this.#current
    if (cell === null || this.runningSince === null) return
    this.progress.set(cell, { status: 'running', since: this.runningSince + (this.#starts.get(cell) ?? 0) })
  }
}

/** The last lines of a cell's text, as a terminal would show them. */
export function lastLines(tail: string): string[] {
  const lines = cleanText(tail)
    // What a progress bar drew before, the last drawing hides.
    .split('\n')
    .map(line => line.replace(/\r+$/, '').split('\r').at(-1) ?? '')
    // Colours are for the cell.
    .map(line => line.replace(/\u001b\[[0-9;]*m/g, '').trimEnd())
  return lines.filter(line => line !== '').slice(-LAST_LINES)
}
