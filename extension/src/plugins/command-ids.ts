/** Commands of the extension; all are in the palette as "PEKKA: …". */
export const CommandIds = {
  /** Runs the active cell remotely. In the cell's toolbar, where it cancels the cell while it runs. */
  runCell: 'pekka:run-cell',
  /** Runs the selected cells remotely, as one task (Accel Shift Enter). */
  runSelected: 'pekka:run-selected',
  /** Runs the active cell and all code cells above it, as one task. */
  runAbove: 'pekka:run-above',
  /** Runs all code cells of the notebook as one task, which goes on when the page is closed. */
  runNotebook: 'pekka:run-notebook',
  /** Runs the selected cells two times, on differently simulated processors, and compares what comes out. */
  runTwice: 'pekka:run-twice',
  /** Keeps a machine for the notebook: later remote cells see what earlier ones made. */
  keep: 'pekka:keep',
  /** Lets the notebook's machine go. */
  letGo: 'pekka:let-go',
  /** Stops the cell that runs on the notebook's machine; what its cells made stays. */
  interrupt: 'pekka:interrupt',
  /** A fresh Python on the notebook's machine. */
  restart: 'pekka:restart',
  /** Cancels the remote runs of the selected cells, or of the notebook where none of those runs. */
  cancel: 'pekka:cancel',
  /** Cancels one task: argument `task`, its id. */
  cancelTask: 'pekka:cancel-task',
  /** Shows and saves the receipt of a task: argument `task`, default that of the active cell. */
  receipt: 'pekka:receipt',
  /** Opens the notebook of a task at its cell: argument `task`. */
  goToCell: 'pekka:go-to-cell',
  /** Connects with a pairing code, and says why there is no connection. */
  connect: 'pekka:connect',
  /** Shows the panel "Remote tasks". */
  showTasks: 'pekka:show-tasks',
  /** Opens the settings. */
  settings: 'pekka:settings'
} as const
