import { credits, dateText } from '../../core/client/index.js'
import {
  shortId,
  toHex,
  toJson,
  type Body,
  type OwnerAnswer,
  type Policy,
  type Transaction
} from '../../core/protocol/index.js'
import { capOf, unitsAt } from '../../core/ledger/index.js'

/** Accounts and what owners sign, in words. Whoever signs reads this first: it is made from the signed bytes alone. */

/** Digits of a key in a line. */
const SHOWN = 12

const keysOf = ({ threshold, keys }: Policy): string =>
  `${threshold} of ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}: ${keys.map(toHex).join(', ')}`

const count = (number: number, unit: string): string => `${number} ${unit}${number === 1 ? '' : 's'}`

const UNITS = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second']
] as const

/** A time to the second, never more than it is: "2 days 12 hours". */
function delay(ms: number): string {
  let rest = ms
  const parts: string[] = []
  for (const [length, unit] of UNITS) {
    const number = Math.floor(rest / length)
    rest -= number * length
    if (number > 0) parts.push(count(number, unit))
  }
  return parts.length === 0 ? 'less than a second' : parts.join(' ')
}

const locksOf = (locks: readonly Uint8Array[]): string =>
  locks.length === 0 ? 'no locks' : `locks ${locks.map(toHex).join(', ')}`

/** What a body does: all that is signed, ids and keys whole. */
export function describeBody(body: Body): string {
  switch (body.kind) {
    case 'transfer':
      return `pays ${credits(body.amount)} credits to ${toHex(body.to)}`
    case 'set-policy':
      return `from then on the account is signed for by ${keysOf(body.policy)}`
    case 'open-account':
      return `opens an account for ${keysOf(body.policy)}${body.deposit === 0n ? '' : `, with a deposit of ${credits(body.deposit)} credits`}`
    case 'grant': {
      const { key, cap, perTask, bodies, expiry } = body.delegate
      return `lets the key ${toHex(key)} spend up to ${credits(cap)} credits, ${credits(perTask)} a task, until ${dateText(expiry)} (${bodies.join(', ')})`
    }
    case 'revoke':
      return `takes all rights from the key ${toHex(body.key)}`
    case 'set-recovery':
      return body.recovery === null
        ? 'from then on nobody can bring the account back when its keys are lost'
        : `lets the account ${toHex(body.recovery.guardians)} give this one other keys, ${delay(body.recovery.delayMs)} after it says so`
    case 'recover':
      return `gives the account ${toHex(body.account)}, once its delay is over, to ${keysOf(body.policy)}`
    case 'cancel-recovery':
      return `ends the recovery of the account ${toHex(body.account)}`
    case 'image-propose':
    case 'image-approve':
      return `says that ${toHex(body.digest)} is the environment ${body.content.name}, content ${toHex(body.content.contentDigest)}, ${locksOf(body.content.locks)}`
    case 'image-retire':
      return `says that the environment ${toHex(body.digest)} isn’t to be used any more: ${body.reason}`
    case 'register-provider': {
      const operator = body.operator === null ? '' : `, run by ${toHex(body.operator)}`
      return `says that the account’s machine ${body.name} has the peer key ${toHex(body.peerKey)}${operator}; the peer vouches by ${toHex(body.peerSignature)}`
    }
    case 'stake': {
      const chains = body.chains.map(({ epoch, tip }) => `${toHex(tip)} for epoch ${epoch}`).join(', ')
      return `stakes ${credits(body.amount)} credits on the witness ${toHex(body.witness)}, which vouches by ${toHex(body.witnessSignature)}${chains === '' ? '' : `; hash chains end at ${chains}`}`
    }
    case 'unstake':
      return `takes ${credits(body.amount)} credits of the stake from the witness ${toHex(body.witness)}`
    case 'bond':
    case 'unbond':
    case 'faucet':
      return `${body.kind} of ${credits(body.amount)} credits`
    case 'cancel':
      return `cancels the task ${toHex(body.task)}`
    case 'withdraw-ask':
      return `withdraws the price ${toHex(body.ask)}`
    default:
      // No owner's to sign; the ledger refuses it on lane 0.
      return `${body.kind} ${JSON.stringify(toJson(body))}`
  }
}

