import {
  accountId,
  AGENT_BODIES,
  CLIENT_BODIES,
  PekkaError,
  toHex,
  type BodyOf,
  type Policy
} from '../protocol/index.js'
import { settleUnits } from './bandwidth.js'
import { MAX_LANES } from './constants.js'
import { laneKey, type Row } from './rows.js'
import type { Sender, Step } from './step.js'
import { scan, type Reader, type View } from './view.js'

/** Accounts: policies of keys, money, and the delegates that act for them (R27, R28). */

/** @throws PekkaError ACCOUNT_UNKNOWN */
export function needAccount(reader: Reader, account: Uint8Array): Row<'account'> {
  const row = reader.get('account', toHex(account))
  if (row === undefined) throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(account) })
  return row
}

/** Changes some fields of an account and tells followers. Reads it first, so calls one after another add up. */
export function changeAccount(
  { view, emit, context }: Pick<Step, 'view' | 'emit' | 'context'>,
  account: Uint8Array,
  change: (row: Row<'account'>) => Partial<Row<'account'>>
): void {
  const row = needAccount(view, account)
  view.put('account', toHex(account), settleUnits(row, { ...row, ...change(row) }, context))
  emit({ type: 'account', account })
}

export const deposit = (step: Step, account: Uint8Array, amount: bigint): void =>
  changeAccount(step, account, row => ({ balance: row.balance + amount }))

/** @throws PekkaError FUNDS_MISSING */
export const withdraw = (step: Step, account: Uint8Array, amount: bigint): void =>
  changeAccount(step, account, row => {
    if (row.balance < amount) throw new PekkaError('FUNDS_MISSING', { have: row.balance, need: amount })
    return { balance: row.balance - amount }
  })

export function newAccount(policy: Policy, balance: bigint, opened: Row<'account'>['opened']): Row<'account'> {
  const nothing = { locked: 0n, bond: 0n, bondReserved: 0n, faucetDrawn: 0n }
  return { account: accountId(policy), policy, balance, ...nothing, unbonding: [], lanes: 0, opened }
}

export function newLane(account: Uint8Array, key: Uint8Array | null): Row<'lane'> {
  return { account, key, sequence: 0, previous: null, delegate: null, spent: 0n, locked: 0n }
}

/** @throws PekkaError TRANSACTION_INVALID */
export function refuseRepeatedKeys(policy: Policy): void {
  if (new Set(policy.keys.map(toHex)).size !== policy.keys.length) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'a policy names a key twice' })
  }
}

/**
 * Brings an account into being. The sender pays the deposit, which stays locked in its account. On a network with a faucet
 * an account may open itself (its own policy signs, sequence 0), so that a newcomer needs nobody; see authorize.ts.
 * @throws PekkaError TRANSACTION_INVALID, OBJECT_EXISTS, FUNDS_MISSING
 */
export function openAccount(step: Step, sender: Sender, body: BodyOf<'open-account'>): void {
  const { view, context } = step
  refuseRepeatedKeys(body.policy)
  if (body.deposit !== context.parameters.openDeposit) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: `the deposit is ${context.parameters.openDeposit}` })
  }
  const account = accountId(body.policy)
  const id = toHex(account)
  if (id === toHex(sender.account)) {
    // authorize.ts has made the rows just now, so that the lane could be used; an account opens itself once.
    if (view.get('lane', laneKey(account, null))?.sequence !== 1) throw new PekkaError('OBJECT_EXISTS')
    return
  }
  if (view.get('account', id) !== undefined) throw new PekkaError('OBJECT_EXISTS')
  withdraw(step, sender.account, body.deposit)
  changeAccount(step, sender.account, row => ({ locked: row.locked + body.deposit }))
  view.put('account', id, newAccount(body.policy, 0n, { by: sender.account, deposit: body.deposit }))
  view.put('lane', laneKey(account, null), newLane(account, null))
  step.emit({ type: 'account', account })
}

/**
 * Lets a key act within bounds (R28): a client's bodies or an agent's, never both and never the owner's. Granting again
 * renews: the new cap counts from what is locked now.
 * @throws PekkaError BODY_NOT_ALLOWED, DELEGATE_EXPIRED, LIMIT_EXCEEDED
 */
