import { credits } from '../../core/client/index.js'
import {
  shortId,
  toHex,
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

const delay = (ms: number): string => {
  if (ms >= 2 * 86_400_000) return count(Math.round(ms / 86_400_000), 'day')
  return ms >= 3_600_000 ? count(Math.round(ms / 3_600_000), 'hour') : count(Math.ceil(ms / 60_000), 'minute')
}

/** What a body does, as far as people sign such ones together. */
export function describeBody(body: Body): string {
  switch (body.kind) {
    case 'transfer':
      return `pays ${credits(body.amount)} credits to ${toHex(body.to)}`
    case 'set-policy':
      return `from then on the account is signed for by ${keysOf(body.policy)}`
    case 'open-account':
      return `opens an account for ${keysOf(body.policy)}`
    case 'grant': {
      const { key, cap, perTask, bodies, expiry } = body.delegate
      const until = new Date(expiry).toISOString().slice(0, 16).replace('T', ' ')
      return `lets the key ${toHex(key)} spend up to ${credits(cap)} credits, ${credits(perTask)} a task, until ${until} UTC (${bodies.join(', ')})`
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
      return `says that ${toHex(body.digest)} is the environment ${body.content.name}, content ${toHex(body.content.contentDigest)}`
    case 'image-retire':
      return `says that the environment ${toHex(body.digest)} isn’t to be used any more: ${body.reason}`
    case 'bond':
    case 'unbond':
    case 'stake':
    case 'unstake':
    case 'faucet':
      return `${body.kind} of ${credits(body.amount)} credits`
    default:
      return body.kind
  }
}

/** A transaction that is to be signed, a line a fact. */
export function transactionWords({ account, body, expiry, sequence }: Transaction): string[] {
  const until = new Date(expiry).toISOString().slice(0, 16).replace('T', ' ')
  return [
    `account ${toHex(account)}`,
    `  ${describeBody(body)}`,
    `  number ${sequence} of its transactions, void after ${until} UTC`
  ]
}

/** An account as its owner sees it. */
export function accountWords({ view, row, time, key, next }: OwnerAnswer): string[] {
  const { policy, lanes, unbonding, recovery, recovering } = view
  const own = toHex(key)
  const leaving = unbonding.reduce((sum, { amount }) => sum + amount, 0n)
  return [
    `account ${toHex(view.account)}`,
    `  ${credits(view.balance)} credits free, ${credits(view.locked)} on hold`,
    `  deposit ${credits(view.bond)} credits, ${credits(view.bondReserved)} of it for tasks under way${leaving === 0n ? '' : `, ${credits(leaving)} on their way back`}`,
    ...bandwidthWords(row, time),
    `  signed for by ${policy.threshold} of ${policy.keys.length} ${policy.keys.length === 1 ? 'key' : 'keys'}:`,
    ...policy.keys.map(one => `    ${toHex(one)}${toHex(one) === own ? '  this wallet' : ''}`),
    ...(policy.keys.some(one => toHex(one) === own) ? [] : [`    (this wallet’s key is ${own})`]),
    ...(next === null ? [] : [`    ${toHex(next)}  this wallet’s next key, once enough have signed for it`]),
    ...lanes.flatMap(({ key: delegateKey, delegate, used }) => {
      if (delegateKey === null || delegate === null) return []
      const role = delegate.bodies.includes('offer') ? 'may buy' : 'machine'
      const over = delegate.expiry <= time.timestamp ? ', over' : ''
      const until = new Date(delegate.expiry).toISOString().slice(0, 16).replace('T', ' ')
      return [
        `  key ${shortId(delegateKey, SHOWN)}: ${role}, ${credits(used)} of ${credits(delegate.cap)} credits used, until ${until} UTC${over}`
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
    row === null ? '  as the bridge says; the ledger proves nothing of it yet' : '  proved by the ledger'
  ]
}

function bandwidthWords(row: OwnerAnswer['row'], { parameters, timestamp }: OwnerAnswer['time']): string[] {
  if (row === null || parameters.bandwidth === undefined) return []
  const [left, most] = [unitsAt(row, timestamp, parameters.bandwidth), capOf(row, parameters.bandwidth)]
  return [`  ${Math.floor((left * 100) / Math.max(1, most))} % of its bandwidth left, the rest within the hour`]
}
