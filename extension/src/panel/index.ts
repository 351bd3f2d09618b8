/**
 * Where all remote tasks are seen: the side panel, the status bar's item, the notebook toolbar's progress, a receipt.
 *
 * ```ts
 * const panel = new TasksPanel({ tasks, connection, actions, now, clock })
 * app.shell.add(panel, 'left', { rank: 600 })
 * ```
 */
export { BatchProgress, batchWords } from './batch-progress.js'
export { showReceipt, verdict, type ShownReceipt } from './receipt-dialog.js'
export { StatusItem } from './status.js'
export { TasksPanel } from './tasks-panel.js'
export {
  balanceWords,
  connectionWords,
  endMessage,
  groupTasks,
  lookOf,
  rowOf,
  statusWords,
  type TaskGroup,
  type TaskRow
} from './view.js'
