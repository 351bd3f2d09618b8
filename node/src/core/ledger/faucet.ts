import { PekkaError, type BodyOf } from '../protocol/index.js'
import { changeAccount, needAccount } from './account.js'
import { needSystem } from './money.js'
import { SYSTEM } from './rows.js'
import type { Sender, Step } from './step.js'
import { scan, type Reader } from './view.js'

/**
 * Practice credits of a devnet: from what the genesis set aside, up to a limit per account in all.
 * @throws PekkaError FUNDS_MISSING, TRANSACTION_INVALID
 */
export function drawFaucet(step: Step, sender: Sender, { amount }: BodyOf<'faucet'>): void {
  const { view, context } = step
  if (amount === 0n) throw new PekkaError('TRANSACTION_INVALID', { issue: 'nothing to draw' })
  const system = needSystem(view)
  const { faucetDrawn } = needAccount(view, sender.account)
  const left = context.parameters.faucetLimit - faucetDrawn
  const have = left < system.faucet ? left : system.faucet
  if (amount > have) throw new PekkaError('FUNDS_MISSING', { have: have < 0n ? 0n : have, need: amount })
  view.put('system', SYSTEM, { ...system, faucet: system.faucet - amount })
  changeAccount(step, sender.account, row => ({
    balance: row.balance + amount,
    faucetDrawn: row.faucetDrawn + amount
  }))
}

/** The faucet never owes anything, and nobody has drawn more than the limit. */
export function faucetInvariant(view: Reader): string[] {
  const system = needSystem(view)
  const limit = view.get('parameters', String(system.parameters))?.faucetLimit ?? 0n
  const broken = system.faucet < 0n || system.fund < 0n ? ['the faucet or the fund is overdrawn'] : []
  for (const [key, account] of scan(view, 'account')) {
    if (account.faucetDrawn > limit) broken.push(`account ${key} has drawn more than the limit`)
  }
  return broken
}