export function grant(step: Step, sender: Sender, { delegate }: BodyOf<'grant'>): void {
  const { view, context } = step
  const allowed = [CLIENT_BODIES, AGENT_BODIES].find(role =>
    delegate.bodies.every(body => (role as readonly string[]).includes(body))
  )
  if (allowed === undefined) throw new PekkaError('BODY_NOT_ALLOWED', { body: delegate.bodies.join(', ') })
  if (delegate.expiry <= context.timestamp) throw new PekkaError('DELEGATE_EXPIRED')
  const key = laneKey(sender.account, delegate.key)
  const lane = view.get('lane', key)
  if (lane === undefined) {
    const { lanes } = needAccount(view, sender.account)
    if (lanes >= MAX_LANES) throw new PekkaError('LIMIT_EXCEEDED')
    changeAccount(step, sender.account, row => ({ lanes: row.lanes + 1 }))
  }
  view.put('lane', key, { ...(lane ?? newLane(sender.account, delegate.key)), delegate, spent: 0n })
}

/** Takes a key's rights away. What it has open stays, and refunds of it still count. @throws PekkaError DELEGATE_UNKNOWN */
export function revoke({ view }: Step, sender: Sender, body: BodyOf<'revoke'>): void {
  const key = laneKey(sender.account, body.key)
  const lane = view.get('lane', key)
  if (!lane?.delegate) throw new PekkaError('DELEGATE_UNKNOWN')
  view.put('lane', key, { ...lane, delegate: null })
}

/**
 * Locks money of the account for the lane's task.
 * @throws PekkaError DELEGATE_CAP, FUNDS_MISSING
 */
export function lock(step: Step, sender: Sender, amount: bigint): void {
  const { view } = step
  const key = laneKey(sender.account, sender.key)
  const lane = view.get('lane', key)
  if (!lane?.delegate) throw new PekkaError('DELEGATE_UNKNOWN')
  const { cap, perTask } = lane.delegate
  const used = lane.spent + lane.locked
  if (amount > perTask) throw new PekkaError('DELEGATE_CAP', { cap: perTask, used: 0n })
  if (used + amount > cap) throw new PekkaError('DELEGATE_CAP', { cap, used })
  withdraw(step, sender.account, amount)
  changeAccount(step, sender.account, row => ({ locked: row.locked + amount }))
  view.put('lane', key, { ...lane, locked: lane.locked + amount })
}

/** Ends a lock: `refund` goes back to the account, the rest has been spent elsewhere (R28: refunds give back). */
export function unlock(step: Step, owner: Sender, amount: bigint, refund: bigint): void {
  const { view } = step
  changeAccount(step, owner.account, row => ({ locked: row.locked - amount, balance: row.balance + refund }))
  const key = laneKey(owner.account, owner.key)
  const lane = view.get('lane', key)
  if (lane === undefined) throw new TypeError(`lane ${key} has a lock but is gone`)
  view.put('lane', key, { ...lane, locked: lane.locked - amount, spent: lane.spent + amount - refund })
}

/** Money of accounts is never negative, and what is locked has an owner: a lane's task or an account it opened. */
export function accountInvariant(view: Reader): string[] {
  const broken: string[] = []
  const owed = new Map<string, bigint>()
  const owe = (account: Uint8Array, amount: bigint) =>
    owed.set(toHex(account), (owed.get(toHex(account)) ?? 0n) + amount)
  const lanes = new Map<string, number>()
  for (const [key, lane] of scan(view, 'lane')) {
    if (key !== laneKey(lane.account, lane.key)) broken.push(`lane ${key} has another key inside`)
    if (lane.spent < 0n || lane.locked < 0n) broken.push(`lane ${key} is negative`)
    if ((lane.sequence === 0) !== (lane.previous === null)) broken.push(`lane ${key} has lost its previous`)
    if (lane.key !== null) lanes.set(toHex(lane.account), (lanes.get(toHex(lane.account)) ?? 0) + 1)
    owe(lane.account, lane.locked)
  }
  for (const [, account] of scan(view, 'account')) if (account.opened) owe(account.opened.by, account.opened.deposit)
  for (const [key, account] of scan(view, 'account')) {
    const parts = account.unbonding.map(part => part.amount)
    const amounts = [account.balance, account.locked, account.bond, account.bondReserved, ...parts]
    if (amounts.some(amount => amount < 0n)) broken.push(`account ${key} is negative`)
    if (account.bondReserved > account.bond) broken.push(`account ${key} has reserved more than its bond`)
    if (account.locked !== (owed.get(key) ?? 0n)) broken.push(`account ${key} has locked what nobody owes`)
    if (account.lanes !== (lanes.get(key) ?? 0)) broken.push(`account ${key} has miscounted its lanes`)
  }
  return broken
}

/** Adds rows of a fresh account to a view: for the genesis and for accounts that open themselves. */
export function putFreshAccount(view: View, row: Row<'account'>): void {
  view.put('account', toHex(row.account), row)
  view.put('lane', laneKey(row.account, null), newLane(row.account, null))
}
