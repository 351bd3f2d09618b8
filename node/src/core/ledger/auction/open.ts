import { objectId, PekkaError, roundUpCap, toHex, type BodyOf } from '../../protocol/index.js'
import { lock } from '../account.js'
import { refuseRetired } from '../image.js'
import { needOwn, needState } from '../moved.js'
import type { Sender, Step } from '../step.js'
import { lockFor } from '../task/escrow.js'
import { endAuction } from './award.js'
import { needAuction, storeAuction } from './record.js'

/** The client's side before the award: it opens an auction, and may cancel it. */

/**
 * – → BIDDING: locks the step above the hidden cap. An id that is taken already: nothing happens (R13).
 * @throws PekkaError BODY_NOT_YET (this network has no auctions), TRANSACTION_INVALID, IMAGE_RETIRED, DELEGATE_CAP, FUNDS_MISSING
 */
export function openAuction(
  step: Step,
  sender: Sender & { key: Uint8Array },
  { kind, terms }: BodyOf<'auction-open'>
): void {
  const { view, context } = step
  const { parameters, contractTime, timestamp } = context
  if (parameters.auction === undefined) throw new PekkaError('BODY_NOT_YET', { body: kind })
  const id = toHex(terms.task)
  if (toHex(objectId(sender.account, terms.nonce)) !== id) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'the id of the auction does not follow from its nonce' })
  }
  const taken = (['task', 'closed', 'auction'] as const).some(table => view.get(table, id) !== undefined)
  if (taken) return
  refuseRetired(view, terms.image)
  if (terms.lock === 0n || roundUpCap(terms.lock) !== terms.lock) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'an auction locks 1, 2 or 5 times a power of ten' })
  }
  const amount = lockFor({ cap: terms.lock }, parameters)
  lock(step, sender, amount)
  storeAuction(step, {
    auction: terms.task,
    account: sender.account,
    lane: sender.key,
    state: 'bidding',
    terms,
    since: contractTime,
    deadline: contractTime + terms.bidMs,
    openedAt: timestamp,
    bids: [],
    reserve: null,
    award: null,
    lock: amount,
    ended: null,
    parameters: parameters.id,
    transactions: []
  })
}

/** Ends an auction before its offer has come: all locks and deposits go back. @throws PekkaError TASK_STATE, BODY_NOT_ALLOWED */
export function cancelAuction(step: Step, sender: Sender, { kind, task }: BodyOf<'cancel'>): void {
  const row = needAuction(step.view, task)
  needOwn(row, sender, kind)
  needState(row, kind, 'bidding', 'revealing', 'awarded')
  endAuction(step, row, 'cancelled')
}
