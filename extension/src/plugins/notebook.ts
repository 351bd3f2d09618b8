import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application'
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils'
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook'
import { IRenderMimeRegistry } from '@jupyterlab/rendermime'
import { Lines, type LineActionId } from '../line/index.js'
import { INTERACTIVE_RANK, interactiveRendererFactory } from '../outputs/index.js'
import {
  moreMemory,
  moreTime,
  type CellRun,
  type OpenNotebook,
  type RunOptions,
  type RunSettings
} from '../run/index.js'
import { BatchProgress } from '../panel/index.js'
import { environmentWith, packageWith } from '../scan/index.js'
import { isPekkaError } from '@pekka/node/protocol'
import { saveFiles } from '../values/index.js'
import { CommandIds } from './command-ids.js'
import { createRunMenu } from './run-menu.js'
import { IRemote, type Remote } from './tokens.js'

/** Lines under cells, the notebook's toolbar, and the renderer of interactive outputs. */
export const notebook: JupyterFrontEndPlugin<void> = {
  id: '@pekka/jupyterlab:notebook',
  description: 'Shows remote runs in notebooks.',
  autoStart: true,
  requires: [IRemote, INotebookTracker, IRenderMimeRegistry],
  optional: [IToolbarWidgetRegistry],
  activate: (
    app: JupyterFrontEnd,
    remote: Remote | null,
    tracker: INotebookTracker,
    rendermime: IRenderMimeRegistry,
    toolbars: IToolbarWidgetRegistry | null
  ) => {
    if (remote === null) return
    rendermime.addFactory(interactiveRendererFactory(remote.preludes), INTERACTIVE_RANK)
    toolbars?.addFactory<NotebookPanel>('Notebook', 'pekka-run', () => createRunMenu(app.commands))
    toolbars?.addFactory<NotebookPanel>('Notebook', 'pekka-progress', panel => {
      const progress = new BatchProgress({ cancel: tasks => remote.runner.cancel(tasks) })
      void whenOpen(remote, panel).then(open => progress.follow(open))
      return progress
    })
    const adopt = async (panel: NotebookPanel): Promise<void> => {
      // Each notebook has a copy of Lab's renderers, made before this plugin was there or after.
      panel.content.rendermime.addFactory(interactiveRendererFactory(remote.preludes), INTERACTIVE_RANK)
      const open = await whenOpen(remote, panel)
      if (panel.isDisposed) return
      const { connection, live, now, clock } = remote
      new Lines(
        {
          notebook: open,
          live,
          now,
          clock,
          connection: () => ({ status: connection.state.status, seenAt: connection.seenAt }),
          act: (action, cell, run) => void act(app, remote, open, action, cell, run)
        },
        panel
      )
    }
    tracker.widgetAdded.connect((_, panel) => void adopt(panel))
    tracker.forEach(panel => void adopt(panel))
  }
}

async function whenOpen(remote: Remote, panel: NotebookPanel): Promise<OpenNotebook> {
  await panel.context.ready
  await panel.revealed
  const open = remote.notebookOf(panel)
  if (open === undefined) throw new Error('The notebook was closed while it opened')
  return open
}

async function act(
  app: JupyterFrontEnd,
  remote: Remote,
  open: OpenNotebook,
  action: LineActionId,
  cell: string,
  run: CellRun
): Promise<void> {
  const { runner, connection } = remote
  const again = (
    settings: Partial<RunSettings> = {},
    more: Pick<RunOptions, 'wait' | 'ask' | 'add'> = {}
  ): Promise<void> => {
    const cells = run.kind === 'failed' ? run.cells : [cell]
    return runner.run(open, cells, cells.length > 1 ? 'selection' : 'cell', { settings, ...more })
  }
  const limits = remote.settings.settings()
  switch (action) {
    case 'cancel':
      if (run.kind === 'waiting') return run.stop.abort()
      return run.kind === 'task' ? await runner.cancel([run.task]) : undefined
    case 'files': {
      const returned = run.kind === 'task' ? run.task.returned : null
      if (run.kind !== 'task' || returned === null) return
      const place = { notebook: open.context.localPath, task: run.task.id }
      try {
        run.task.saved = await saveFiles(app.serviceManager.contents, returned.follower, returned.files, place)
      } catch (error) {
        run.task.saved = `Saving failed. ${isPekkaError(error) ? error.message : 'Jupyter did not take a file.'}`
      }
      return
    }
    case 'values':
      return run.kind === 'task' ? await remote.bring(open, run.task) : undefined
    case 'again':
      return await again()
    case 'more-memory': {
      const memoryBytes = moreMemory(offered(run)?.memoryBytes ?? limits.memoryBytes)
      return await again(memoryBytes === undefined ? {} : { memoryBytes })
    }
    case 'more-time': {
      const wallMs = moreTime(offered(run)?.wallMs ?? limits.wallMs)
      return await again(wallMs === undefined ? {} : { wallMs })
    }
    case 'raise-cap': {
      const cap = run.kind === 'task' ? run.snapshot.cap : limits.cap
      return await again({ cap: cap * 2n })
    }
    case 'in-environment': {
      const module = run.kind === 'task' ? run.snapshot.missingModule : null
      const image = module === null ? undefined : environmentWith(module)
      return await again(image === undefined ? {} : { image })
    }
    case 'add-package': {
      const module = run.kind === 'task' ? run.snapshot.missingModule : null
      const name = module === null ? undefined : packageWith(module)
      return await again({}, name === undefined ? {} : { add: [name] })
    }
    case 'wait':
      return await again({}, { wait: true })
    case 'why':
      return await again({}, { ask: true })
    case 'receipt': {
      const task = run.kind === 'task' ? run.task.taskId : run.kind === 'remembered' ? run.metadata.task : undefined
      return task === undefined ? undefined : await app.commands.execute(CommandIds.receipt, { task })
    }
    case 'retry':
      return connection.retry()
    case 'connect':
      return await app.commands.execute(CommandIds.connect)
    case 'settings':
      return await app.commands.execute(CommandIds.settings)
  }
}

/** The limits of the run that ended at one. */
function offered(run: CellRun): { memoryBytes: number; wallMs: number } | undefined {
  const offer = run.kind === 'task' ? run.task.item?.view?.offer : undefined
  return offer && { memoryBytes: offer.resources.memoryBytes, wallMs: offer.limits.wallMs }
}
