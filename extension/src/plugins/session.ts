import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application'
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook'
import { labIcon, type IconName } from '../line/index.js'
import { MachineBar, type MachineActionId } from '../session/index.js'
import type { OpenNotebook } from '../run/index.js'
import { CommandIds } from './command-ids.js'
import { saveReceipt } from './receipt.js'
import { IRemote, type Remote } from './tokens.js'

/** Machines that are kept for notebooks: their commands, and the line above the cells. */
export const session: JupyterFrontEndPlugin<void> = {
  id: '@pekka/jupyterlab:session',
  description: 'Keeps a machine for a notebook, so that later remote cells see what earlier ones made.',
  autoStart: true,
  requires: [IRemote, INotebookTracker],
  activate: (app: JupyterFrontEnd, remote: Remote | null, tracker: INotebookTracker) => {
    if (remote === null) return
    addCommands(app, remote, tracker)
    const adopt = async (panel: NotebookPanel): Promise<void> => {
      await panel.context.ready
      await panel.revealed
      const notebook = remote.notebookOf(panel)
      if (panel.isDisposed || notebook === undefined) return
      const { machines, live, connection, now, clock } = remote
      const connected = (): boolean => connection.state.status === 'connected'
      const bar = new MachineBar(
        { machines, live, connected, now, clock, act: action => void act(remote, notebook, action) },
        notebook
      )
      panel.contentHeader.addWidget(bar)
      panel.disposed.connect(() => bar.dispose())
      connection.changed.connect(bar.update, bar)
    }
    tracker.widgetAdded.connect((_, panel) => void adopt(panel))
    tracker.forEach(panel => void adopt(panel))
  }
}

async function act(remote: Remote, notebook: OpenNotebook, action: MachineActionId): Promise<void> {
  const { machines, connection } = remote
  switch (action) {
    case 'let-go':
      return await machines.letGo(notebook)
    case 'interrupt':
      return await machines.interrupt(notebook)
    case 'restart':
      return await machines.restart(notebook)
    case 'again':
      return await machines.again(notebook)
    case 'keep':
      return void (await machines.keep(notebook))
    case 'dismiss':
      return machines.dismiss(notebook)
    case 'retry':
      return connection.retry()
    case 'receipt': {
      const machine = machines.of(notebook)
      return machine === null ? undefined : await saveReceipt(remote, machine.id)
    }
  }
}

function addCommands(app: JupyterFrontEnd, remote: Remote, tracker: INotebookTracker): void {
  const { machines } = remote
  const notebook = (): OpenNotebook | undefined =>
    tracker.currentWidget === null ? undefined : remote.notebookOf(tracker.currentWidget)
  const live = (): boolean => {
    const open = notebook()
    return open !== undefined && machines.of(open)?.live === true
  }
  const add = (
    id: string,
    { label, caption, icon }: { label: string; caption: string; icon: IconName },
    isEnabled: () => boolean,
    execute: (open: OpenNotebook) => Promise<unknown>
  ): void => {
    app.commands.addCommand(id, {
      label,
      caption,
      icon: labIcon(icon),
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled,
      execute: async () => {
        const open = notebook()
        if (open !== undefined) await execute(open)
      }
    })
  }
  add(
    CommandIds.keep,
    {
      label: 'Keep a Machine for This Notebook',
      caption: 'Later remote cells see what earlier ones made; it is let go when nothing is run for a while',
      icon: 'remote'
    },
    () => notebook()?.context.isReady === true && !live(),
    open => machines.keep(open)
  )
  add(
    CommandIds.letGo,
    {
      label: 'Let the Kept Machine Go',
      caption: 'What its cells made goes with it; what isn’t used of the cap comes back',
      icon: 'stop'
    },
    live,
    open => machines.letGo(open)
  )
  add(
    CommandIds.interrupt,
    {
      label: 'Interrupt the Kept Machine',
      caption: 'Stop the cell that runs there; what its cells made stays',
      icon: 'pause'
    },
    live,
    open => machines.interrupt(open)
  )
  add(
    CommandIds.restart,
    {
      label: 'Restart the Kept Machine',
      caption: 'A fresh Python on the same machine: what its cells made is gone',
      icon: 'again'
    },
    live,
    open => machines.restart(open)
  )
  machines.changed.connect(() => {
    for (const id of [CommandIds.keep, CommandIds.letGo, CommandIds.interrupt, CommandIds.restart])
      app.commands.notifyCommandChanged(id)
  })
}
