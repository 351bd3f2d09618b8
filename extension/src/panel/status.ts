import { Widget } from '@lumino/widgets'
import type { Connection } from '../connection/index.js'
import { iconElement } from '../line/index.js'
import { Pace, type Tasks } from '../run/index.js'
import { statusWords } from './view.js'

/** Tasks that come and go faster than this, ms, are passed over. */
const PAUSE_MS = 150

/** PEKKA's item in the status bar; a click opens the panel. */
export class StatusItem extends Widget {
  #shown = ''
  readonly #pace: Pace
  readonly #button = document.createElement('button')

  constructor(
    private readonly components: { tasks: Tasks; connection: Connection; now: () => number; open: () => void }
  ) {
    super()
    const { tasks, connection, open } = components
    this.addClass('pk-Status')
    this.#button.type = 'button'
    this.#button.title = 'Show remote tasks'
    this.#button.addEventListener('click', open)
    this.node.append(this.#button)
    this.#pace = new Pace(
      { draw: () => this.#draw(), now: () => performance.now() },
      { pauseMs: PAUSE_MS, trailing: true }
    )
    tasks.changed.connect(() => this.#pace.later())
    connection.changed.connect(() => this.#pace.soon())
    this.#pace.soon()
  }

  override dispose(): void {
    this.#pace.dispose()
    super.dispose()
  }

  #draw(): void {
    const { tasks, connection, now } = this.components
    const { icon, text } = statusWords(
      connection.state,
      tasks.running.map(({ snapshot }) => snapshot),
      now()
    )
    if (`${icon}${text}` === this.#shown) return
    this.#shown = `${icon}${text}`
    const label = document.createElement('span')
    label.textContent = text
    this.#button.replaceChildren(iconElement(icon), label)
  }
}
