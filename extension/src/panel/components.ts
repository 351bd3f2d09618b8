import type { Connection } from '../connection/index.js'
import type { RemoteTask, Tasks } from '../run/index.js'

export interface TasksPanelActions {
  cancel(task: RemoteTask): void
  goTo(task: RemoteTask): void
  receipt(task: RemoteTask): void
  /** Undefined unless the task's cells are gone from its open notebook. */
  insertOutput(task: RemoteTask): (() => void) | undefined
  connect(): void
  settings(): void
  retry(): void
}

export interface TasksPanelComponents {
  tasks: Tasks
  connection: Connection
  actions: TasksPanelActions
  now: () => number
  clock: (ms: number) => string
}
