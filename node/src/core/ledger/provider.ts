import { PekkaError, toHex, type BodyOf } from '../protocol/index.js'
import { changeAccount, needAccount, withdraw } from './account.js'
import { MAX_UNBONDING } from './constants.js'
import { schedule } from './queue.js'
import type { Row } from './rows.js'
import type { Sender, Step } from './step.js'
import { scan, type Reader } from './view.js'

/** Providers: who they are, and the bond that answers for their tasks (R22). */

/** @throws PekkaError ACCOUNT_UNKNOWN when the account is no provider. */
export function needProvider(reader: Reader, provider: Uint8Array): Row<'provider'> {
  const row = reader.get('provider', toHex(provider))
  if (row === undefined) throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(provider) })
  return row
}

export const changeProvider = (
  { view }: Step,
  provider: Uint8Array,
  change: (row: Row<'provider'>) => Partial<Row<'provider'>>
): void => {
  const row = needProvider(view, provider)
  view.put('provider', toHex(provider), { ...row, ...change(row) })
}

/** Registers the sender, or renews its name, operator and peer key. The peer's signature is checked in verify.ts. */
export function registerProvider({ view, emit }: Step, sender: Sender, body: BodyOf<'register-provider'>): void {
  const id = toHex(sender.account)
  const known = view.get('provider', id) ?? { completed: 0, failed: 0, asks: 0 }
  const { name, operator, peerKey } = body
  view.put('provider', id, { ...known, provider: sender.account, name, operator, peerKey })
  emit({ type: 'account', account: sender.account })
}

/** @throws PekkaError FUNDS_MISSING, TRANSACTION_INVALID */
export function bond(step: Step, sender: Sender, { amount }: BodyOf<'bond'>): void {
  if (amount === 0n) throw new PekkaError('TRANSACTION_INVALID', { issue: 'nothing to bond' })
  withdraw(step, sender.account, amount)
  changeAccount(step, sender.account, row => ({ bond: row.bond + amount }))
}

/**
 * Takes free bond back. It arrives after contest window, longest audit and appeal, since tasks accepted before stay liable.
 * @throws PekkaError FUNDS_MISSING, TRANSACTION_INVALID, LIMIT_EXCEEDED
 */
export function unbond(step: Step, sender: Sender, { amount }: BodyOf<'unbond'>): void {
  if (amount === 0n) throw new PekkaError('TRANSACTION_INVALID', { issue: 'nothing to unbond' })
  changeAccount(step, sender.account, row => {
    const free = row.bond - row.bondReserved
    if (amount > free) throw new PekkaError('FUNDS_MISSING', { have: free, need: amount })
    return { bond: row.bond - amount }
  })
  startUnbonding(step, sender.account, amount)
}

/** What was bonded or staked becomes balance after `unbondMs` of T. @throws PekkaError LIMIT_EXCEEDED */
export function startUnbonding(step: Step, account: Uint8Array, amount: bigint): void {
  const { view, context } = step
  const at = context.contractTime + context.parameters.unbondMs
  changeAccount(step, account, row => {
    const joined = row.unbonding.map(part => (part.at === at ? { at, amount: part.amount + amount } : part))
    const unbonding = row.unbonding.some(part => part.at === at) ? joined : [...row.unbonding, { at, amount }]
    if (unbonding.length > MAX_UNBONDING) throw new PekkaError('LIMIT_EXCEEDED')
    return { unbonding }
  })
  schedule(view, at, 'unbond', account)
}

/** The timer of an unbonding: what is due becomes balance. */
export function releaseBond(step: Step, account: Uint8Array, at: number): void {
  changeAccount(step, account, row => {
    const due = row.unbonding.filter(part => part.at === at).reduce((sum, part) => sum + part.amount, 0n)
    return { balance: row.balance + due, unbonding: row.unbonding.filter(part => part.at !== at) }
  })
}

/**
 * Reserves a slice of the provider's bond for a task, until SETTLED.
 * @throws PekkaError FUNDS_MISSING
 */
export function reserveSlice(step: Step, provider: Uint8Array, slice: bigint): void {
  changeAccount(step, provider, row => {
    const free = row.bond - row.bondReserved
    if (slice > free) throw new PekkaError('FUNDS_MISSING', { have: free, need: slice })
    return { bondReserved: row.bondReserved + slice }
  })
}

export const freeSlice = (step: Step, provider: Uint8Array, slice: bigint): void =>
  changeAccount(step, provider, row => ({ bondReserved: row.bondReserved - slice }))

/** What is reserved of a bond is what its tasks reserve; every withdrawal has its timer; asks are counted. */
export function providerInvariant(view: Reader): string[] {
  const broken: string[] = []
  const reserved = new Map<string, bigint>()
  for (const [, task] of scan(view, 'task')) {
    const attempt = task.attempts.at(-1)
    if (task.slice === 0n || attempt === undefined) continue
    const id = toHex(attempt.provider)
    reserved.set(id, (reserved.get(id) ?? 0n) + task.slice)
  }
  for (const [key, account] of scan(view, 'account')) {
    if (account.bondReserved !== (reserved.get(key) ?? 0n)) broken.push(`account ${key} reserves what no task needs`)
    for (const part of account.unbonding) {
      const timer = `${part.at.toString().padStart(16, '0')}/unbond/${key}`
      if (view.get('timer', timer) === undefined) broken.push(`account ${key} waits for a bond without a timer`)
    }
  }
  const asks = new Map<string, number>()
  for (const [, row] of scan(view, 'ask')) asks.set(toHex(row.provider), (asks.get(toHex(row.provider)) ?? 0) + 1)
  for (const [key, provider] of scan(view, 'provider')) {
    if (needAccount(view, provider.provider) === undefined) broken.push(`provider ${key} has no account`)
    if (provider.asks !== (asks.get(key) ?? 0)) broken.push(`provider ${key} has miscounted its asks`)
    if (provider.failed < 0 || provider.completed < 0) broken.push(`provider ${key} has miscounted its tasks`)
  }
  return broken
}
