import { PekkaError, type BodyOf } from '../protocol/index.js'
import { deposit, needAccount, withdraw } from './account.js'
import { SYSTEM, type Row } from './rows.js'
import { stakedIn } from './stake.js'
import type { Sender, Step } from './step.js'
import { scan, type Reader } from './view.js'

/** Supply: what there is in all, and the two pots that belong to nobody (faucet, levies). */

export function needSystem(reader: Reader): Row<'system'> {
  const row = reader.get('system', SYSTEM)
  if (row === undefined) throw new TypeError('the state has no genesis')
  return row
}

/** Credits from one account to another. @throws PekkaError ACCOUNT_UNKNOWN, FUNDS_MISSING, TRANSACTION_INVALID */
export function transfer(step: Step, sender: Sender, { to, amount }: BodyOf<'transfer'>): void {
  if (amount === 0n) throw new PekkaError('TRANSACTION_INVALID', { issue: 'nothing to transfer' })
  needAccount(step.view, to)
  withdraw(step, sender.account, amount)
  deposit(step, to, amount)
}

/** Adds to the levies collected for audits. */
export function collectLevy({ view }: Step, amount: bigint): void {
  if (amount === 0n) return
  const system = needSystem(view)
  view.put('system', SYSTEM, { ...system, fund: system.fund + amount })
}

/** Total supply is constant: every credit is in an account, held back in a task, in the faucet or in the fund. */
export function supplyInvariant(view: Reader): string[] {
  const { supply, faucet, fund } = needSystem(view)
  let found = faucet + fund
  for (const [, account] of scan(view, 'account')) {
    found += account.balance + account.locked + account.bond
    for (const part of account.unbonding) found += part.amount
  }
  found += stakedIn(view)
  for (const [, task] of scan(view, 'task')) found += task.held
  return found === supply ? [] : [`supply is ${found}, was ${supply}`]
}
