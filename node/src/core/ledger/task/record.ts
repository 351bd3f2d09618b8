import {
  equalBytes,
  PekkaError,
  toHex,
  type Attempt,
  type Parameters,
  type TaskState,
  type TaskView
} from '../../protocol/index.js'
import { notingMover, setTimer } from '../moved.js'
import type { Row } from '../rows.js'
import type { Step } from '../step.js'
import type { Reader } from '../view.js'

/** A task in the state: reading it, moving it, and telling followers. Every state but CLOSED has exactly one timer. */

export type TaskRow = Row<'task'>

/** @throws PekkaError TASK_UNKNOWN */
export function needTask(reader: Reader, task: Uint8Array): TaskRow {
  const row = reader.get('task', toHex(task))
  if (row === undefined) throw new PekkaError('TASK_UNKNOWN')
  return row
}

/** Parameters in force at the offer hold for that task. */
export function parametersOf(reader: Reader, task: TaskRow): Parameters {
  const parameters = reader.get('parameters', String(task.parameters))
  if (parameters === undefined) throw new TypeError(`parameters ${task.parameters} are gone`)
  return parameters
}

/** The current attempt, when it is `attempt` and belongs to `provider`. @throws PekkaError CANDIDATE_NOT_NAMED, TASK_STATE */
export function needAttempt(task: TaskRow, body: string, attempt: number, provider: Uint8Array): Attempt {
  const current = task.attempts[attempt - 1]
  if (current === undefined || !equalBytes(current.provider, provider)) throw new PekkaError('CANDIDATE_NOT_NAMED')
  if (attempt !== task.attempts.length) throw new PekkaError('TASK_STATE', { state: task.state, body })
  return current
}

/** The row with its last attempt changed. */
export function withAttempt(task: TaskRow, change: Partial<Attempt>): TaskRow {
  const last = task.attempts.at(-1)
  if (last === undefined) throw new TypeError('the task has no attempt')
  return { ...task, attempts: [...task.attempts.slice(0, -1), { ...last, ...change }] }
}

/** Enters a state now, with its timer at `deadline` (T). */
export function enter(
  step: Step,
  task: TaskRow,
  state: TaskState,
  deadline: number,
  change: Partial<TaskRow> = {}
): TaskRow {
  return store(step, { ...task, ...change, state, since: step.context.contractTime, deadline })
}

/** Stores a row, sets its timer, notes the transaction that moved it and tells followers. */
export function store(step: Step, row: TaskRow, moved = true): TaskRow {
  const { view } = step
  setTimer(view, 'task', row.task, view.get('task', toHex(row.task)), row)
  const stored = moved ? notingMover(row, step) : row
  view.put('task', toHex(row.task), stored)
  step.emit({ type: 'task', view: viewOf(stored) })
  return stored
}

/** What an API shows of a task: the row without the ledger's own bookkeeping. */
export function viewOf(row: TaskRow): TaskView {
  const { held: _, ...view } = row
  return view
}
