import type { AuctionView, Parameters, TaskView } from '../protocol/index.js'
import type { View } from './view.js'

/** Where and when something is applied: the commit that holds it. */
export interface Context {
  network: Uint8Array
  index: number
  /** The commit's wall-clock time, ms: expiry of transactions, asks, keys and delegates is compared with it. */
  timestamp: number
  /** T (R12): deadlines run in it. */
  contractTime: number
  /** Parameters now in force. A task keeps those of its offer. */
  parameters: Parameters
}

/** What followers of the ledger are told. */
export type LedgerEvent =
  | { type: 'task'; view: TaskView }
  | { type: 'auction'; view: AuctionView }
  | { type: 'ask'; ask: Uint8Array }
  | { type: 'account'; account: Uint8Array }

/** One step of the ledger: a transaction or a timer that changes a view. */
export interface Step {
  readonly context: Context
  readonly view: View
  readonly emit: (event: LedgerEvent) => void
  /** Id of the transaction; null for a timer, which nobody signs. */
  readonly transaction: Uint8Array | null
}

/** Who sent the transaction: its account, and the lane's key (null: lane 0, the account's own policy). */
export interface Sender {
  readonly account: Uint8Array
  readonly key: Uint8Array | null
}
