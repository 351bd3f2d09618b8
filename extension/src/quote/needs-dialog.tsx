import React from 'react'
import { Dialog, ReactWidget } from '@jupyterlab/apputils'
import type { CodeSource } from '../run/index.js'

/** First characters of a cell that tell it from others. */
const FIRST_CHARS = 60

/**
 * "This cell needs `df` from cell 2." Resolves with what to run, or undefined.
 */
export async function askNeeds(question: {
  sentence: string
  more: readonly CodeSource[]
  chosen: number
}): Promise<'all' | 'only' | undefined> {
  const { sentence, more, chosen } = question
  const dialog = new Dialog<unknown>({
    title: 'Run the cells above too?',
    body: ReactWidget.create(<Needs sentence={sentence} more={more} />),
    focusNodeSelector: '.pk-mod-all',
    buttons: [
      Dialog.cancelButton({ label: 'Cancel' }),
      Dialog.createButton({
        label: chosen === 1 ? 'Only this cell' : 'Only these cells',
        actions: ['only'],
        accept: false
      }),
      Dialog.okButton({ label: more.length === 1 ? 'Run that too' : 'Run those too', className: 'pk-mod-all' })
    ]
  })
  dialog.addClass('pk-Needs')
  const { button } = await dialog.launch()
  if (button.actions.includes('only')) return 'only'
  return button.accept ? 'all' : undefined
}

function Needs({ sentence, more }: { sentence: string; more: readonly CodeSource[] }): React.ReactElement {
  return (
    <div className="pk-Needs-body">
      <p>{withCode(sentence)}</p>
      <ul>
        {more.map(({ id, number, source }) => (
          <li key={id}>
            <span className="pk-Quiet">Cell {number}</span> <code>{firstLine(source)}</code>
          </li>
        ))}
      </ul>
      <p className="pk-Quiet">
        Your kernel doesn’t have them now. Run those cells here first, and their values travel instead.
      </p>
    </div>
  )
}

/** What stands between backquotes, as code. */
const withCode = (sentence: string): React.ReactNode[] =>
  sentence.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))

const firstLine = (source: string): string => {
  const line = source.split('\n').find(text => text.trim() !== '' && !text.trim().startsWith('#')) ?? ''
  return line.length > FIRST_CHARS ? `${line.slice(0, FIRST_CHARS)}…` : line
}
