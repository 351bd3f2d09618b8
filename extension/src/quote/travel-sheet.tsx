import React from 'react'
import { size as sizeWords } from '@pekka/node/client'
import { labIcon } from '../line/index.js'
import { consequences, summary, type TravelPlan } from '../values/index.js'
import { withTick } from './ticks.js'

const WarningIcon = labIcon('warning')
const CloseIcon = labIcon('close')

interface TravelSheetProps {
  plan: TravelPlan
  ticks: ReadonlyMap<string, boolean>
  change: (ticks: ReadonlyMap<string, boolean>) => void
  close: () => void
}

/** Names, kinds, reasons and sizes of what travels, each with a tick; and what can't, with a way out (UX §4). */
export function TravelSheet({ plan, ticks, change, close }: TravelSheetProps): React.ReactElement {
  const can = plan.rows.filter(({ cannot }) => cannot === null)
  const cannot = plan.rows.filter(row => row.cannot !== null)
  const warnings = consequences(plan, ticks)
  return (
    <section className="pk-Travel" aria-labelledby="pk-Travel-title">
      <div className="pk-Quote-header">
        <h2 id="pk-Travel-title">What travels</h2>
        <span className="pk-Quiet">{summary(plan, ticks)}</span>
        <button type="button" className="pk-IconButton" aria-label="Close what travels" onClick={close}>
          <CloseIcon.react tag="span" />
        </button>
      </div>
      {can.length > 0 && (
        <table className="pk-Travel-rows">
          <thead>
            <tr>
              <th scope="col">Send</th>
              <th scope="col">Name</th>
              <th scope="col">Kind</th>
              <th scope="col">Why</th>
              <th scope="col" className="pk-Travel-size">
                Size
              </th>
            </tr>
          </thead>
          <tbody>
            {can.map(row => (
              <tr key={row.id}>
                <td>
                  <input
                    type="checkbox"
                    aria-label={`Send ${row.name}`}
                    checked={ticks.get(row.id) ?? row.ticked}
                    onChange={event => change(withTick(ticks, row, event.target.checked))}
                  />
                </td>
                <th scope="row">
                  <code>{row.name}</code>
                </th>
                <td className="pk-Quiet">{row.what}</td>
                <td>
                  {row.why}
                  {row.note !== null && <span className="pk-Travel-note"> · {row.note}</span>}
                </td>
                <td className="pk-Travel-size">{sizeWords(row.size)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {warnings.length > 0 && (
        <p className="pk-Travel-warning" role="status">
          {warnings.join(' ')}
        </p>
      )}
      {cannot.length > 0 && (
        <div className="pk-Travel-cannot">
          <WarningIcon.react tag="span" className="pk-Icon pk-Warn" />
          <div>
            <strong>Can’t travel</strong>
            {cannot.map(row => (
              <p key={row.id}>
                <code>{row.name}</code> <span className="pk-Quiet">{row.what}</span>
                <br />
                {row.cannot}
              </p>
            ))}
          </div>
        </div>
      )}
      <p className="pk-Quiet pk-Travel-foot">Locked on the way. The machine that takes it can read it.</p>
    </section>
  )
}
