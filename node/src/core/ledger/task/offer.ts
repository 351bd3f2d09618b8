import {
  equalBytes,
  objectId,
  PekkaError,
  toHex,
  type BodyOf,
  type Candidate,
  type OfferTask,
  type Parameters
} from '../../protocol/index.js'
import { lock } from '../account.js'
import { isLive } from '../ask.js'
import { sell } from '../auction/sale.js'
import { refuseRetired } from '../image.js'
import type { Sender, Step } from '../step.js'
import { levyOn, lockFor } from './escrow.js'
import { fits } from './fits.js'
import { enter } from './record.js'

/**
 * – → OFFERED(1): the client names providers and prices and locks the escrow. There is no award (R1); after an auction it names the
 * winner at its price (R31), and the auction's lock is the escrow.
 */

/** Latest contract time at which an offered task must have been accepted. */
export const offerDeadline = (offer: OfferTask, since: number, parameters: Parameters): number =>
  Math.min(since + parameters.startWithinMs, offer.finishBy ?? Number.MAX_SAFE_INTEGER)

/**
 * Puts up 1..64 tasks, all or none. A task whose id is there already, or was closed a moment ago, is left as it is (R13):
 * every resend keeps the id.
 * @throws PekkaError TRANSACTION_INVALID, IMAGE_RETIRED, ASK_MISMATCH, CAP_TOO_LOW, DELEGATE_CAP, FUNDS_MISSING, TASK_STATE
 */
export function offer(step: Step, sender: Sender & { key: Uint8Array }, body: BodyOf<'offer'>): void {
  for (const terms of body.tasks) offerOne(step, sender, terms)
}

function offerOne(step: Step, sender: Sender & { key: Uint8Array }, terms: OfferTask): void {
  const { view, context } = step
  const { contractTime, timestamp } = context
  if (!equalBytes(terms.task, objectId(sender.account, terms.nonce))) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'the id of the task does not follow from its nonce' })
  }
  const id = toHex(terms.task)
  if (view.get('task', id) !== undefined || view.get('closed', id) !== undefined) return
  refuseRetired(view, terms.image)
  if (terms.cap === 0n) throw new PekkaError('CAP_TOO_LOW', { cap: 0n })
  if (new Set(terms.candidates.map(candidate => toHex(candidate.provider))).size !== terms.candidates.length) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'a provider is named twice' })
  }
  const auction = view.get('auction', id)
  // Sold, its task was there; ended otherwise, this offer came too late, and whoever sent it must hear so.
  if (auction?.state === 'ended') throw new PekkaError('TASK_STATE', { state: 'ended', body: 'offer' })
  for (const candidate of terms.candidates) checkAsk(step, terms, candidate, auction !== undefined)

  const escrow = auction === undefined ? lockOwn(step, sender, terms) : sell(step, sender, auction, terms)
  const parameters = view.get('parameters', String(escrow.parameters))
  if (parameters === undefined) throw new TypeError('the parameters in force are gone')
  const levy = levyOn(terms.cap, parameters)
  enter(
    step,
    {
      task: terms.task,
      account: sender.account,
      lane: sender.key,
      state: 'offered',
      reason: null,
      attempts: [],
      declined: [],
      offer: terms,
      since: contractTime,
      deadline: null,
      offeredAt: timestamp,
      cancelledAt: null,
      sessionEndedAt: null,
      lock: escrow.lock,
      paid: 0n,
      refunded: 0n,
      levy,
      deposit: parameters.storageDeposit,
      slice: 0n,
      parameters: parameters.id,
      transactions: escrow.transactions,
      held: 0n
    },
    'offered',
    offerDeadline(terms, contractTime, parameters)
  )
}

function lockOwn(step: Step, sender: Sender, terms: OfferTask) {
  const { parameters } = step.context
  const amount = lockFor(terms, parameters)
  lock(step, sender, amount)
  return { lock: amount, parameters: parameters.id, transactions: [] }
}

/** The ask is live, at the named price (or the auction's), and offers what the task needs (R1). */
function checkAsk({ view, context }: Step, terms: OfferTask, candidate: Candidate, auctioned: boolean): void {
  const row = view.get('ask', toHex(candidate.ask))
  const matches =
    row !== undefined &&
    isLive(row, context.timestamp) &&
    equalBytes(row.provider, candidate.provider) &&
    (auctioned || row.ask.pricePerSecond === candidate.pricePerSecond) &&
    candidate.holdPricePerSecond === (terms.session === null ? null : row.ask.holdPricePerSecond) &&
    (terms.session === null || candidate.holdPricePerSecond !== null) &&
    row.ask.image.name === terms.image.name &&
    equalBytes(row.ask.image.digest, terms.image.digest) &&
    fits(terms.resources, row.ask.resources)
  if (!matches) throw new PekkaError('ASK_MISMATCH')
}
