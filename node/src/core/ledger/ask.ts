import { equalBytes, MAX_ASK_LIFE_MS, objectId, PekkaError, toHex, type BodyOf } from '../protocol/index.js'
import { MAX_ASKS_PER_PROVIDER } from './constants.js'
import { refuseRetired } from './image.js'
import { changeProvider, needProvider } from './provider.js'
import { expireAfter, forgetExpiry } from './queue.js'
import type { Row } from './rows.js'
import type { Sender, Step } from './step.js'
import { scan, type Reader } from './view.js'

/** Published prices (R3): an ask and the KEM key in it live at most 24 h and then go by themselves. */

/** @throws PekkaError ACCOUNT_UNKNOWN, TRANSACTION_INVALID, IMAGE_RETIRED, OBJECT_EXISTS, LIMIT_EXCEEDED */
export function publishAsk(step: Step, sender: Sender, { ask }: BodyOf<'ask'>, transaction: Uint8Array): void {
  const { view, context } = step
  const { asks } = needProvider(view, sender.account)
  if (!equalBytes(ask.ask, objectId(sender.account, ask.nonce))) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'the id of the ask does not follow from its nonce' })
  }
  for (const expiry of [ask.expiry, ask.kemExpiry]) {
    if (expiry <= context.timestamp || expiry > context.timestamp + MAX_ASK_LIFE_MS) {
      throw new PekkaError('TRANSACTION_INVALID', { issue: 'an ask and its key live at most 24 hours' })
    }
  }
  refuseRetired(view, ask.image)
  if (view.get('ask', toHex(ask.ask)) !== undefined) throw new PekkaError('OBJECT_EXISTS')
  if (asks >= MAX_ASKS_PER_PROVIDER) throw new PekkaError('LIMIT_EXCEEDED')
  changeProvider(step, sender.account, row => ({ asks: row.asks + 1 }))
  view.put('ask', toHex(ask.ask), { ask, provider: sender.account, transaction })
  expireAfter(view, ask.expiry, 'ask', ask.ask)
  step.emit({ type: 'ask', ask: ask.ask })
}

/** Ends an ask before its time. Offers that name it already stay. @throws PekkaError ASK_MISMATCH */
export function withdrawAsk(step: Step, sender: Sender, body: BodyOf<'withdraw-ask'>): void {
  const row = step.view.get('ask', toHex(body.ask))
  if (row === undefined || !equalBytes(row.provider, sender.account)) throw new PekkaError('ASK_MISMATCH')
  forgetExpiry(step.view, row.ask.expiry, 'ask', body.ask)
  removeAsk(step, row)
}

export function removeAsk(step: Step, row: Row<'ask'>): void {
  changeProvider(step, row.provider, provider => ({ asks: provider.asks - 1 }))
  step.view.delete('ask', toHex(row.ask.ask))
  step.emit({ type: 'ask', ask: row.ask.ask })
}

/** Whether an offer or a quote may use it now. */
export const isLive = (row: Row<'ask'>, timestamp: number): boolean =>
  row.ask.expiry >= timestamp && row.ask.kemExpiry >= timestamp

/** One more (or one less) attempt is under way for an ask. */
export function changeLoad({ view }: Step, ask: Uint8Array, by: 1 | -1): void {
  const key = toHex(ask)
  const running = (view.get('load', key)?.running ?? 0) + by
  if (running === 0) view.delete('load', key)
  else view.put('load', key, { running })
}

/** Every ask has its provider and an end; the load counts the attempts under way. */
export function askInvariant(view: Reader): string[] {
  const broken: string[] = []
  for (const [key, row] of scan(view, 'ask')) {
    if (view.get('provider', toHex(row.provider)) === undefined) broken.push(`ask ${key} has no provider`)
    const expiry = `${row.ask.expiry.toString().padStart(16, '0')}/ask/${key}`
    if (view.get('expiry', expiry) === undefined) broken.push(`ask ${key} never ends`)
  }
  const running = new Map<string, number>()
  for (const [, task] of scan(view, 'task')) {
    const attempt = task.attempts.at(-1)
    const candidate = attempt && task.offer.candidates[attempt.candidate]
    if (candidate === undefined || (task.state !== 'running' && task.state !== 'stopping')) continue
    running.set(toHex(candidate.ask), (running.get(toHex(candidate.ask)) ?? 0) + 1)
  }
  for (const [key, load] of scan(view, 'load')) {
    if (running.get(key) !== load.running) broken.push(`ask ${key} has miscounted what runs`)
    running.delete(key)
  }
  for (const key of running.keys()) broken.push(`ask ${key} runs without being counted`)
  return broken
}
