import React from 'react'
import { Dialog, Notification, ReactWidget } from '@jupyterlab/apputils'
import type { TwiceReport } from '../run/index.js'

/** Says how two runs compare, in a corner of the page; which cells differ and why on a click. */
export function tellComparison(report: TwiceReport | null): void {
  if (report === null)
    return void Notification.warning('There is nothing to compare: one of the two runs brought no result.', {
      autoClose: false
    })
  const { words, verdict } = report
  const same = verdict === 'exact' || verdict === 'canonical'
  Notification.emit(words.head, same ? 'success' : 'warning', {
    autoClose: false,
    actions: words.cells.length === 0 ? [] : [{ label: 'What differs', callback: () => void showComparison(report) }]
  })
}

async function showComparison({ words }: TwiceReport): Promise<void> {
  const body = ReactWidget.create(
    <div className="pk-Comparison">
      <p>{words.head}</p>
      <ul>
        {words.cells.map(({ name, verdict, cause, example }) => (
          <li key={name}>
            <strong>
              {name} {verdict}
            </strong>
            <p>{cause}</p>
            {example !== null && (
              <dl>
                <dt>First run</dt>
                <dd>
                  <code>{example[0]}</code>
                </dd>
                <dt>Second run</dt>
                <dd>
                  <code>{example[1]}</code>
                </dd>
              </dl>
            )}
          </li>
        ))}
      </ul>
    </div>
  )
  const dialog = new Dialog<unknown>({
    title: 'Two runs compared',
    body,
    buttons: [Dialog.okButton({ label: 'Close' })]
  })
  await dialog.launch()
}
