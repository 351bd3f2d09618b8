import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application'
import { ICommandPalette, Notification } from '@jupyterlab/apputils'
import { isCodeCellModel, type Cell } from '@jupyterlab/cells'
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook'
import { asPekkaError } from '@pekka/node/protocol'
import { labIcon } from '../line/index.js'
import { askCode, quoteLine } from '../quote/index.js'
import {
  codeCells,
  languageOf,
  Pace,
  whyNotCells,
  type RemoteTask,
  type RunKind,
  type RunOptions,
  type WhyNot
} from '../run/index.js'
import { CommandIds } from './command-ids.js'
import { saveReceipt } from './receipt.js'
import { IRemote, type Remote } from './tokens.js'

const CATEGORY = 'PEKKA'

/** Commands, their reasons when disabled, and the palette. Toolbars, menu and shortcuts stand in schema/plugin.json. */
export const commands: JupyterFrontEndPlugin<void> = {
  id: '@pekka/jupyterlab:commands',
  description: 'Commands that run cells and notebooks remotely.',
  autoStart: true,
  requires: [IRemote, INotebookTracker],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    remote: Remote | null,
    tracker: INotebookTracker,
    palette: ICommandPalette | null
  ) => {
    if (remote === null) return
    addCommands(app, remote, tracker)
    for (const command of Object.values(CommandIds))
      if (!NEEDS_ARGUMENT.has(command)) palette?.addItem({ command, category: CATEGORY })
  }
}

/** Commands that make no sense without being told a task. */
const NEEDS_ARGUMENT = new Set<string>([CommandIds.cancelTask, CommandIds.goToCell])

/** Buttons and menus follow tasks this late, ms: refreshing them all takes the page longer than a short run's output. */
const REFRESH_PAUSE_MS = 150

const TASK_ARGUMENT = {
  args: { type: 'object', properties: { task: { type: 'string', description: 'Id of the task, hexadecimal' } } }
} as const

