import { isPekkaError, PekkaError, toHex, type Transaction } from '../protocol/index.js'
import { grant, openAccount, revoke } from './account.js'
import { publishAsk, withdrawAsk } from './ask.js'
import { bid, cancelAuction, openAuction, revealBid, revealReserve } from './auction/index.js'
import { drawFaucet } from './faucet.js'
import { approveImage, proposeImage, retireImage } from './image.js'
import { transfer } from './money.js'
import { bond, registerProvider, unbond } from './provider.js'
import { cancelRecovery, recover, setPolicy, setRecovery } from './recovery.js'
import { stake, unstake } from './stake.js'
import type { Context, LedgerEvent, Sender, Step } from './step.js'
import { accept, alive, cancel, closeSession, commit, decline, fail, offer, tranche } from './task/index.js'
import { Overlay, type Reader, type Write } from './view.js'

export type Applied = { ok: true; writes: Write[]; events: LedgerEvent[] } | { ok: false; error: PekkaError }

/**
 * What one transaction does to a state. Pure: the state is read, never changed; the changes come back, or the typed error
 * for which nothing changes. The transaction has been authorized (authorize.ts) and its signatures hold.
 */
export function apply(state: Reader, context: Context, transaction: Transaction, id: Uint8Array): Applied {
  const view = new Overlay(state)
  const events: LedgerEvent[] = []
  try {
    run({ context, view, transaction: id, emit: event => events.push(event) }, transaction, id)
  } catch (error) {
    if (isPekkaError(error)) return { ok: false, error }
    throw error
  }
  return { ok: true, writes: view.writes(), events }
}

function run(step: Step, { account, key, body }: Transaction, id: Uint8Array): void {
  const sender: Sender = { account, key }
  switch (body.kind) {
    case 'open-account':
      return openAccount(step, sender, body)
    case 'transfer':
      return transfer(step, sender, body)
    case 'set-policy':
      return setPolicy(step, sender, body)
    case 'set-recovery':
      return setRecovery(step, sender, body)
    case 'recover':
      return recover(step, sender, body)
    case 'cancel-recovery':
      return cancelRecovery(step, sender, body)
    case 'grant':
      return grant(step, sender, body)
    case 'revoke':
      return revoke(step, sender, body)
    case 'faucet':
      return drawFaucet(step, sender, body)
    case 'register-provider':
      return registerProvider(step, sender, body)
    case 'bond':
      return bond(step, sender, body)
    case 'unbond':
      return unbond(step, sender, body)
    case 'stake':
      return stake(step, sender, body)
    case 'unstake':
      return unstake(step, sender, body)
    case 'ask':
      return publishAsk(step, sender, body, id)
    case 'withdraw-ask':
      return withdrawAsk(step, sender, body)
    case 'offer':
      return offer(step, needLane(sender, body.kind), body)
    case 'accept':
      return accept(step, sender, body)
    case 'decline':
      return decline(step, sender, body)
    case 'cancel':
      return isAuction(step, body.task) ? cancelAuction(step, sender, body) : cancel(step, sender, body)
    case 'alive':
      return alive(step, sender, body)
    case 'fail':
      return fail(step, sender, body)
    case 'commit':
      return commit(step, sender, body)
    case 'tranche':
      return tranche(step, sender, body)
    case 'close':
      return closeSession(step, sender, body)
    case 'auction-open':
      return openAuction(step, needLane(sender, body.kind), body)
    case 'auction-bid':
      return bid(step, needLane(sender, body.kind), body)
    case 'auction-reveal':
      return revealBid(step, sender, body)
    case 'auction-reserve':
      return revealReserve(step, sender, body)
    case 'image-propose':
      return proposeImage(step, sender, body)
    case 'image-approve':
      return approveImage(step, sender, body)
    case 'image-retire':
      return retireImage(step, sender, body)
  }
}

/** A task belongs to a delegate's lane (R38), whose cap bounds what it locks; authorize.ts lets lane 0 lock nothing. */
function needLane({ account, key }: Sender, body: string): Sender & { key: Uint8Array } {
  if (key === null) throw new PekkaError('BODY_NOT_ALLOWED', { body })
  return { account, key }
}

/** Whether an id is, for now, that of an auction and not of its task. */
const isAuction = ({ view }: Step, id: Uint8Array): boolean =>
  view.get('task', toHex(id)) === undefined && view.get('auction', toHex(id)) !== undefined
