import { Widget } from '@lumino/widgets'
import type { Connection } from '../connection/index.js'
import { iconElement } from '../line/index.js'
import type { Tasks } from '../run/index.js'
import { statusWords } from './view.js'

/** PEKKA's item in the status bar; a click opens the panel. */
export class StatusItem extends Widget {
  #shown = ''
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
    tasks.changed.connect(this.#draw, this)
    connection.changed.connect(this.#draw, this)
    this.#draw()
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