function addCommands(app: JupyterFrontEnd, remote: Remote, tracker: INotebookTracker): void {
  const { tasks, runner, connection } = remote
  const choose = new Chooser(remote, tracker)

  const addRun = (
    id: string,
    label: string,
    kind: RunKind,
    which: () => string[],
    caption: string,
    options: RunOptions = {}
  ): void => {
    app.commands.addCommand(id, {
      label,
      caption: () => {
        const why = choose.whyNot(which())
        return why === undefined ? `${caption}${choose.quote()}` : why
      },
      icon: labIcon('remote'),
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled: () => choose.whyNot(which()) === undefined,
      execute: async () => {
        const notebook = choose.notebook()
        if (notebook !== undefined) await runner.run(notebook, which(), kind, options)
      }
    })
  }
  addRun(
    CommandIds.runSelected,
    'Run Selected Cells Remotely',
    'selection',
    () => choose.selected(),
    'Run the selected cells remotely'
  )
  addRun(
    CommandIds.runAbove,
    'Run This Cell and Those Above Remotely',
    'selection',
    () => choose.above(),
    'Run this cell and those above remotely'
  )
  addRun(
    CommandIds.runNotebook,
    'Run Notebook Remotely',
    'notebook',
    () => choose.all(),
    'Run all code cells remotely, also with this page closed'
  )
  addRun(
    CommandIds.runTwice,
    'Run Selected Cells Twice and Compare',
    'selection',
    () => choose.selected(),
    'Run the selected cells two times on differently simulated processors, and say what differs; costs twice',
    { twice: true }
  )

  app.commands.addCommand(CommandIds.runCell, {
    label: () => (choose.activeTask() ? 'Cancel Cell' : 'Run Cell Remotely'),
    caption: () => {
      if (choose.activeTask()) return 'Cancel this remote run; output so far is kept'
      return choose.whyNot(choose.active()) ?? `Run cell remotely${choose.quote()}`
    },
    icon: () => labIcon(choose.activeTask() ? 'stop' : 'remote'),
    describedBy: { args: { type: 'object', properties: {} } },
    isVisible: () => isCodeCell(tracker.activeCell),
    isEnabled: () => choose.activeTask() !== undefined || choose.whyNot(choose.active()) === undefined,
    execute: async () => {
      const running = choose.activeTask()
      const notebook = choose.notebook()
      if (running) await runner.cancel([running])
      else if (notebook !== undefined) await runner.run(notebook, choose.active(), 'cell')
    }
  })
  app.commands.addCommand(CommandIds.cancel, {
    label: 'Cancel Remote Run',
    caption: 'Cancel the remote runs of the selected cells, or of this notebook',
    icon: labIcon('stop'),
    describedBy: { args: { type: 'object', properties: {} } },
    isEnabled: () => choose.cancellable().length > 0,
    execute: () => runner.cancel(choose.cancellable())
  })
  app.commands.addCommand(CommandIds.cancelTask, {
    label: 'Cancel This Task',
    describedBy: TASK_ARGUMENT,
    execute: args => runner.cancel(taskOf(args['task']))
  })
  app.commands.addCommand(CommandIds.receipt, {
    label: 'Show Receipt of the Remote Run',
    caption: 'Check the receipt of the last remote run of this cell, and save it',
    icon: labIcon('receipt'),
    describedBy: TASK_ARGUMENT,
    isEnabled: args => typeof args['task'] === 'string' || choose.receiptTask() !== undefined,
    execute: async args => {
      const id = typeof args['task'] === 'string' ? args['task'] : choose.receiptTask()
      if (id !== undefined) await saveReceipt(remote, id)
    }
  })
  app.commands.addCommand(CommandIds.goToCell, {
    label: 'Go to Cell',
    describedBy: TASK_ARGUMENT,
    execute: async args => {
      for (const task of taskOf(args['task'])) await goTo(app, tracker, task)
    }
  })
  app.commands.addCommand(CommandIds.connect, {
    label: 'Connect…',
    caption: 'Connect this browser to your wallet with a code',
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      const answer = await askCode(remote.option()?.wallet ?? '', connection.state)
      if (answer === undefined) return
      try {
        await connection.pairWith(answer.wallet, answer.code)
      } catch (error) {
        const { message, advice } = asPekkaError(error)
        Notification.error(`${message} ${advice}`)
      }
    }
  })
  app.commands.addCommand(CommandIds.settings, {
    label: 'Settings',
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => app.commands.execute('settingeditor:open', { query: 'PEKKA' })
  })

  const taskOf = (id: unknown): RemoteTask[] => {
    const task = typeof id === 'string' ? tasks.get(id) : undefined
    return task ? [task] : []
  }
  const refresh = (): void => {
    for (const command of Object.values(CommandIds)) app.commands.notifyCommandChanged(command)
  }
  // Many things change at once while a task runs; toolbars and menus need it once.
  const pace = new Pace({ draw: refresh, now: () => performance.now() }, { pauseMs: REFRESH_PAUSE_MS, trailing: true })
  const soon = (): void => pace.soon()
  tracker.activeCellChanged.connect(soon)
  tracker.selectionChanged.connect(soon)
  tasks.changed.connect(() => pace.later())
  connection.changed.connect(soon)
  tracker.activeCellChanged.connect((_, cell) => choose.watch(cell, soon))
  choose.watch(tracker.activeCell, soon)
}

const isCodeCell = (cell: Cell | null): boolean => cell !== null && !cell.isDisposed && isCodeCellModel(cell.model)

/** Which cells a command means, and whether it may. */
class Chooser {
  #unwatch: (() => void) | null = null
  #quote = ''

  constructor(
    private readonly remote: Remote,
    private readonly tracker: INotebookTracker
  ) {}

  notebook() {
    const panel = this.tracker.currentWidget
    return panel === null ? undefined : this.remote.notebookOf(panel)
  }

