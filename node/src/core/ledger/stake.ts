import { PekkaError, toHex, type BodyOf } from '../protocol/index.js'
import { withdraw } from './account.js'
import { MAX_CHAINS, MAX_WITNESS_ROWS } from './constants.js'
import { startUnbonding } from './provider.js'
import type { Row } from './rows.js'
import type { Sender, Step } from './step.js'
import { scan, type Reader } from './view.js'

/** Witnesses: the credits that vouch for a block key, and the ends of its hash chains (R26). Who sits is elected from these. */

/** Who can be elected for an epoch. */
export interface Candidate {
  /** Block key. */
  readonly key: Uint8Array
  readonly stake: bigint
  /** End of its hash chain for that epoch. */
  readonly tip: Uint8Array
}

/**
 * Adds stake to a block key, and registers ends of its hash chains. The first to stake on a key owns it; the key has vouched for
 * the account (checked in verify.ts). An end can be replaced until the election for its epoch, which copies it.
 * @throws PekkaError FUNDS_MISSING, OBJECT_EXISTS, LIMIT_EXCEEDED, TRANSACTION_INVALID
 */
export function stake(step: Step, sender: Sender, { amount, witness, chains }: BodyOf<'stake'>): void {
  const key = toHex(witness)
  const known = step.view.get('witness', key)
  if (known === undefined && amount === 0n) throw new PekkaError('TRANSACTION_INVALID', { issue: 'nothing to stake' })
  if (known !== undefined && toHex(known.account) !== toHex(sender.account)) throw new PekkaError('OBJECT_EXISTS')
  if (known === undefined && [...step.view.keys('witness')].length >= MAX_WITNESS_ROWS) {
    throw new PekkaError('LIMIT_EXCEEDED')
  }
  if (chains.some(({ epoch }, i) => epoch <= (chains[i - 1]?.epoch ?? -1))) {
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'chains ascend by epoch' })
  }
  if (amount > 0n) withdraw(step, sender.account, amount)
  const renewed = new Set(chains.map(({ epoch }) => epoch))
  const kept = (known?.chains ?? []).filter(({ epoch }) => !renewed.has(epoch))
  const all = [...kept, ...chains].sort((a, b) => a.epoch - b.epoch).slice(-MAX_CHAINS)
  step.view.put('witness', key, {
    account: sender.account,
    witness,
    stake: (known?.stake ?? 0n) + amount,
    chains: all
  })
}

/**
 * Takes stake back. It leaves at once what elections count, and arrives as a bond does (R22): `unbondMs` is longer than the two epochs
 * for which its witness may still sit. With the last of it the key is free.
 * @throws PekkaError FUNDS_MISSING, ACCOUNT_UNKNOWN, TRANSACTION_INVALID, LIMIT_EXCEEDED
 */
export function unstake(step: Step, sender: Sender, { amount, witness }: BodyOf<'unstake'>): void {
  if (amount === 0n) throw new PekkaError('TRANSACTION_INVALID', { issue: 'nothing to unstake' })
  const key = toHex(witness)
  const known = step.view.get('witness', key)
  if (known === undefined || toHex(known.account) !== toHex(sender.account)) {
    throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(sender.account) })
  }
  if (amount > known.stake) throw new PekkaError('FUNDS_MISSING', { have: known.stake, need: amount })
  startUnbonding(step, sender.account, amount)
  if (amount === known.stake) step.view.delete('witness', key)
  else step.view.put('witness', key, { ...known, stake: known.stake - amount })
}

/**
 * Who can sit in the committee of an epoch: everyone with stake who has registered a chain for it, ascending by key. The election
 * for epoch e+2 reads the state after the last commit of epoch e (core/consensus `elect` chooses among them).
 */
export function candidatesFor(reader: Reader, epoch: number): Candidate[] {
  const candidates: Candidate[] = []
  for (const [, { witness, stake: staked, chains }] of scan(reader, 'witness')) {
    const chain = chains.find(entry => entry.epoch === epoch)
    if (chain !== undefined) candidates.push({ key: witness, stake: staked, tip: chain.tip })
  }
  return candidates
}

/** All stake there is: part of the supply. */
export const stakedIn = (reader: Reader): bigint =>
  [...scan(reader, 'witness')].reduce((sum, [, row]) => sum + row.stake, 0n)

/** Whoever is staked on has stake, an owner that exists, and chains in order. */
export function stakeInvariant(reader: Reader): string[] {
  const wrong = ([key, row]: [string, Row<'witness'>]): string[] => {
    const ascend = row.chains.every(({ epoch }, i) => epoch > (row.chains[i - 1]?.epoch ?? -1))
    const owned = reader.get('account', toHex(row.account)) !== undefined
    return row.stake > 0n && owned && ascend && key === toHex(row.witness)
      ? []
      : [`witness ${key} is staked on wrongly`]
  }
  return [...scan(reader, 'witness')].flatMap(wrong)
}
