import React from 'react'
import { ReactWidget } from '@jupyterlab/ui-components'
import { Widget } from '@lumino/widgets'
import type { QuoteDecision } from '../run/index.js'
import { QuoteForm } from './quote-form.js'

type PopoverQuestion = Omit<React.ComponentProps<typeof QuoteForm>, 'answer'>

/**
 * Asks beside a cell. Enter runs, Esc and a click elsewhere leave it; the focus goes back to where it was.
 *
 * @param anchor the cell's node; without one the popover stands in the middle
 */
export function askQuote(
  question: PopoverQuestion,
  anchor: HTMLElement | undefined
): Promise<QuoteDecision | undefined> {
  return new Promise(resolve => {
    const opener = document.activeElement
    const widget = ReactWidget.create(
      <QuoteForm
        {...question}
        answer={result => {
          close()
          resolve(result)
        }}
      />
    )
    const leave = (): void => {
      close()
      resolve(undefined)
    }
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === 'Tab') keepFocus(event, widget.node)
      // Lab's shortcuts are not for what is typed here.
      event.stopPropagation()
    }
    // Wherever the focus is: Lab gives it to a notebook late, and Esc would leave the cell and not this.
    const onEscape = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape' || document.querySelector('.jp-Dialog') !== null) return
      event.stopPropagation()
      leave()
    }
    const onFocus = (event: FocusEvent): void => {
      if (!(event.target instanceof Element) || event.target.closest('.jp-Notebook') === null) return
      const run = host.querySelector<HTMLElement>('button[type=submit]:enabled')
      ;(run ?? host).focus()
    }
    const onPointer = (event: PointerEvent): void => {
      if (event.target instanceof Node && !widget.node.contains(event.target)) leave()
    }
    const close = (): void => {
      document.removeEventListener('keydown', onEscape, true)
      document.removeEventListener('focusin', onFocus)
      document.removeEventListener('pointerdown', onPointer, true)
      watch.disconnect()
      widget.dispose()
      host.remove()
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
    }
    const host = document.createElement('div')
    host.className = 'pk-Quote'
    host.setAttribute('role', 'dialog')
    host.setAttribute('aria-label', question.title)
    host.tabIndex = -1
    document.body.append(host)
    Widget.attach(widget, host)
    // Prices, reasons and lists come while it is looked at.
    const watch = new ResizeObserver(() => keepInside(host))
    watch.observe(host)
    host.addEventListener('keydown', onKey)
    document.addEventListener('keydown', onEscape, true)
    document.addEventListener('focusin', onFocus)
    document.addEventListener('pointerdown', onPointer, true)
    place(host, anchor)
    host.focus()
  })
}

/** Tab goes round inside. */
function keepFocus(event: KeyboardEvent, node: HTMLElement): void {
  const stops = [...node.querySelectorAll<HTMLElement>('button:not(:disabled), input, select')]
  const first = stops.at(0)
  const last = stops.at(-1)
  const leaving = event.shiftKey ? first : last
  if (document.activeElement !== leaving) return
  event.preventDefault()
  ;(event.shiftKey ? last : first)?.focus()
}

/** Distance to the cell and to the window's edges, px. */
const GAP = 8

/** Below the cell's upper right corner where its toolbar is, inside the window. */
function place(host: HTMLElement, anchor: HTMLElement | undefined): void {
  const { width, height } = host.getBoundingClientRect()
  const box = anchor?.getBoundingClientRect()
  const right = box?.right ?? (innerWidth + width) / 2
  const top = box === undefined ? (innerHeight - height) / 2 : Math.max(box.top, 0) + 4 * GAP
  host.style.left = `${Math.max(GAP, Math.min(right - width - GAP, innerWidth - width - GAP))}px`
  host.style.top = `${Math.max(GAP, Math.min(top, innerHeight - height - GAP))}px`
}

/** Moves a popover that has grown up, so that its buttons stay in the window. */
function keepInside(host: HTMLElement): void {
  const { top, height } = host.getBoundingClientRect()
  if (top + height > innerHeight - GAP) host.style.top = `${Math.max(GAP, innerHeight - GAP - height)}px`
}
