import { ILabShell, ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application'
import { Notification } from '@jupyterlab/apputils'
import { IStatusBar } from '@jupyterlab/statusbar'
import { labIcon } from '../line/index.js'
import { StatusItem, TasksPanel, endMessage } from '../panel/index.js'
import { timeOf } from '../run/index.js'
import { CommandIds } from './command-ids.js'
import { IRemote, type Remote } from './tokens.js'

/** The side panel "Remote tasks", the status bar's item, and notifications. */
export const panel: JupyterFrontEndPlugin<void> = {
  id: '@pekka/jupyterlab:panel',
  description: 'Lists remote tasks, with state, time and cost.',
  autoStart: true,
  requires: [IRemote],
  optional: [ILabShell, ILayoutRestorer, IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    remote: Remote | null,
    shell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    statusBar: IStatusBar | null
  ) => {
    if (remote === null) return
    const { tasks, connection, runner, notebooks, now, clock } = remote
    const list = new TasksPanel({
      tasks,
      connection,
      now,
      clock,
      actions: {
        cancel: task => void runner.cancel([task]),
        goTo: task => void app.commands.execute(CommandIds.goToCell, { task: task.id }),
        insertOutput: task => {
          const lost = [...notebooks()].find(notebook => notebook.hasLost(task))
          return lost && (() => void lost.insertOutput(task))
        },
        receipt: task => void app.commands.execute(CommandIds.receipt, { task: task.id }),
        connect: () => void app.commands.execute(CommandIds.connect),
        settings: () => void app.commands.execute(CommandIds.settings),
        retry: () => connection.retry()
      }
    })
    list.id = 'pekka-tasks'
    list.title.icon = labIcon('remote')
    list.title.caption = 'Remote tasks'
    app.shell.add(list, 'left', { rank: 600, type: 'PEKKA' })
    restorer?.add(list, list.id)
    const open = (): void => shell?.activateById(list.id)
    app.commands.addCommand(CommandIds.showTasks, {
      label: 'Show Remote Tasks',
      describedBy: { args: { type: 'object', properties: {} } },
      execute: open
    })
    statusBar?.registerStatusItem('@pekka/jupyterlab:status', {
      item: new StatusItem({ tasks, connection, now, open }),
      align: 'left',
      rank: 20,
      isActive: () => true
    })
    notify(app, remote)
  }
}

/** Toasts (UX §3): an end that took long or was not seen, and the connection's loss and return. */
function notify(app: JupyterFrontEnd, { tasks, connection, settings, now }: Remote): void {
  const over = new Set<string>()
  let loaded = false
  tasks.changed.connect((_, task) => {
    if (task === null) {
      // What had ended before this page was opened is no news.
      if (!loaded && tasks.loaded) for (const each of tasks.all) if (each.over) over.add(each.id)
      loaded = tasks.loaded
      return
    }
    // The notebook's line tells of a kept machine.
    if (task.item?.view?.offer.session) return
    if (!task.over || over.has(task.id)) return
    over.add(task.id)
    const { snapshot } = task
    const long = (timeOf(snapshot, now()) ?? 0) >= settings.notifyAfterMs
    if (!long && !document.hidden) return
    const { text, failed } = endMessage(snapshot, now())
    const actions = [
      { label: 'Go to cell', callback: () => void app.commands.execute(CommandIds.goToCell, { task: task.id }) }
    ]
    if (failed) Notification.warning(text, { actions, autoClose: false })
    else Notification.success(text, { actions })
  })
  let lost: { id: string; count: number } | undefined
  connection.changed.connect((_, state) => {
    const count = tasks.running.length
    if (state.status === 'off' && lost === undefined && count > 0) {
      const text = `Connection lost. ${goOn(count)}`
      lost = { id: Notification.warning(text, { autoClose: 8000 }), count }
    } else if (state.status === 'connected' && lost !== undefined) {
      Notification.dismiss(lost.id)
      Notification.info(`Back. ${lost.count === 1 ? '1 task' : `${lost.count} tasks`} caught up.`)
      lost = undefined
    }
  })
}

const goOn = (count: number): string =>
  count === 1
    ? '1 task goes on without you; its output will catch up.'
    : `${count} tasks go on without you; their output will catch up.`
