import { equalBytes, PekkaError } from '../protocol/index.js'
import { schedule, unschedule } from './queue.js'
import type { Sender, Step } from './step.js'
import type { View } from './view.js'

/** What tasks and auctions have in common: a state with one timer, an owner's lane, and the transactions that moved them. */
interface Moved {
  account: Uint8Array
  lane: Uint8Array
  /** T of its timer; null: it has none. */
  deadline: number | null
  transactions: Uint8Array[]
}

/** @throws PekkaError TASK_STATE unless it is in one of `states`. */
export function needState<S extends string>(row: { state: S }, body: string, ...states: NoInfer<S>[]): void {
  if (!states.includes(row.state)) throw new PekkaError('TASK_STATE', { state: row.state, body })
}

/** Only the lane that it belongs to, or the account's own keys, may move it (R38). @throws PekkaError BODY_NOT_ALLOWED */
export function needOwn(row: Pick<Moved, 'account' | 'lane'>, sender: Sender, body: string): void {
  const own = equalBytes(row.account, sender.account) && (sender.key === null || equalBytes(row.lane, sender.key))
  if (!own) throw new PekkaError('BODY_NOT_ALLOWED', { body })
}

/** Sets the timer of what is to be stored, in the place of the one that it had. */
export function setTimer(
  view: View,
  kind: 'task' | 'auction',
  id: Uint8Array,
  before: Pick<Moved, 'deadline'> | undefined,
  { deadline }: Pick<Moved, 'deadline'>
): void {
  if (before?.deadline === deadline) return
  if (before?.deadline != null) unschedule(view, before.deadline, kind, id)
  if (deadline !== null) schedule(view, deadline, kind, id)
}

/** The row with the transaction that moves it now, once; a timer has none. */
export function notingMover<R extends Pick<Moved, 'transactions'>>(row: R, { transaction }: Step): R {
  const known = transaction === null || row.transactions.some(id => equalBytes(id, transaction))
  return known ? row : { ...row, transactions: [...row.transactions, transaction] }
}
