import { Widget } from '@lumino/widgets'
import { Pace, type OpenNotebook } from '../run/index.js'
import { iconElement, type LiveRegion } from '../line/index.js'
import { cellsOf } from './cells.js'
import type { Machines } from './machines.js'
import { machineView, openingView, type MachineActionId, type MachineView } from './view.js'

export interface MachineBarComponents {
  machines: Machines
  live: LiveRegion
  act: (action: MachineActionId) => void
  connected: () => boolean
  now: () => number
  clock: (ms: number) => string
}

/** Seconds go by in it this often, ms. */
const TICK_MS = 1000
/** Changes that follow one another faster are drawn once, ms. */
const PAUSE_MS = 150

/** The line of one view of a notebook about the machine that is kept for it; hidden where none is. */
export class MachineBar extends Widget {
  readonly #icon = element('span', 'pk-Line-icon')
  readonly #word = element('span', 'pk-Line-word')
  readonly #facts = element('span', 'pk-Line-facts')
  readonly #actions = element('span', 'pk-Line-actions')
  readonly #pace: Pace
  #shown = { icon: '', actions: '' }
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(
    private readonly components: MachineBarComponents,
    private readonly notebook: OpenNotebook
  ) {
    super()
    this.addClass('pk-Machine')
    this.node.setAttribute('role', 'group')
    this.node.setAttribute('aria-label', 'Machine kept for this notebook')
    const row = element('div', 'pk-Line-row')
    row.append(this.#icon, this.#word, this.#facts, this.#actions)
    this.node.append(row)
    this.#pace = new Pace({ draw: () => this.#draw(), now: () => performance.now() }, { pauseMs: PAUSE_MS })
    components.machines.changed.connect(this.#onChange, this)
    notebook.changed.connect(this.#later, this)
    this.#draw()
  }

  override dispose(): void {
    if (this.isDisposed) return
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#pace.dispose()
    this.components.machines.changed.disconnect(this.#onChange, this)
    this.notebook.changed.disconnect(this.#later, this)
    super.dispose()
  }

  #onChange(_: Machines, notebook: OpenNotebook): void {
    if (notebook === this.notebook) this.#later()
  }

  #later(): void {
    this.#pace.later()
  }

  #draw(): void {
    if (this.isDisposed) return
    const { live } = this.components
    const view = this.#view()
    this.setHidden(view === undefined)
    this.#tick(view?.ticking === true)
    if (view === undefined) return
    this.node.dataset['state'] = view.key
    this.node.dataset['tone'] = view.tone
    if (this.#shown.icon !== view.icon) this.#icon.replaceChildren(iconElement(view.icon))
    const facts = view.facts.join(' · ')
    setText(this.#word, view.word)
    setText(this.#facts, facts)
    this.#facts.title = facts
    this.#drawActions(view)
    this.#shown.icon = view.icon
    const key = `${this.notebook.context.path}:machine`
    if (view.spoken === null) live.pass(key, view.key)
    else live.say(key, view.key, view.spoken.text, view.spoken.assertive)
  }

  #view(): MachineView | undefined {
    const { machines, connected, now, clock } = this.components
    const opening = machines.opening(this.notebook)
    if (opening !== null) return openingView(opening)
    const machine = machines.of(this.notebook)
    if (machine === null) return undefined
    const cells = this.notebook.context.isDisposed ? 0 : cellsOf(this.notebook, machine.id).length
    return machineView(machine.snapshot, { now: now(), connected: connected(), clock, cells })
  }

  #drawActions({ actions }: MachineView): void {
    const key = actions.map(({ id, label }) => `${id}=${label}`).join()
    if (this.#shown.actions === key) return
    this.#shown.actions = key
    this.#actions.replaceChildren(
      ...actions.map(({ id, label, icon }) => {
        const button = element('button', 'pk-Link')
        button.setAttribute('type', 'button')
        button.dataset['action'] = id
        button.append(iconElement(icon), label)
        button.addEventListener('click', () => this.components.act(id))
        return button
      })
    )
  }

  #tick(ticking: boolean): void {
    if (ticking) this.#timer ??= setInterval(() => this.#draw(), TICK_MS)
    else if (this.#timer !== null) {
      clearInterval(this.#timer)
      this.#timer = null
    }
  }
}

function element(tag: string, className: string): HTMLElement {
  const node = document.createElement(tag)
  node.className = className
  return node
}

function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text
}
