import { Widget } from '@lumino/widgets'
import { guessCredits } from '@pekka/node/client'
import { iconElement } from '../line/index.js'
import { costOf, type OpenNotebook, type RemoteTask, type TaskSnapshot } from '../run/index.js'

/** `5 of 7 cells · 0.11 credits`; undefined where no task of several cells runs. */
export function batchWords(snapshots: readonly TaskSnapshot[], now: number): string | undefined {
  const batches = snapshots.filter(({ cells }) => cells.length > 1)
  const [first] = batches
  if (first === undefined) return undefined
  if (batches.length > 1) return `${batches.length} remote runs`
  const done = [...first.progress.values()].filter(({ status }) => status !== 'running' && status !== 'pending').length
  const cost = costOf(first, now).amount
  return `${done} of ${first.cells.length} cells${cost > 0n ? ` · ${guessCredits(cost)} credits` : ''}`
}

/** In the notebook's toolbar while a task of several cells runs: how far it is, and Cancel. */
export class BatchProgress extends Widget {
  readonly #text = document.createElement('span')
  #notebook: OpenNotebook | null = null

  constructor(private readonly init: { cancel: (tasks: RemoteTask[]) => Promise<void> }) {
    super()
    this.addClass('pk-Batch')
    const cancel = document.createElement('button')
    cancel.type = 'button'
    cancel.className = 'pk-Link'
    cancel.append(iconElement('stop'), 'Cancel')
    cancel.setAttribute('aria-label', 'Cancel the remote run of this notebook')
    cancel.addEventListener('click', () => void this.init.cancel(this.#notebook?.running ?? []))
    this.node.append(this.#text, cancel)
    this.hide()
  }

  follow(notebook: OpenNotebook): void {
    this.#notebook = notebook
    notebook.changed.connect(this.#draw, this)
    this.#draw()
  }

  #draw(): void {
    if (this.isDisposed) return
    const words = batchWords(
      (this.#notebook?.running ?? []).map(({ snapshot }) => snapshot),
      Date.now()
    )
    this.setHidden(words === undefined)
    if (words !== undefined && this.#text.textContent !== words) this.#text.textContent = words
  }
}
