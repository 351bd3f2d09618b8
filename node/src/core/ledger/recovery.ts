import { equalBytes, PekkaError, toHex, type BodyOf } from '../protocol/index.js'
import { changeAccount, needAccount, refuseRepeatedKeys } from './account.js'
import { schedule, unschedule } from './queue.js'
import { queueKey, timeOfKey, type Row } from './rows.js'
import type { Sender, Step } from './step.js'
import { scan, type Reader } from './view.js'

/**
 * Other keys for an account: by its owner at once, or by its guardians when they are lost. An account names guardians, who are an account themselves, so k of n of them by its policy. They name new keys, and after a
 * delay in contract time, in which the owner can say no, these are the account's. Money never moves by it: only the new keys move it.
 */

/** Other keys for the same account: its id stays. A recovery under way ends, since whoever has the keys is there. */
export function setPolicy(step: Step, sender: Sender, body: BodyOf<'set-policy'>): void {
  refuseRepeatedKeys(body.policy)
  endRecovery(step, sender.account)
  changeAccount(step, sender.account, () => ({ policy: body.policy }))
}

/**
 * Names or removes the guardians. A recovery under way ends: whoever signs for the account is there.
 * @throws PekkaError ACCOUNT_UNKNOWN, TRANSACTION_INVALID
 */
export function setRecovery(step: Step, sender: Sender, { recovery }: BodyOf<'set-recovery'>): void {
  if (recovery !== null) {
    needAccount(step.view, recovery.guardians)
    if (equalBytes(recovery.guardians, sender.account)) {
      throw new PekkaError('TRANSACTION_INVALID', { issue: 'an account can’t be its own guardian' })
    }
  }
  endRecovery(step, sender.account)
  const { recovery: _, ...rest } = needAccount(step.view, sender.account)
  putAccount(step, recovery === null ? rest : { ...rest, recovery })
}

/**
 * The guardians' word: other keys for an account, once its delay is over.
 * @throws PekkaError ACCOUNT_UNKNOWN, BODY_NOT_ALLOWED, OBJECT_EXISTS (one is under way), TRANSACTION_INVALID
 */
export function recover(step: Step, sender: Sender, { kind, account, policy }: BodyOf<'recover'>): void {
  const row = needAccount(step.view, account)
  if (!isGuardian(row, sender)) throw new PekkaError('BODY_NOT_ALLOWED', { body: kind })
  if (row.recovering !== undefined) throw new PekkaError('OBJECT_EXISTS')
  refuseRepeatedKeys(policy)
  const at = step.context.contractTime + (row.recovery?.delayMs ?? 0)
  putAccount(step, { ...row, recovering: { policy, at } })
  schedule(step.view, at, 'recovery', account)
}

/** @throws PekkaError ACCOUNT_UNKNOWN, BODY_NOT_ALLOWED, NOT_ON_LEDGER (none is under way) */
export function cancelRecovery(step: Step, sender: Sender, { kind, account }: BodyOf<'cancel-recovery'>): void {
  const row = needAccount(step.view, account)
  if (!equalBytes(account, sender.account) && !isGuardian(row, sender)) {
    throw new PekkaError('BODY_NOT_ALLOWED', { body: kind })
  }
  if (row.recovering === undefined) throw new PekkaError('NOT_ON_LEDGER', { what: 'recovery of this account' })
  endRecovery(step, account)
}

/** Drops what is under way, if anything is, with its timer. */
export function endRecovery(step: Step, account: Uint8Array): void {
  const { recovering, ...row } = needAccount(step.view, account)
  if (recovering === undefined) return
  unschedule(step.view, recovering.at, 'recovery', account)
  putAccount(step, row)
}

/** The delay is over: the account has the keys that its guardians named. Who guards it stays. */
export function recoveryTimer(step: Step, account: Uint8Array): void {
  const { recovering, ...row } = needAccount(step.view, account)
  if (recovering === undefined) throw new TypeError('a recovery has a timer but is gone')
  unschedule(step.view, recovering.at, 'recovery', account)
  putAccount(step, { ...row, policy: recovering.policy })
}

const isGuardian = ({ recovery }: Row<'account'>, { account }: Sender): boolean =>
  recovery !== undefined && equalBytes(recovery.guardians, account)

function putAccount({ view, emit }: Step, row: Row<'account'>): void {
  view.put('account', toHex(row.account), row)
  emit({ type: 'account', account: row.account })
}

/** Guardians exist and are others; what is under way has its one timer, and nothing else has one. */
export function recoveryInvariant(view: Reader): string[] {
  const broken: string[] = []
  const timers = new Map<string, number[]>()
  for (const [key, timer] of scan(view, 'timer')) {
    if (timer.kind !== 'recovery') continue
    timers.set(toHex(timer.id), [...(timers.get(toHex(timer.id)) ?? []), timeOfKey(key)])
    if (key !== queueKey(timeOfKey(key), 'recovery', timer.id)) broken.push(`timer ${key} has another key inside`)
  }
  for (const [key, { account, recovery, recovering }] of scan(view, 'account')) {
    const guarded = recovery !== undefined && view.get('account', toHex(recovery.guardians)) !== undefined
    if (recovery !== undefined && (!guarded || equalBytes(recovery.guardians, account))) {
      broken.push(`account ${key} has nobody to guard it`)
    }
    if (recovering !== undefined && recovery === undefined) broken.push(`account ${key} is recovered by nobody`)
    const wanted = recovering === undefined ? [] : [recovering.at]
    if ((timers.get(key) ?? []).join() !== wanted.join()) broken.push(`account ${key} has other timers than recoveries`)
    timers.delete(key)
  }
  for (const key of timers.keys()) broken.push(`a recovery of ${key} belongs to no account`)
  return broken
}
