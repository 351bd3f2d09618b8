import React from 'react'
import { Dialog, ReactWidget } from '@jupyterlab/apputils'
import { billCredits, duration, type PartCheck } from '@pekka/node/client'
import { labIcon } from '../line/index.js'
import { costOf, timeOf, type TaskSnapshot } from '../run/index.js'

export interface ShownReceipt {
  snapshot: TaskSnapshot
  checks: readonly PartCheck[]
  /** As it is saved and checked by `pekka verify`. */
  encoded: Uint8Array
}

const Done = labIcon('done')
const Failed = labIcon('error')

/** `All 6 parts hold`, `1 of 6 parts fails: Result.` */
export function verdict(checks: readonly PartCheck[]): string {
  const failed = checks.filter(({ ok }) => !ok)
  if (failed.length === 0) return `All ${checks.length} parts hold`
  return `${failed.length} of ${checks.length} parts ${failed.length === 1 ? 'fails' : 'fail'}: ${failed.map(({ part }) => part).join(', ')}.`
}

/** Shows what a receipt proves, checked on this computer, and offers it as a file. */
export async function showReceipt({ snapshot, checks, encoded }: ShownReceipt): Promise<void> {
  const dialog = new Dialog<unknown>({
    title: `Receipt: ${snapshot.title}`,
    body: ReactWidget.create(<Receipt snapshot={snapshot} checks={checks} />),
    buttons: [Dialog.cancelButton({ label: 'Close' }), Dialog.okButton({ label: 'Save as file' })]
  })
  dialog.addClass('pk-ReceiptDialog')
  const { button } = await dialog.launch()
  if (button.accept) save(encoded, `receipt-${snapshot.task.slice(0, 8)}.pekka`)
}

const paidWords = (checks: readonly PartCheck[]): string =>
  checks.some(({ part }) => part === 'Ledger')
    ? 'that it is on the ledger, the network’s witnesses have signed.'
    : 'that it was paid is as the bridge says.'

function Receipt({ snapshot, checks }: Pick<ShownReceipt, 'snapshot' | 'checks'>): React.ReactElement {
  const time = timeOf(snapshot, 0)
  return (
    <div className="pk-Receipt">
      <p>
        <strong>{verdict(checks)}</strong>, checked on this computer. The result was not re-run on another machine;{' '}
        {paidWords(checks)}
      </p>
      <dl className="pk-Facts">
        <dt>Machine</dt>
        <dd>{snapshot.provider ?? 'none'}</dd>
        <dt>Environment</dt>
        <dd>{snapshot.image ?? ''}</dd>
        <dt>Time</dt>
        <dd>{time === null ? '' : duration(time)}</dd>
        <dt>Paid</dt>
        <dd>{billCredits(costOf(snapshot, 0).amount)} credits</dd>
      </dl>
      <ul className="pk-Receipt-parts">
        {checks.map(({ part, ok, note }) => (
          <li key={part}>
            {ok ? (
              <Done.react tag="span" className="pk-Icon" />
            ) : (
              <Failed.react tag="span" className="pk-Icon pk-mod-bad" />
            )}
            <span>
              <strong>{part}</strong> {ok ? '' : 'fails: '}
              {note}
            </span>
          </li>
        ))}
      </ul>
      <p className="pk-Quiet">The provider could read your code while it ran.</p>
    </div>
  )
}

function save(bytes: Uint8Array, name: string): void {
  const copy = new Uint8Array(bytes)
  const address = URL.createObjectURL(new Blob([copy], { type: 'application/cbor' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  // The download has begun by then; the address would keep the bytes in memory.
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}
