import { billCredits, credits } from '../../core/client/index.js'
import {
  shortId,
  toHex,
  type AccountItem,
  type TransactionDetail,
  type TransactionSummary
} from '../../core/protocol/index.js'

/** Digits of an id in a line: enough to tell accounts of one network apart. */
const SHOWN = 8

/** One final transaction in a line: time, commit and number in it, what it is, by whom. */
export function transactionLine(transaction: TransactionSummary): string {
  const { place, timestamp, kind, account, tasks, to, amount, code } = transaction
  const time = new Date(timestamp).toISOString().slice(0, 19).replace('T', ' ')
  const parts = [
    ...(amount === null ? [] : [`${credits(amount)} credits`]),
    ...(to === null ? [] : [`to ${shortId(to, SHOWN)}`]),
    ...(tasks.length === 0 ? [] : [tasks.length > 1 ? `${tasks.length} tasks` : taskName(tasks[0])]),
    ...(code === null ? [] : [`failed: ${code}`])
  ]
  const where = `${place.index}-${place.position}`
  return `${time}  ${where.padStart(9)}  ${kind.padEnd(17)} by ${shortId(account, SHOWN)}  ${parts.join(', ')}`.trimEnd()
}

const taskName = (task: Uint8Array | undefined): string =>
  task === undefined ? 'no task' : `task ${shortId(task, SHOWN)}`

/** One transaction in full, a line a fact. */
export function transactionLines(transaction: TransactionDetail): string[] {
  const { id, place, timestamp, account, key, sequence, kind, tasks, to, amount, code, parents, signatures } =
    transaction
  const lane = key === null ? 'the account’s own lane' : `the lane of ${toHex(key)}`
  return [
    `transaction ${toHex(id)}`,
    `  ${kind}, ${code === null ? 'applied' : `failed: ${code}`}`,
    `  final since ${new Date(timestamp).toISOString()}, commit ${place.index}, number ${place.position + 1} in it`,
    `  by ${toHex(account)}, number ${sequence} of ${lane}, ${signatures.length} signed`,
    ...(amount === null ? [] : [`  ${credits(amount)} credits${to === null ? '' : ` to ${toHex(to)}`}`]),
    ...tasks.map(task => `  about task ${toHex(task)}`),
    `  after ${parents.map(parent => shortId(parent, SHOWN)).join(', ')}`
  ]
}

/** An account in full, a line a fact. */
export function accountLines({
  account,
  policy,
  balance,
  locked,
  bond,
  bondReserved,
  unbonding,
  lanes
}: AccountItem): string[] {
  const leaving = unbonding.reduce((sum, { amount }) => sum + amount, 0n)
  return [
    `account ${toHex(account)}`,
    `  ${billCredits(balance)} credits free, ${billCredits(locked)} on hold`,
    `  deposit ${billCredits(bond)} credits, ${billCredits(bondReserved)} of it for tasks under way`,
    ...(leaving === 0n ? [] : [`  ${billCredits(leaving)} credits of its deposit on their way back`]),
    `  ${policy.threshold} of ${policy.keys.length} keys sign for it; ${lanes} delegates`
  ]
}
