import {
  blockMessage,
  equalBytes,
  isPekkaError,
  PekkaError,
  toHex,
  transactionsHash,
  type AuctionView,
  type CommitHeader,
  type ErrorData,
  type SignedTransaction,
  type TaskView,
  type TransactionOutcome
} from '../protocol/index.js'
import { apply, type Applied } from './apply.js'
import { removeAsk } from './ask.js'
import { auctionTimer } from './auction/index.js'
import { authorize } from './authorize.js'
import { isPrepaid, quotaLeft, takeUnits, takeWaste, unitsOf } from './bandwidth.js'
import { MAX_EXPIRIES_PER_COMMIT, MAX_TIMERS_PER_COMMIT, TIPS } from './constants.js'
import { needSystem } from './money.js'
import { releaseBond } from './provider.js'
import { recoveryTimer } from './recovery.js'
import { dueKeys } from './queue.js'
import { laneKey, SYSTEM, timeOfKey } from './rows.js'
import type { Context, LedgerEvent, Step } from './step.js'
import { taskTimer } from './task/index.js'
import { Overlay, type Reader, type View, type Write } from './view.js'

/** A transaction whose signatures have been verified (verify.ts). */
export interface VerifiedTransaction extends SignedTransaction {
  id: Uint8Array
  /** The canonical signed bytes it came as. */
  bytes: Uint8Array
}

/** What consensus decided: these transactions, in this order, at this time. */
export interface CommitInput {
  /** Wall-clock time, ms; an earlier one than the last commit's counts as that. */
  timestamp: number
  transactions: readonly VerifiedTransaction[]
  /** Block key of the witness whose block this is. */
  witness: Uint8Array
  /**
   * Block keys of the witnesses in whose blocks the transactions came, in the same order: what they bring in vain counts (R30). Left out
   * where one witness decides alone.
   */
  includers?: readonly Uint8Array[]
  /** Whether a vertex is final. The network's id always is. */
  isFinal: (vertex: Uint8Array) => boolean
}

export interface CommitResult {
  header: Omit<CommitHeader, 'signature'>
  /** What the witness signs; also the hash that the next header names. */
  message: Uint8Array
  /** Applied and failed transactions, in order. */
  ordered: { transaction: VerifiedTransaction; outcome: TransactionOutcome }[]
  /** Those that may not be ordered; they left no trace. */
  refused: { transaction: VerifiedTransaction; outcome: TransactionOutcome }[]
  /** Changed rows by table and ascending key. */
  writes: Write[]
  /** Last view of every task that changed, closed ones too; ids of asks and accounts that changed. */
  tasks: TaskView[]
  /** Last view of every auction that changed. */
  auctions: AuctionView[]
  asks: Uint8Array[]
  accounts: Uint8Array[]
}

/**
 * One commit of the ledger: contract time moves on, what expired goes, timers that are due run, then the transactions in
 * order. Pure and deterministic: equal states and inputs give equal bytes.
 */
export function executeCommit(state: Reader, input: CommitInput): CommitResult {
  const view = new Overlay(state)
  const context = nextContext(view, input.timestamp)
  const events: LedgerEvent[] = []
  const emit = (event: LedgerEvent): void => void events.push(event)
  expireRows({ context, view, emit, transaction: null })
  runTimers({ context, view, emit, transaction: null })

  const ordered: CommitResult['ordered'] = []
  const refused: CommitResult['refused'] = []
  for (const [at, transaction] of input.transactions.entries()) {
    const includer = input.includers?.[at]
    const outcome =
      includer !== undefined && quotaLeft(view, context, includer) === 0
        ? leftOut(transaction)
        : order(view, context, transaction, input.isFinal, events)
    ;(outcome.status === 'refused' ? refused : ordered).push({ transaction, outcome })
    if (outcome.status === 'refused' && includer !== undefined) {
      takeWaste(view, context, includer, transaction.bytes.length)
    }
  }

  const system = needSystem(view)
  const header = {
    index: context.index,
    timestamp: context.timestamp,
    contractTime: context.contractTime,
    previous: system.head,
    transactionsHash: transactionsHash(ordered.map(({ outcome }) => ({ id: outcome.id, code: codeOf(outcome) }))),
    witness: input.witness
  }
  const message = blockMessage(context.network, header)
  view.put('system', SYSTEM, {
    ...system,
    index: context.index,
    timestamp: context.timestamp,
    contractTime: context.contractTime,
    head: message,
    tips: ordered.length === 0 ? system.tips : ordered.slice(-TIPS).map(({ outcome }) => outcome.id)
  })
  return { header, message, ordered, refused, writes: view.writes(), ...changedBy(events) }
}

/** T += min(this timestamp − the last one, 2 s); what is cut off is never caught up (R12). */
function nextContext(view: Reader, timestamp: number): Context {
  const system = needSystem(view)
  const parameters = view.get('parameters', String(system.parameters))
  if (parameters === undefined) throw new TypeError('the parameters in force are gone')
  const now = Math.max(timestamp, system.timestamp)
  return {
    network: system.network,
    index: system.index + 1,
    timestamp: now,
    contractTime: system.contractTime + Math.min(now - system.timestamp, parameters.maxStepMs),
    parameters
  }
}

