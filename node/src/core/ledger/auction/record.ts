import {
  equalBytes,
  PekkaError,
  toHex,
  type AuctionState,
  type AuctionView,
  type Parameters
} from '../../protocol/index.js'
import { schedule, unschedule } from '../queue.js'
import type { Row } from '../rows.js'
import type { Sender, Step } from '../step.js'
import type { Reader } from '../view.js'

/** An auction in the state: reading it, moving it, and telling followers. Every state but the end has exactly one timer. */

export type AuctionRow = Row<'auction'>

/** @throws PekkaError TASK_UNKNOWN */
export function needAuction(reader: Reader, auction: Uint8Array): AuctionRow {
  const row = reader.get('auction', toHex(auction))
  if (row === undefined) throw new PekkaError('TASK_UNKNOWN')
  return row
}

/** @throws PekkaError TASK_STATE unless the auction is in one of `states`. */
export function needAuctionState(row: AuctionRow, body: string, ...states: AuctionState[]): void {
  if (!states.includes(row.state)) throw new PekkaError('TASK_STATE', { state: row.state, body })
}

/** Only the lane that opened it, or the account's own keys, may move it. @throws PekkaError BODY_NOT_ALLOWED */
export function needOwnAuction(row: AuctionRow, sender: Sender, body: string): void {
  const own = equalBytes(row.account, sender.account) && (sender.key === null || equalBytes(row.lane, sender.key))
  if (!own) throw new PekkaError('BODY_NOT_ALLOWED', { body })
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
export function storeAuction({ view, emit, transaction }: Step, row: AuctionView): AuctionRow {
  const before = view.get('auction', toHex(row.auction))
  if (before?.deadline !== row.deadline) {
    if (before?.deadline != null) unschedule(view, before.deadline, 'auction', row.auction)
    if (row.deadline !== null) schedule(view, row.deadline, 'auction', row.auction)
  }
  const known = transaction === null || row.transactions.some(id => equalBytes(id, transaction))
  const stored = known ? row : { ...row, transactions: [...row.transactions, transaction] }
  view.put('auction', toHex(row.auction), stored)
  emit({ type: 'auction', view: stored })
  return stored
}
