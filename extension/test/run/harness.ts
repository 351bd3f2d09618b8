/** Runs in the browser: a notebook's real model around our {@link OpenNotebook}. Bundled by ../outputs/browser.ts. */
import type { DocumentRegistry } from '@jupyterlab/docregistry'
import { NotebookModel, type INotebookModel, type NotebookPanel } from '@jupyterlab/notebook'
import { Signal } from '@lumino/signaling'
import type { Connection } from '../../src/connection/index.js'
import { CellClaims, Preludes, cellMetadataJson } from '../../src/outputs/index.js'
import { OpenNotebook } from '../../src/run/open-notebook.js'
import { RemoteTask } from '../../src/run/remote-task.js'
import type { Tasks } from '../../src/run/tasks.js'

/** A notebook that pages share, of which this one is alone there, with a run that is known to the bridge. */
export class SharedNotebook {
  readonly model = new NotebookModel({ collaborationEnabled: true })
  readonly task: RemoteTask
  readonly notebook: OpenNotebook
  /** What the bridge answers of the run. */
  asked = (): Promise<object> => Promise.resolve({})
  /** How a kept machine's cell is found. */
  kept = (): Promise<RemoteTask> => Promise.reject(new Error('none is kept'))
  /** Resolves when the run's output is asked for, to be written here. */
  readonly followed: Promise<void>
  #tell: () => void = () => undefined

  /** `byte`: of the run's id. Its lock is the whole page's, so each run needs its own. */
  constructor(byte: number, cells: string[] = []) {
    this.task = new RemoteTask({ nameOf: () => undefined, now: () => 0 }, new Uint8Array(32).fill(byte), 0)
    this.followed = new Promise(resolve => (this.#tell = resolve))
    this.task.note = { v: 1, title: 'a.ipynb', kind: 'cell', path: 'a.ipynb', cells }
    const owner = {}
    const { task } = this
    const connection = {
      setting: 'auto',
      changed: new Signal<object, unknown>(owner),
      client: { task: () => this.asked(), note: () => Promise.resolve(null) }
    } as unknown as Connection // as much of one as a notebook uses
    const tasks = {
      get: () => task,
      learn: () => task,
      follow: (_: unknown, sink: unknown) => {
        if (sink !== null) this.#tell()
        return Promise.resolve(task)
      }
    } as unknown as Tasks // as much as following takes
    const context = {
      ...{ path: 'a.ipynb', isReady: true, ready: Promise.resolve(), isDisposed: false },
      model: this.model
    } as unknown as DocumentRegistry.IContext<INotebookModel> // as much of one as a notebook that isn't saved uses
    this.notebook = new OpenNotebook(
      {
        ...{ tasks, connection, claims: new CellClaims(), preludes: new Preludes(), locks: navigator.locks },
        ...{ now: () => 0, owner: 'me', kept: () => this.kept() }
      },
      context
    )
  }

  /** Adds a cell that another page sent, which is gone; `place`: to a kept machine. */
  add(id: string, place?: number): void {
    const { taskId: task } = this.task
    const pekka = cellMetadataJson({
      v: 1,
      task,
      bridge: 'auto',
      owner: 'other',
      state: 'running',
      cell: id,
      ...(place === undefined ? {} : { place })
    })
    this.model.sharedModel.addCell({ cell_type: 'code', id, source: '1', metadata: { pekka } })
  }

  /** The notebook stands in the page, as far as its cells are looked for there. */
  show(): void {
    const widgets = [...this.model.cells].map(model => ({ model, isDisposed: false, outputArea: {} }))
    // as much of one as finding a cell uses
    this.notebook.panels.add({ isDisposed: false, content: { widgets } } as unknown as NotebookPanel)
  }

  /** What a cell remembers of its remote run. */
  memory(id: string): unknown {
    return [...this.model.cells].find(cell => cell.id === id)?.getMetadata('pekka')
  }
}

Object.assign(globalThis, { notebooks: { SharedNotebook } })
