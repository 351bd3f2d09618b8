import type { NotebookPanel } from '@jupyterlab/notebook'
import { Token } from '@lumino/coreutils'
import type { Connection, PageOption } from '../connection/index.js'
import type { LiveRegion } from '../line/index.js'
import type { Preludes } from '../outputs/index.js'
import type { OpenNotebook, RemoteTask, Runner, Tasks } from '../run/index.js'
import type { Machines } from '../session/index.js'
import type { Settings } from './settings.js'

/** What the plugins share: one connection, its tasks, and the open notebooks. */
export interface Remote {
  connection: Connection
  tasks: Tasks
  runner: Runner
  machines: Machines
  settings: Settings
  preludes: Preludes
  live: LiveRegion
  /** The open notebook of a panel; undefined before it is ready. */
  notebookOf(panel: NotebookPanel): OpenNotebook | undefined
  /** All open notebooks. */
  notebooks(): Iterable<OpenNotebook>
  /** Puts the values of a notebook's run into its kernel, and says so in the run's line. */
  bring(notebook: OpenNotebook, task: RemoteTask): Promise<void>
  /** What the wallet wrote into the page. */
  option(): PageOption | undefined
  now: () => number
  /** A time of day. */
  clock: (ms: number) => string
}

/** Null where this JupyterLab is of another version and nothing is offered. */
export const IRemote = new Token<Remote | null>('@pekka/jupyterlab:IRemote', 'Remote runs of PEKKA.')
