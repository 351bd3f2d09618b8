import {
  CREDIT,
  equalBytes,
  PekkaError,
  toHex,
  type BandwidthParameters,
  type Body,
  type Transaction
} from '../protocol/index.js'
import { scan, type Reader, type View } from './view.js'
import type { Context } from './step.js'
import { SYSTEM, type Row } from './rows.js'

/**
 * Bandwidth credit (R30): what stands in for a fee. An account has so many units, a transaction costs some, and they come back
 * within `windowMs` of the commits' time. A bond and an escrow let them come back faster; they give none at once, so that money
 * that goes from account to account brings nobody more than it would in one. Where the parameters name no bandwidth nothing is counted.
 */

/** Units a transaction costs beside its bytes: what checking each signature takes, in bytes that take as long to carry. */
export const SIGNATURE_UNITS = 512

/** Units of a task: its rows, its proof, and the provider's transactions, which cost the provider nothing ({@link isPrepaid}). */
export const TASK_UNITS = 4_096

/** Units of a row that stays: an account, a lane, an ask, a bid. */
export const ROW_UNITS = 1_024

/** No cap is larger, so that units are safe integers; a billion transactions an hour. */
export const MAX_UNITS = 2 ** 40

/**
 * `alive` and `tranche` of an open task are free of credit once in so much of T, ms (R30). A provider sends one every 10 s, and the
 * commits that order them are not always as far apart as it sent them.
 */
export const FREE_ALIVE_MS = 8_000

type AccountRow = Row<'account'>

/** What a transaction costs, in units. `size`: its signed bytes. */
export function unitsOf({ body }: Pick<Transaction, 'body'>, signatures: number, size: number): number {
  return size + signatures * SIGNATURE_UNITS + rowsOf(body)
}

function rowsOf(body: Body): number {
  switch (body.kind) {
    case 'offer':
      return body.tasks.length * TASK_UNITS
    case 'auction-open':
      return TASK_UNITS
    case 'open-account':
    case 'grant':
    case 'ask':
    case 'auction-bid':
    case 'image-propose':
      return ROW_UNITS
    default:
      return 0
  }
}

/** What the account may have at most, and gets back within a window. */
export function capOf(
  { bond, locked, opened }: AccountRow,
  { base, freeBase, perCredit }: BandwidthParameters
): number {
  // Who opened it without a deposit could open any number.
  const own = opened === null || opened.deposit > 0n ? base : freeBase
  const backed = (BigInt(perCredit) * (bond + locked)) / CREDIT
  return own + Number(backed < BigInt(MAX_UNITS) ? backed : BigInt(MAX_UNITS))
}

/** What it has at `timestamp`. An account that has used none and changed nothing yet has all. */
export function unitsAt(row: AccountRow, timestamp: number, parameters: BandwidthParameters): number {
  const cap = capOf(row, parameters)
  if (row.bandwidth === undefined) return cap
  const { units, at } = row.bandwidth
  const passed = Math.max(0, timestamp - at)
  if (passed >= parameters.windowMs) return cap
  const back = (BigInt(cap) * BigInt(passed)) / BigInt(parameters.windowMs)
  return Math.min(cap, units + Number(back))
}

/**
 * The account after bond or locks changed: what has come back so far came at the former rate, and a larger cap is filled only by and
 * by. Equal where neither changed.
 */
export function settleUnits(before: AccountRow, after: AccountRow, context: Context): AccountRow {
  const parameters = context.parameters.bandwidth
  if (parameters === undefined || (before.bond === after.bond && before.locked === after.locked)) return after
  const units = Math.min(unitsAt(before, context.timestamp, parameters), capOf(after, parameters))
  return { ...after, bandwidth: { units, at: context.timestamp } }
}

/**
 * Takes a transaction's units from its account.
 * @throws PekkaError BANDWIDTH_SPENT
 */
export function takeUnits(view: View, context: Context, account: Uint8Array, units: number): void {
  const parameters = context.parameters.bandwidth
  if (parameters === undefined) return
  const id = toHex(account)
  const row = view.get('account', id)
  if (row === undefined) return
  const left = unitsAt(row, context.timestamp, parameters) - units
  if (left < 0) throw bandwidthSpent(row, units, parameters, -left)
  view.put('account', id, { ...row, bandwidth: { units: left, at: context.timestamp } })
}

/** @param missing units */
function bandwidthSpent(row: AccountRow, units: number, parameters: BandwidthParameters, missing: number): PekkaError {
  const seconds = Math.ceil((missing * parameters.windowMs) / Math.max(1, capOf(row, parameters)) / 1_000)
  return new PekkaError('BANDWIDTH_SPENT', { units, seconds })
}

/**
 * Whether the offer has paid for it: it moves an open task on for a provider that the task names. Each does so a bounded number of
 * times, since a task that has moved on fails it; one that fails is paid by its sender.
 */
export function isPrepaid(
  reader: Reader,
  context: Pick<Context, 'contractTime'>,
  { account, body }: Transaction
): boolean {
  switch (body.kind) {
    case 'accept':
    case 'decline':
    case 'fail':
    case 'commit':
    case 'alive':
    case 'tranche':
      break
    default:
      return false
  }
  const task = reader.get('task', toHex(body.task))
  if (!task?.offer.candidates.some(({ provider }) => equalBytes(provider, account))) return false
  return (
    (body.kind !== 'alive' && body.kind !== 'tranche') || context.contractTime - aliveT(reader, task) >= FREE_ALIVE_MS
  )
}