  active(): string[] {
    const cell = this.tracker.activeCell
    return cell !== null && isCodeCell(cell) ? [cell.model.id] : []
  }

  selected(): string[] {
    const panel = this.tracker.currentWidget
    return panel === null ? [] : panel.content.selectedCells.filter(isCodeCell).map(cell => cell.model.id)
  }

  above(): string[] {
    const all = this.all()
    const [active] = this.active()
    return active === undefined ? [] : all.slice(0, all.indexOf(active) + 1)
  }

  all(): string[] {
    const notebook = this.notebook()
    return notebook?.context.isReady === true ? codeCells(notebook.model).map(({ id }) => id) : []
  }

  whyNot(ids: readonly string[]): WhyNot | undefined {
    const notebook = this.notebook()
    if (notebook?.context.isReady !== true) return 'No notebook is open'
    const cells = codeCells(notebook.model).filter(({ id }) => ids.includes(id))
    const why = whyNotCells(cells, languageOf(notebook.model))
    if (why !== undefined) return why
    const { state } = this.remote.connection
    // Without a pairing the command says how to connect.
    return state.status === 'off' ? `Not connected. ${state.reason} It is tried again by itself.` : undefined
  }

  activeTask(): RemoteTask | undefined {
    const [id] = this.active()
    const run = id === undefined ? undefined : this.notebook()?.cellRun(id)
    return run?.kind === 'task' && !run.task.over && !run.task.cancelling ? run.task : undefined
  }

  cancellable(): RemoteTask[] {
    const notebook = this.notebook()
    if (notebook === undefined) return []
    const chosen = new Set<RemoteTask>()
    for (const id of this.selected()) {
      const run = notebook.cellRun(id)
      if (run?.kind === 'task' && !run.task.over) chosen.add(run.task)
    }
    return chosen.size > 0 ? [...chosen] : notebook.running
  }

  receiptTask(): string | undefined {
    const [id] = this.active()
    const run = id === undefined ? undefined : this.notebook()?.cellRun(id)
    if (run?.kind === 'task') return run.task.taskId
    return run?.kind === 'remembered' && !run.unknown ? run.metadata.task : undefined
  }

  /** The price for the tooltip, as it was known last; asking for it makes the next click quicker. */
  quote(): string {
    return this.#quote
  }

  /** Follows edits of the active cell, because an empty one can't run, and looks at the market meanwhile. */
  watch(cell: Cell | null, changed: () => void): void {
    this.#unwatch?.()
    this.#unwatch = null
    if (cell === null || !isCodeCell(cell)) return
    const { model } = cell
    model.contentChanged.connect(changed)
    this.#unwatch = () => {
      if (!model.isDisposed) model.contentChanged.disconnect(changed)
    }
    const { client } = this.remote.connection
    const notebook = this.notebook()
    if (client === null || notebook?.context.isReady !== true) return
    const wanted = this.remote.runner.glance(notebook, [model.id])
    client.quote(wanted).then(
      quote => {
        const line = ` · ${quoteLine(quote, wanted.cap)}`
        if (line === this.#quote) return
        this.#quote = line
        changed()
      },
      () => {
        this.#quote = ''
      }
    )
  }
}

/** Opens a task's notebook at its first cell. */
async function goTo(app: JupyterFrontEnd, tracker: INotebookTracker, task: RemoteTask): Promise<void> {
  const { path, cells } = task.snapshot
  if (path === null) return
  // Lab's own command gives the widget that it opened.
  const panel = (await app.commands.execute('docmanager:open', { path })) as NotebookPanel | undefined
  if (panel === undefined || !tracker.has(panel)) return
  await panel.context.ready
  await panel.revealed
  const index = panel.content.widgets.findIndex(cell => cell.model.id === cells[0])
  if (index < 0) return void Notification.info('The cell of this task is no longer in the notebook.')
  panel.content.activeCellIndex = index
  await panel.content.scrollToItem(index, 'smart')
}
