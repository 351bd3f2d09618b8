import { Widget } from '@lumino/widgets'
import { iconElement } from './icons.js'
import type { LineActionId, LineView } from './view.js'

/** The line under one cell: icon, word, facts, actions. Redrawn only where something changed, so that focus stays. */
export class LineWidget extends Widget {
  readonly #icon = element('span', 'pk-Line-icon')
  readonly #word = element('span', 'pk-Line-word')
  readonly #facts = element('span', 'pk-Line-facts')
  readonly #actions = element('span', 'pk-Line-actions')
  readonly #bar = element('span', 'pk-Line-bar')
  readonly #notes = element('div', 'pk-Line-notes')
  #shown: { icon?: string; actions?: string; notes?: string } = {}

  constructor(private readonly init: { act: (action: LineActionId) => void }) {
    super()
    this.addClass('pk-Line')
    this.node.setAttribute('role', 'group')
    const row = element('div', 'pk-Line-row')
    row.append(this.#icon, this.#word, this.#facts, this.#actions, this.#bar)
    this.node.append(row, this.#notes)
    // A click on the line must not put the cell into edit mode or select text cells.
    this.node.addEventListener('mousedown', event => event.stopPropagation())
    this.node.addEventListener('keydown', event => event.stopPropagation())
  }

  /** @param number of the cell, for those who only hear the buttons */
  draw(view: LineView, number: number): void {
    this.node.setAttribute('aria-label', `Remote run of cell ${number}`)
    this.node.dataset['state'] = view.key
    this.node.dataset['tone'] = view.tone
    if (this.#shown.icon !== view.icon) this.#icon.replaceChildren(iconElement(view.icon))
    setText(this.#word, view.word)
    setText(this.#facts, view.facts.join(' · '))
    this.#facts.title = view.facts.join(' · ')
    this.#drawActions(view, number)
    this.#drawBar(view)
    const notes = view.notes.join('\n')
    if (this.#shown.notes !== notes) {
      this.#notes.replaceChildren(...view.notes.map(note => element('p', '', note)))
      this.#notes.hidden = view.notes.length === 0
    }
    this.#shown = { ...this.#shown, icon: view.icon, notes }
  }

  #drawActions(view: LineView, number: number): void {
    const key = `${number}:${view.actions.map(({ id, label }) => `${id}=${label}`).join()}`
    if (this.#shown.actions === key) return
    this.#shown.actions = key
    this.#actions.replaceChildren(
      ...view.actions.map(({ id, label, icon }) => {
        const button = element('button', 'pk-Link')
        button.setAttribute('type', 'button')
        button.setAttribute('aria-label', `${label}: cell ${number}`)
        button.dataset['action'] = id
        button.append(iconElement(icon), label)
        button.addEventListener('click', () => this.init.act(id))
        return button
      })
    )
  }

  #drawBar({ bar }: LineView): void {
    this.#bar.hidden = bar === null
    this.#bar.classList.toggle('pk-mod-moving', bar === 'moving')
    this.#bar.style.width = typeof bar === 'number' ? `${Math.round(bar * 100)}%` : ''
  }
}

function element(tag: string, className: string, text = ''): HTMLElement {
  const node = document.createElement(tag)
  if (className !== '') node.className = className
  if (text !== '') node.textContent = text
  return node
}

function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text
}
