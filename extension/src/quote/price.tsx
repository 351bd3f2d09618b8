import React from 'react'
import type { PekkaError, SessionTerms } from '@pekka/node/protocol'
import type { Quote } from '@pekka/node/client'
import type { ImageChoice } from '@pekka/node/scan'
import type { RunSettings } from '../run/index.js'
import { keepView, noPrice, quoteView } from './view.js'

export type PriceState = { state: 'asking' } | { state: 'known'; quote: Quote } | { state: 'none'; error: PekkaError }

/** What it costs a second, and where it ends; or why there is no price. */
export function Price({
  found,
  settings,
  choice,
  runs,
  keep
}: {
  found: PriceState
  settings: RunSettings
  choice: ImageChoice
  runs: 1 | 2
  keep: SessionTerms | undefined
}): React.ReactElement {
  if (found.state === 'asking') return <p className="pk-Quote-price pk-Quiet">Getting a price…</p>
  if (found.state === 'none') {
    const { title, advice, command } = noPrice(found.error, choice)
    return (
      <div className="pk-Quote-price" role="alert">
        <strong>{title}</strong>
        <p className="pk-Quiet">
          {advice} {command !== null && <code>{command}</code>}
        </p>
      </div>
    )
  }
  const view = keep === undefined ? quoteView(found.quote, settings, runs) : keepView(found.quote, settings, keep)
  return (
    <div className="pk-Quote-price">
      <strong>{view.price}</strong> <span className="pk-Quiet">{view.minute}</span>
      <p className="pk-Quiet">{view.until}</p>
    </div>
  )
}