/** T of the last `alive` of the current attempt, or of its accept; Infinity where another could extend nothing. */
function aliveT(reader: Reader, { attempts, deadline, parameters, offer }: Row<'task'>): number {
  const attempt = attempts.at(-1)
  if (attempt === undefined || deadline === null) return Infinity
  if (attempt.session !== null) return attempt.session.aliveT
  const { leaseMs = 0, graceMs = 0 } = reader.get('parameters', String(parameters)) ?? {}
  return deadline === attempt.acceptedT + offer.limits.wallMs + graceMs ? Infinity : deadline - leaseMs
}

/**
 * What a witness does before it takes a transaction in: whether its account could pay for it, beside what waits already. The ledger
 * decides anew when it is ordered. Accounts that aren't there yet pass: they may be opened in the same commit.
 * @param waiting units of the account's transactions that wait
 * @throws PekkaError BANDWIDTH_SPENT
 */
export function refuseUnpaid(
  reader: Reader,
  context: Pick<Context, 'timestamp' | 'contractTime' | 'parameters'>,
  { transaction, signatures }: { transaction: Transaction; signatures: readonly unknown[] },
  { size, waiting }: { size: number; waiting: number }
): void {
  const parameters = context.parameters.bandwidth
  const row = reader.get('account', toHex(transaction.account))
  if (parameters === undefined || row === undefined || isPrepaid(reader, context, transaction)) return
  const units = unitsOf(transaction, signatures.length, size)
  const left = unitsAt(row, context.timestamp, parameters) - waiting - units
  if (left < 0) throw bandwidthSpent(row, units, parameters, -left)
}

/**
 * What a witness wastes (R30's includer quota): bytes of transactions that its blocks brought and that might not be ordered. Beyond its
 * quota the ledger leaves out what it brings, until the quota has come back; their senders go to another witness.
 */
export function takeWaste(view: View, context: Context, witness: Uint8Array, bytes: number): void {
  const parameters = context.parameters.bandwidth
  if (parameters === undefined) return
  const left = Math.max(0, quotaLeft(view, context, witness) - bytes)
  view.put('includer', toHex(witness), { witness, left, at: context.timestamp })
}

/** Bytes that a witness may still waste. */
export function quotaLeft(
  reader: Reader,
  { timestamp, parameters: { bandwidth } }: Pick<Context, 'timestamp' | 'parameters'>,
  witness: Uint8Array
): number {
  if (bandwidth === undefined) return Infinity
  const row = reader.get('includer', toHex(witness))
  if (row === undefined) return bandwidth.includerBytes
  const passed = Math.min(bandwidth.windowMs, Math.max(0, timestamp - row.at))
  const back = (BigInt(bandwidth.includerBytes) * BigInt(passed)) / BigInt(bandwidth.windowMs)
  return Math.min(bandwidth.includerBytes, row.left + Number(back))
}

/** Buckets of waiting transactions; see {@link bucketOf}. */
export const BUCKETS = 16

/**
 * Which bucket an account's waiting transactions are in: 0 without bond and escrow, else by the powers of two of whole credits. Within a
 * bucket accounts take turns, and buckets share what a commit takes in: a thousand accounts with nothing behind them hold up none that has.
 */
export function bucketOf(reader: Reader, account: Uint8Array): number {
  const row = reader.get('account', toHex(account))
  const backed = row === undefined ? 0n : row.bond + row.locked
  if (backed === 0n) return 0
  return Math.min(BUCKETS - 1, 1 + (backed / CREDIT).toString(2).length - (backed < CREDIT ? 1 : 0))
}

/**
 * Which bucket a waiting transaction is in. What an offer has paid for is never among what accounts with nothing behind them send, however
 * little its provider has: others' dust must not end its lease.
 */
export function bucketFor(reader: Reader, transaction: Transaction): number {
  const bucket = bucketOf(reader, transaction.account)
  if (bucket > 0) return bucket
  return isPrepaid(reader, timeContext(reader), transaction) ? 1 : 0
}

/** T as it is; the commit that orders a transaction is later. */
const timeContext = (reader: Reader): Pick<Context, 'contractTime'> => ({
  contractTime: reader.get('system', SYSTEM)?.contractTime ?? 0
})

/** Whether a witness has less than half left of what it may bring in vain. */
export function isWasteful(reader: Reader, witness: Uint8Array): boolean {
  const row = reader.get('includer', toHex(witness))
  const system = reader.get('system', SYSTEM)
  const parameters = reader.get('parameters', String(system?.parameters ?? 0))
  if (row === undefined || system === undefined || parameters?.bandwidth === undefined) return false
  return (
    quotaLeft(reader, { timestamp: system.timestamp, parameters }, witness) < parameters.bandwidth.includerBytes / 2
  )
}

/** No account has more than its cap, none less than nothing; no witness more than its quota. */
export function bandwidthInvariant(view: Reader): string[] {
  const broken: string[] = []
  const inForce = view.get('system', SYSTEM)?.parameters ?? 0
  const parameters = view.get('parameters', String(inForce))?.bandwidth
  for (const [key, row] of scan(view, 'account')) {
    if (row.bandwidth === undefined) continue
    if (parameters === undefined) broken.push(`account ${key} counts units that nothing asks for`)
    else if (row.bandwidth.units < 0 || row.bandwidth.units > capOf(row, parameters)) {
      broken.push(`account ${key} has ${row.bandwidth.units} units`)
    }
  }
  for (const [key, { left }] of scan(view, 'includer')) {
    if (left < 0 || left > (parameters?.includerBytes ?? 0)) broken.push(`witness ${key} may waste ${left} bytes`)
  }
  return broken
}