/** A transaction that is to be signed, a line a fact. */
export function transactionWords({ account, body, expiry, sequence }: Transaction): string[] {
  return [
    `account ${toHex(account)}`,
    `  ${describeBody(body)}`,
    `  number ${sequence} of its transactions, void after ${dateText(expiry)}`
  ]
}

/** An account as its owner sees it: as the ledger proves it, where it does. */
export function accountWords({ view, row, time, key, next }: OwnerAnswer): string[] {
  const shown = row ?? view
  const { policy, unbonding, recovery, recovering } = shown
  const own = toHex(key)
  const leaving = unbonding.reduce((sum, { amount }) => sum + amount, 0n)
  return [
    `account ${toHex(view.account)}`,
    `  ${credits(shown.balance)} credits free, ${credits(shown.locked)} on hold`,
    `  deposit ${credits(shown.bond)} credits, ${credits(shown.bondReserved)} of it for tasks under way${leaving === 0n ? '' : `, ${credits(leaving)} on their way back`}`,
    ...bandwidthWords(row, time),
    `  signed for by ${policy.threshold} of ${policy.keys.length} ${policy.keys.length === 1 ? 'key' : 'keys'}:`,
    ...policy.keys.map(one => `    ${toHex(one)}${toHex(one) === own ? '  this wallet' : ''}`),
    ...(policy.keys.some(one => toHex(one) === own) ? [] : [`    (this wallet’s key is ${own})`]),
    ...(next === null ? [] : [`    ${toHex(next)}  this wallet’s next key, once enough have signed for it`]),
    ...view.lanes.flatMap(({ key: delegateKey, delegate, used }) => {
      if (delegateKey === null || delegate === null) return []
      const role = delegate.bodies.includes('offer') ? 'may buy' : 'machine'
      const over = delegate.expiry <= time.timestamp ? ', over' : ''
      return [
        `  key ${shortId(delegateKey, SHOWN)}: ${role}, ${credits(used)} of ${credits(delegate.cap)} credits used, until ${dateText(delegate.expiry)}${over}`
      ]
    }),
    recovery === undefined
      ? '  no guardians: if its keys are lost, so is what it has'
      : `  guardians ${toHex(recovery.guardians)}, ${delay(recovery.delayMs)} to say no`,
    ...(recovering === undefined
      ? []
      : [
          `  BEING RECOVERED in ${delay(Math.max(0, recovering.at - time.contractTime))} to ${keysOf(recovering.policy)}`,
          '  If that isn’t you: pekka account cancel-recovery'
        ]),
    row === null
      ? '  as the bridge says; the ledger proves nothing of it yet'
      : '  proved by the ledger, but for what delegates may do, bandwidth, and what time it is'
  ]
}

/** What became of delegates at a rotation. `live`: those that have rights still. */
export function delegatesWords(live: number, revoke: 'unasked' | 'done' | 'must wait'): string[] {
  if (live === 0) return []
  const all = count(live, 'delegate')
  if (revoke === 'done')
    return [`Their rights were taken from ${all}. Pages connect anew by themselves, or by "pekka pair".`]
  if (revoke === 'must wait')
    return [
      `Nobody’s rights were taken away: they stay with ${all} until others have signed for that too.`,
      'Once the new key signs, for each that "pekka account show" lists: pekka account revoke KEY'
    ]
  return [
    `Rights stay with ${all}; "pekka account show" lists them.`,
    'If a device was stolen, take them away: pekka account rotate --revoke'
  ]
}

/** What forgetting means; `index`: the last commit that was seen. */
export const forgetWords = (network: Uint8Array, index: number): string[] => [
  `This wallet has seen the ledger of network ${toHex(network)} as of commit ${index}, and refuses proofs from before that.`,
  'Where that is forgotten the bridge can show an older state, e.g. with keys that were taken out of the account since.',
  'Forget it only where you know that the ledger was set back, for example to a backup of its only witness.'
]

function bandwidthWords(row: OwnerAnswer['row'], { parameters, timestamp }: OwnerAnswer['time']): string[] {
  if (row === null || parameters.bandwidth === undefined) return []
  const [left, most] = [unitsAt(row, timestamp, parameters.bandwidth), capOf(row, parameters.bandwidth)]
  return [`  ${Math.floor((left * 100) / Math.max(1, most))} % of its bandwidth left, the rest within the hour`]
}