function expireRows(step: Step): void {
  const { view, context } = step
  for (const key of dueKeys(view, 'expiry', context.timestamp, MAX_EXPIRIES_PER_COMMIT)) {
    const row = view.get('expiry', key)
    view.delete('expiry', key)
    if (row?.kind === 'closed' || row?.kind === 'auction') view.delete(row.kind, toHex(row.id))
    const ask = row?.kind === 'ask' ? view.get('ask', toHex(row.id)) : undefined
    if (ask !== undefined) removeAsk(step, ask)
  }
}

/** Timers in the order of T, also those that timers set for now; a bounded number, the rest in the next commit. */
function runTimers(step: Step): void {
  const { view, context } = step
  let left = MAX_TIMERS_PER_COMMIT
  for (;;) {
    const due = dueKeys(view, 'timer', context.contractTime, left)
    if (due.length === 0) return
    left -= due.length
    for (const key of due) {
      const timer = view.get('timer', key)
      if (timer === undefined) continue
      if (timer.kind === 'task') taskTimer(step, timer.id)
      else if (timer.kind === 'auction') auctionTimer(step, timer.id)
      else if (timer.kind === 'recovery') recoveryTimer(step, timer.id)
      else {
        view.delete('timer', key)
        releaseBond(step, timer.id, timeOfKey(key))
      }
    }
  }
}

/** Its witness has brought too much that might not be ordered; it can be sent by another one. */
const leftOut = ({ id }: VerifiedTransaction): TransactionOutcome => ({
  status: 'refused',
  id,
  ...toOutcome(new PekkaError('RATE_LIMITED'))
})

/** Orders one transaction: applied, failed (its sequence is used all the same, R27) or refused. */
function order(
  view: View,
  context: Context,
  transaction: VerifiedTransaction,
  isFinal: CommitInput['isFinal'],
  events: LedgerEvent[]
): TransactionOutcome {
  const { id, signatures, bytes } = transaction
  const { account } = transaction.transaction
  const units = unitsOf(transaction.transaction, signatures.length, bytes.length)
  const attempt = new Overlay(view)
  let applied: Applied | null = null
  try {
    authorize(attempt, context, transaction, vertex => equalBytes(vertex, context.network) || isFinal(vertex))
    useSequence(attempt, transaction)
    if (isPrepaid(attempt, context, transaction.transaction)) {
      applied = apply(attempt, context, transaction.transaction, id)
      if (!applied.ok) takeUnits(attempt, context, account, units)
    } else takeUnits(attempt, context, account, units)
  } catch (error) {
    if (isPekkaError(error)) return { status: 'refused', id, ...toOutcome(error) }
    throw error
  }
  attempt.commitTo(view)
  events.push({ type: 'account', account })

  applied ??= apply(view, context, transaction.transaction, id)
  const at = { id, index: context.index, timestamp: context.timestamp }
  if (!applied.ok) return { status: 'failed', ...at, ...toOutcome(applied.error) }
  for (const { table, key: row, row: value } of applied.writes) {
    if (value === null) view.delete(table, row)
    else view.put(table, row, value)
  }
  events.push(...applied.events)
  return { status: 'applied', ...at }
}

function useSequence(view: View, { id, transaction: { account, key } }: VerifiedTransaction): void {
  const place = laneKey(account, key)
  const lane = view.get('lane', place)
  if (lane === undefined) throw new TypeError('an authorized transaction has a lane')
  view.put('lane', place, { ...lane, sequence: lane.sequence + 1, previous: id })
}

const codeOf = (outcome: TransactionOutcome): string | null => (outcome.status === 'applied' ? null : outcome.code)

/** An error as it stands in an outcome. */
export function toOutcome(error: PekkaError): { code: string; data: Record<string, string> } {
  const { code, data }: { code: string; data: ErrorData } = error
  const keys = Object.keys(data).sort()
  return { code, data: Object.fromEntries(keys.map(key => [key, String(data[key])])) }
}

function changedBy(events: readonly LedgerEvent[]): Pick<CommitResult, 'tasks' | 'auctions' | 'asks' | 'accounts'> {
  const tasks = new Map<string, TaskView>()
  const auctions = new Map<string, AuctionView>()
  const asks = new Map<string, Uint8Array>()
  const accounts = new Map<string, Uint8Array>()
  for (const event of events) {
    if (event.type === 'task') tasks.set(toHex(event.view.task), event.view)
    else if (event.type === 'auction') auctions.set(toHex(event.view.auction), event.view)
    else if (event.type === 'ask') asks.set(toHex(event.ask), event.ask)
    else accounts.set(toHex(event.account), event.account)
  }
  return {
    tasks: [...tasks.values()],
    auctions: [...auctions.values()],
    asks: [...asks.values()],
    accounts: [...accounts.values()]
  }
}
