import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application'
import { Notification } from '@jupyterlab/apputils'
import { PageConfig, URLExt } from '@jupyterlab/coreutils'
import { INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook'
import { ServerConnection } from '@jupyterlab/services'
import { ISettingRegistry } from '@jupyterlab/settingregistry'
import { asPekkaError } from '@pekka/node/protocol'
import { Connection, liveDoor, optionOfPage, parsePageOption, type PageOption } from '../connection/index.js'
import { KeyStore, createPrimitives, findSupport, webRandom } from '../crypto/index.js'
import { LiveRegion } from '../line/index.js'
import { CellClaims, Preludes } from '../outputs/index.js'
import { askNeeds, askQuote, tellComparison } from '../quote/index.js'
import {
  Environments,
  OpenNotebook,
  Runner,
  Tasks,
  contentsFolder,
  widgetOf,
  type Questions,
  type RemoteTask
} from '../run/index.js'
import { Machines } from '../session/index.js'
import { ReturnDesk, Travels } from '../values/index.js'
import { CommandIds } from './command-ids.js'
import { Settings } from './settings.js'
import { IRemote, type Remote } from './tokens.js'

/** The versions of JupyterLab that this extension is built and tested for. */
const SUPPORTED = /^4\.6\./

/** Connection, tasks and open notebooks, for the other plugins. */
export const core: JupyterFrontEndPlugin<Remote | null> = {
  id: '@pekka/jupyterlab:plugin',
  description: 'Runs notebook cells on the PEKKA network: connection, tasks and open notebooks.',
  autoStart: true,
  requires: [INotebookTracker, ISettingRegistry],
  provides: IRemote,
  activate: async (app: JupyterFrontEnd, tracker: INotebookTracker, registry: ISettingRegistry) => {
    if (!SUPPORTED.test(app.version)) {
      const text = `PEKKA is for JupyterLab 4.6; this is ${app.version}, so remote runs are off.`
      console.warn(text)
      Notification.warning(text, { autoClose: false })
      return null
    }
    const settings = new Settings(await registry.load(core.id))
    return await createRemote(app, tracker, settings)
  }
}

async function createRemote(app: JupyterFrontEnd, tracker: INotebookTracker, settings: Settings): Promise<Remote> {
  const now = (): number => Date.now()
  const support = await findSupport(globalThis.crypto.subtle)
  const { locks } = navigator as { locks?: LockManager } // missing in pages that are no secure context
  const primitives = createPrimitives(support)
  const keys = new KeyStore({ indexedDB, support, random: webRandom, ...(locks && { locks }) })
  const labBase = PageConfig.getBaseUrl()
  const option = (): PageOption | undefined => parsePageOption(PageConfig.getOption('pekka'))
  const connection = new Connection(
    {
      // Cookies let the request through Lab's proxy; Lab's own token is not sent along.
      fetch: (url, init) => fetch(url, { ...init, credentials: 'same-origin', cache: 'no-store' }),
      live: liveDoor,
      primitives,
      keys,
      clock: { now },
      option,
      freshOption: fetchOption
    },
    { labBase, bridge: settings.bridge }
  )
  const tasks = new Tasks({ connection, now })
  const preludes = new Preludes()
  const claims = new CellClaims()
  const open = new Map<NotebookPanel['context'], OpenNotebook>()
  const desks = new Map<OpenNotebook, ReturnDesk>()
  const travels = new Travels({
    contents: app.serviceManager.contents,
    folder: path => contentsFolder(app.serviceManager.contents, path),
    fetchRange
  })
  const say = (text: string): void => void Notification.info(text, { autoClose: 6000 })
  const questions: Questions = {
    connect: () => void app.commands.execute(CommandIds.connect),
    needs: askNeeds,
    compared: tellComparison,
    quote: ({ notebook, anchor, cells, kind, ...question }) => {
      const [panel] = notebook.panels
      const title =
        question.keep !== undefined
          ? 'Keep a machine for this notebook'
          : kind === 'notebook'
            ? 'Run this notebook remotely'
            : cells.length === 1
              ? 'Run this cell remotely'
              : `Run ${cells.length} cells remotely`
      const asked = question.runs === 2 ? `${title.replace('remotely', 'twice')} and compare` : title
      const images = async (): Promise<string[]> => (await connection.client?.images())?.map(({ name }) => name) ?? []
      return askQuote({ title: asked, images, ...question }, panel && widgetOf(panel, anchor)?.node)
    }
  }
  const runner: Runner = new Runner({
    tasks,
    connection,
    agreements: settings,
    environments: new Environments({ contents: app.serviceManager.contents, now }),
    travels,
    kept: notebook => machines.place(notebook),
    now,
    say,
    questions
  })
  const machines: Machines = new Machines({
    ...{ tasks, connection, agreements: settings, travels, questions, say, now },
    runner: () => runner
  })
  const owner = crypto.getRandomValues(new Uint32Array(2)).join('-')
  tracker.widgetAdded.connect((_, panel) => void adopt(panel))
  tracker.forEach(panel => void adopt(panel))
  settings.changed.connect(() => {
    if (settings.bridge !== connection.setting) connection.restart(settings.bridge)
  })
  connection.changed.connect(() => {
    for (const [context, notebook] of open) if (context.isReady) void machines.resume(notebook)
  })
  NotebookActions.executionScheduled.connect((_, { notebook: view, cell }) => {
    for (const notebook of open.values())
      if ([...notebook.panels].some(panel => panel.content === view)) notebook.ranHere(cell.model.id)
  })
  connection.start()

  async function adopt(panel: NotebookPanel): Promise<void> {
    const { context } = panel
    const known = open.get(context)
    const kept = (...of: Parameters<Machines['cell']>): Promise<RemoteTask> => machines.cell(...of)
    const components = { tasks, connection, claims, preludes, locks, now, owner, kept }
    const notebook = known ?? new OpenNotebook(components, context)
    open.set(context, notebook)
    notebook.panels.add(panel)
    panel.disposed.connect(() => {
      notebook.panels.delete(panel)
      if (notebook.panels.size > 0) return
      notebook.dispose()
      machines.close(notebook)
      desks.get(notebook)?.dispose()
      desks.delete(notebook)
      open.delete(context)
    })
    await context.ready
    await panel.revealed
    if (panel.isDisposed) return
    notebook.resume()
    void machines.resume(notebook)
    if (desks.has(notebook)) return
    desks.set(notebook, new ReturnDesk({ session: context.sessionContext, sources: () => notebook.returnSources() }))
    notebook.changed.connect((_, kind) => {
      if (kind === 'progress' && settings.returning().mode === 'always') desks.get(notebook)?.expect()
    })
    notebook.ended.connect((_, task) => {
      if (settings.returning().mode === 'always') void bring(notebook, task)
    })
  }

  async function bring(notebook: OpenNotebook, task: RemoteTask): Promise<void> {
    const source = notebook.returnSources().find(run => run.task === task.id)
    const desk = desks.get(notebook)
    if (source === undefined || desk === undefined) return
    try {
      task.brought = await desk.bring(source)
    } catch (error) {
      task.brought = `The values didn’t come. ${asPekkaError(error).message}`
    }
  }

  return {
    connection,
    tasks,
    runner,
    machines,
    settings,
    preludes,
    live: new LiveRegion(),
    notebookOf: panel => open.get(panel.context),
    notebooks: () => open.values(),
    bring,
    option,
    now,
    clock: ms => new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  }
}

/** A part of a file by Jupyter's own download address. */
async function fetchRange(path: string, from: number, to: number): Promise<{ status: number; bytes: Uint8Array }> {
  const url = URLExt.join(PageConfig.getBaseUrl(), 'files', URLExt.encodeParts(path))
  const headers = { Range: `bytes=${from}-${to - 1}` }
  const answer = await ServerConnection.makeRequest(
    url,
    { headers, cache: 'no-store' },
    ServerConnection.makeSettings()
  )
  return { status: answer.status, bytes: new Uint8Array(await answer.arrayBuffer()) }
}

/** Lab's page once more, for the fresh code that stands in it. */
async function fetchOption(signal: AbortSignal): Promise<PageOption | undefined> {
  const page = URLExt.join(PageConfig.getBaseUrl(), PageConfig.getOption('appUrl') || 'lab')
  const answer = await fetch(page, { credentials: 'same-origin', cache: 'no-store', signal })
  return answer.ok ? optionOfPage(await answer.text()) : undefined
}
