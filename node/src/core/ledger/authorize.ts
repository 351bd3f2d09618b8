import {
  accountId,
  equalBytes,
  OWNER_BODIES,
  PekkaError,
  toHex,
  type SignedTransaction,
  type Transaction
} from '../protocol/index.js'
import { needAccount, newAccount, putFreshAccount, refuseRepeatedKeys } from './account.js'
import { laneKey } from './rows.js'
import type { Context } from './step.js'
import type { Reader, View } from './view.js'

/** What a transaction must satisfy to be ordered at all. Whoever fails here leaves no trace and uses no sequence. */

/** Bodies of lane 0: the owner's own, and the two that let an owner clean up after a lost device. */
export const LANE_0_BODIES: readonly string[] = [...OWNER_BODIES, 'cancel', 'withdraw-ask']

/** Where a lane stands: what its next transaction must be numbered, and which one it must name. */
export interface LaneTip {
  sequence: number
  previous: Uint8Array | null
}

/**
 * @param isFinal whether a vertex is final, i.e. may be a parent (R29)
 * @param tip where the lane will stand by then, for who looks before it is ordered; left out: where it stands
 * @throws PekkaError NETWORK_MISMATCH, TRANSACTION_EXPIRED, TRANSACTION_INVALID, ACCOUNT_UNKNOWN, DELEGATE_UNKNOWN,
 *   DELEGATE_EXPIRED, BODY_NOT_ALLOWED, SIGNATURE_INVALID, LANE_SEQUENCE, PARENT_UNKNOWN
 */
export function authorize(
  view: View,
  context: Context,
  { transaction, signatures }: SignedTransaction,
  isFinal: (vertex: Uint8Array) => boolean,
  tip?: LaneTip
): void {
  if (!equalBytes(transaction.network, context.network)) throw new PekkaError('NETWORK_MISMATCH')
  if (context.timestamp > transaction.expiry) throw new PekkaError('TRANSACTION_EXPIRED')
  const { maxOfferLifeMs } = context.parameters
  const { kind } = transaction.body
  if ((kind === 'offer' || kind === 'auction-open') && transaction.expiry > context.timestamp + maxOfferLifeMs) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: `an offer lives at most ${maxOfferLifeMs / 1000} s` })
  }
  openOwn(view, context, transaction)
  if (transaction.key === null) authorizeOwner(view, transaction, signatures)
  else authorizeDelegate(view, context, transaction, signatures)
  const lane = view.get('lane', laneKey(transaction.account, transaction.key))
  if (lane === undefined) throw new PekkaError('DELEGATE_UNKNOWN')
  const { sequence, previous } = tip ?? lane
  const follows =
    previous === null
      ? transaction.previous === null
      : transaction.previous !== null && equalBytes(transaction.previous, previous)
  if (transaction.sequence !== sequence || !follows) throw new PekkaError('LANE_SEQUENCE', { expected: sequence })
  refuseParents(transaction, isFinal)
}

/** An account that opens itself exists from here on, so that its lane can be used (only where there is a faucet and no deposit). */
function openOwn(view: View, context: Context, { account, key, body }: Transaction): void {
  const { faucetLimit, openDeposit } = context.parameters
  if (body.kind !== 'open-account' || key !== null || faucetLimit === 0n || openDeposit !== 0n) return
  if (!equalBytes(accountId(body.policy), account) || view.get('account', toHex(account)) !== undefined) return
  refuseRepeatedKeys(body.policy)
  putFreshAccount(view, newAccount(body.policy, 0n, { by: account, deposit: 0n }))
}

function authorizeOwner(
  view: Reader,
  { account, body }: Transaction,
  signatures: SignedTransaction['signatures']
): void {
  const { policy } = needAccount(view, account)
  if (!LANE_0_BODIES.includes(body.kind)) throw new PekkaError('BODY_NOT_ALLOWED', { body: body.kind })
  const strangers = signatures.some(({ key }) => !policy.keys.some(own => equalBytes(own, key)))
  const signers = new Set(signatures.map(({ key }) => toHex(key)))
  if (strangers || signers.size !== signatures.length || signers.size < policy.threshold) {
    throw new PekkaError('SIGNATURE_INVALID')
  }
}

function authorizeDelegate(
  view: Reader,
  context: Context,
  { account, key, body }: Transaction,
  signatures: SignedTransaction['signatures']
): void {
  needAccount(view, account)
  const delegate = view.get('lane', laneKey(account, key))?.delegate
  if (!delegate) throw new PekkaError('DELEGATE_UNKNOWN')
  if (context.timestamp > delegate.expiry) throw new PekkaError('DELEGATE_EXPIRED')
  if (!(delegate.bodies as readonly string[]).includes(body.kind)) {
    throw new PekkaError('BODY_NOT_ALLOWED', { body: body.kind })
  }
  const [signature, ...more] = signatures
  if (signature === undefined || more.length > 0 || !equalBytes(signature.key, delegate.key)) {
    throw new PekkaError('SIGNATURE_INVALID')
  }
}

/** Parents are distinct, ascending, and final or the lane's previous (R29). */
function refuseParents({ parents, previous }: Transaction, isFinal: (vertex: Uint8Array) => boolean): void {
  let before = ''
  for (const parent of parents) {
    const id = toHex(parent)
    if (id <= before) throw new PekkaError('TRANSACTION_INVALID', { issue: 'parents are not ascending' })
    before = id
    if (!(previous !== null && equalBytes(parent, previous)) && !isFinal(parent)) throw new PekkaError('PARENT_UNKNOWN')
  }
}
