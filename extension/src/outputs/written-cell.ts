import type { ICodeCellModel } from '@jupyterlab/cells'
import type { OutputArea } from '@jupyterlab/outputarea'
import type { RemoteFuture } from './remote-future.js'

/** A cell of a task, as its writer knows it. */
export interface CellRun {
  id: string
  future: RemoteFuture
  source: string | undefined
  model: ICodeCellModel | undefined
  onChange: (shared: unknown, change: { sourceChange?: unknown }) => void
  edited: boolean
  /** `writing`: outputs go in. `gone`: deleted, outputs wait. `given-up`: somebody else writes there. */
  state: 'writing' | 'gone' | 'given-up'
  /** Output came while it was gone, which JupyterLab shows only if the deletion is undone. */
  missed: boolean
  ended: boolean
}

/** JupyterLab's type leaves out that there may be none. */
export const hasFuture = ({ future }: OutputArea): boolean =>
  (future as unknown) !== null && (future as unknown) !== undefined
