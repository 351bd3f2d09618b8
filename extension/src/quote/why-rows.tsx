import React from 'react'
import type { whyNot } from '@pekka/node/client'
import type { RunSettings } from '../run/index.js'
import { whyWords } from './view.js'

/** Why machines don't serve: a row per reason, with the smallest change that helps as a button. */
export function WhyRows({
  found,
  settings,
  change
}: {
  found: ReturnType<typeof whyNot>
  settings: RunSettings
  change: (settings: Partial<RunSettings>) => void
}): React.ReactElement {
  const rows = whyWords(found, settings)
  return (
    <ul className="pk-Why" aria-label="Why machines don’t match">
      {rows.length === 0 && <li>No machine is connected to this bridge.</li>}
      {rows.map(({ asked, fact, help }) => (
        <li key={asked}>
          <span>{asked}</span> <span className="pk-Quiet">{fact}</span>{' '}
          {help !== null && (
            <button type="button" className="pk-TextLink" onClick={() => change(help.settings)}>
              {help.label}
            </button>
          )}
        </li>
      ))}
    </ul>
  )
}
