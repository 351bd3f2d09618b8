import { PekkaError, toHex, type AuctionView, type Parameters } from '../../protocol/index.js'
import { notingMover, setTimer } from '../moved.js'
import type { Row } from '../rows.js'
import type { Step } from '../step.js'
import type { Reader } from '../view.js'

/** An auction in the state: reading it, moving it, and telling followers. Every state but the end has exactly one timer. */

export type AuctionRow = Row<'auction'>

/** @throws PekkaError TASK_UNKNOWN */
export function needAuction(reader: Reader, auction: Uint8Array): AuctionRow {
  const row = reader.get('auction', toHex(auction))
  if (row === undefined) throw new PekkaError('TASK_UNKNOWN')
  return row
}

/** Those in force when it was opened, with the auctions' own. */
export function auctionParameters(
  reader: Reader,
  row: AuctionRow
): Parameters & { auction: NonNullable<Parameters['auction']> } {
  const parameters = reader.get('parameters', String(row.parameters))
  if (parameters?.auction === undefined) throw new TypeError(`parameters ${row.parameters} have no auctions`)
  return { ...parameters, auction: parameters.auction }
}

/** Stores a row, sets its timer, notes the transaction that moved it and tells followers. */
export function storeAuction(step: Step, row: AuctionView): AuctionRow {
  const { view } = step
  setTimer(view, 'auction', row.auction, view.get('auction', toHex(row.auction)), row)
  const stored = notingMover(row, step)
  view.put('auction', toHex(row.auction), stored)
  step.emit({ type: 'auction', view: stored })
  return stored
}
