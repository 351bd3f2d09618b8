import { priceOf, toHex, type EndReason } from '../../protocol/index.js'
import { deposit, unlock } from '../account.js'
import { CLOSED_ID_LIVES } from '../constants.js'
import { collectLevy } from '../money.js'
import { expireAfter, unschedule } from '../queue.js'
import type { Sender, Step } from '../step.js'
import { levyOn } from './offer.js'
import { enter, parametersOf, viewOf, type TaskRow } from './record.js'

/** Exits: SETTLED and REFUNDED, then CLOSED. At each lock = paid + refunded + levy + deposit. */

const ownerOf = (task: TaskRow): Sender => ({ account: task.account, key: task.lane })

/**
 * COMMITTED → SETTLED: the price goes to the provider less the hold-back, the levy to the fund, the rest to the client.
 * The storage deposit stays locked until CLOSED.
 */
export function settle(step: Step, task: TaskRow, reason: EndReason, wallMs: number): void {
  const parameters = parametersOf(step.view, task)
  const attempt = task.attempts.at(-1)
  const candidate = attempt && task.offer.candidates[attempt.candidate]
  if (candidate === undefined) throw new TypeError('a committed task has a candidate')
  const paid = priceOf(candidate.pricePerSecond, wallMs, task.offer.cap)
  const levy = levyOn(paid, parameters)
  const refunded = task.lock - task.deposit - paid - levy
  const held = (paid * BigInt(parameters.holdBackMilli)) / 1000n
  unlock(step, ownerOf(task), task.lock - task.deposit, refunded)
  deposit(step, candidate.provider, paid - held)
  collectLevy(step, levy)
  const deadline = step.context.contractTime + parameters.contestWindowMs
  enter(step, task, 'settled', deadline, { reason, paid, levy, refunded, held })
}

/** → REFUNDED → CLOSED at once: all of the lock goes back. */
export function refund(step: Step, task: TaskRow, reason: EndReason): void {
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
