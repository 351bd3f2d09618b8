import { toHex, type EndReason } from '../../protocol/index.js'
import { deposit, unlock } from '../account.js'
import { CLOSED_ID_LIVES } from '../constants.js'
import { collectLevy } from '../money.js'
import { expireAfter, unschedule } from '../queue.js'
import type { Sender, Step } from '../step.js'
import { levyOn } from './escrow.js'
import { enter, parametersOf, viewOf, type TaskRow } from './record.js'

/** Exits: SETTLED and REFUNDED, then CLOSED. At each lock = paid + refunded + levy + deposit. */

const ownerOf = (task: TaskRow): Sender => ({ account: task.account, key: task.lane })

/** What the provider gets now, so that `due` is paid in all: less the hold-back, and less what tranches paid before. */
function payOut(step: Step, task: TaskRow, due: bigint): Pick<TaskRow, 'paid' | 'held'> {
  const provider = task.attempts.at(-1)?.provider
  if (provider === undefined || due < task.paid) throw new TypeError('pay goes to an attempt, and never back')
  const held = (due * BigInt(parametersOf(step.view, task).holdBackMilli)) / 1000n
  deposit(step, provider, due - held - (task.paid - task.held))
  return { paid: due, held }
}

/** A part of the pay before the end, out of the lock (R33). Levy and the rest of the cap stay locked. */
export function payTranche(step: Step, task: TaskRow, due: bigint): TaskRow {
  unlock(step, ownerOf(task), due - task.paid, 0n)
  return { ...task, ...payOut(step, task, due) }
}

/**
 * COMMITTED → SETTLED: what is `due` goes to the provider less the hold-back, the levy to the fund, the rest to the client.
 * The storage deposit stays locked until CLOSED.
 */
export function settle(step: Step, task: TaskRow, reason: EndReason, due: bigint): void {
  const parameters = parametersOf(step.view, task)
  const levy = levyOn(due, parameters)
  const refunded = task.lock - task.deposit - due - levy
  unlock(step, ownerOf(task), task.lock - task.deposit - task.paid, refunded)
  const { paid, held } = payOut(step, task, due)
  collectLevy(step, levy)
  const deadline = step.context.contractTime + parameters.contestWindowMs
  enter(step, task, 'settled', deadline, { reason, paid, levy, refunded, held })
}

/** → REFUNDED → CLOSED at once: all of the lock goes back. Never after a tranche: that ends in SETTLED. */
export function refund(step: Step, task: TaskRow, reason: EndReason): void {
  if (task.paid !== 0n) throw new TypeError('what was paid is not given back')
  const refunded = task.lock - task.deposit
  unlock(step, ownerOf(task), refunded, refunded)
  close(step, { ...task, reason, refunded, levy: 0n, slice: 0n })
}

/** → CLOSED: storage deposit and hold-back are paid out, the object is deleted; history keeps its last view. */
export function close(step: Step, task: TaskRow): void {
  const { view, context } = step
  unlock(step, ownerOf(task), task.deposit, task.deposit)
  const provider = task.attempts.at(-1)?.provider
  if (task.held !== 0n && provider !== undefined) deposit(step, provider, task.held)
  const timer = view.get('task', toHex(task.task))?.deadline
  if (timer != null) unschedule(view, timer, 'task', task.task)
  view.delete('task', toHex(task.task))
  const until = context.timestamp + CLOSED_ID_LIVES * parametersOf(view, task).maxOfferLifeMs
  view.put('closed', toHex(task.task), { until })
  expireAfter(view, until, 'closed', task.task)
  const { transaction } = step
  const moved = transaction === null || task.transactions.some(id => toHex(id) === toHex(transaction))
  const transactions = moved ? task.transactions : [...task.transactions, transaction]
  const closed: TaskRow = { ...task, state: 'closed', since: context.contractTime, deadline: null, transactions }
  step.emit({ type: 'task', view: viewOf(closed) })
}
