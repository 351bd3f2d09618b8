import React from 'react'
import { isFetched, type AddressRow } from '../run/index.js'
import { withTick } from './ticks.js'
import { addressWords } from './view.js'

interface AddressListProps {
  rows: readonly AddressRow[]
  ticks: ReadonlyMap<string, boolean>
  change: (ticks: ReadonlyMap<string, boolean>) => void
}

/** The addresses that the code reads, each with a tick: nobody learns of them before the user agrees. */
export function AddressList({ rows, ticks, change }: AddressListProps): React.ReactElement | null {
  if (rows.length === 0) return null
  return (
    <section className="pk-Addresses" aria-labelledby="pk-Addresses-title">
      <h3 id="pk-Addresses-title">Data from addresses</h3>
      <ul>
        {rows.map(row => (
          <li key={row.id}>
            <label title={row.url}>
              <input
                type="checkbox"
                aria-label={`Fetch ${row.url}`}
                checked={isFetched(row, ticks)}
                disabled={row.cannot !== null}
                onChange={event => change(withTick(ticks, row, event.target.checked))}
              />
              <span>
                <code>{row.name}</code> from {row.host} <span className="pk-Quiet">· {row.where}</span>
                {[row.note, row.cannot].map(words => words !== null && <p key={words}>{words}</p>)}
              </span>
            </label>
          </li>
        ))}
      </ul>
      {addressWords(rows, ticks).map(sentence => (
        <p key={sentence} className="pk-Quiet">
          {sentence}
        </p>
      ))}
    </section>
  )
}
