import { equalBytes, isEnded, type AccountView, type LedgerAccess, type TaskItem } from '@pekka/node/protocol'
import type { EventLog } from '../eventlog/index.js'
import type { LedgerMirror } from '../ledger/index.js'
import { toItem, type TaskRecord } from '../tasks/index.js'

/** A task as the API shows it. */
export const itemOf = async (logs: EventLog, record: TaskRecord): Promise<TaskItem> =>
  toItem(record, await logs.end(record.task))

/** An account as a lane's token sees it: money, and of the lanes its own (R38). */
export const accountFor = (view: AccountView, lane: Uint8Array | null): AccountView =>
  lane === null ? view : { ...view, lanes: view.lanes.filter(({ key }) => key !== null && equalBytes(key, lane)) }

/**
 * The record with what the ledger says now, where its own timers have moved the task since we looked (a task's closing
 * during a pause of ours); else as it is.
 */
export async function withCurrentView(
  { ledger, mirror }: { ledger: LedgerAccess; mirror: LedgerMirror },
  record: TaskRecord
): Promise<TaskRecord> {
  const { view } = record
  const moved =
    view !== null && isEnded(view.state) && view.deadline !== null && view.deadline < mirror.now.contractTime
  if (!moved || !mirror.connected) return record
  return { ...record, view: (await ledger.task(record.task)) ?? view }
}
