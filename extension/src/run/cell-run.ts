import type { PekkaError } from '@pekka/node/protocol'
import type { CellMetadata } from '../outputs/index.js'
import type { RemoteTask } from './remote-task.js'
import type { TaskSnapshot } from './snapshot.js'

/** What the line under a cell tells. */
export type CellRun =
  /** Before a task has an id. */
  | { kind: 'preparing' }
  | { kind: 'asking' }
  /** Packages that no environment has are being looked up and fetched. */
  | { kind: 'adding'; packages: readonly string[] }
  /** The bridge fetches addresses that the code reads; `hosts` serve them. */
  | { kind: 'fetching'; hosts: readonly string[] }
  /** No machine matches yet; it is sent when one does. */
  | { kind: 'waiting'; until: number; stop: AbortController }
  /** Never became a task. `cells`: what was to be run. */
  | { kind: 'failed'; error: PekkaError; cells: readonly string[] }
  | {
      kind: 'task'
      task: RemoteTask
      snapshot: TaskSnapshot
      cell: string
      edited: boolean
      /** Another page of this browser writes the output. */
      elsewhere: boolean
      /** It is over, and its output is still on the way here. */
      fetching: boolean
    }
  /**
   * From the notebook alone. `unknown`: the bridge knows no such task of this key. `writer`: whether the page that sent it has the
   * notebook open beside this one; null where the notebook isn't shared.
   */
  | { kind: 'remembered'; metadata: CellMetadata; edited: boolean; unknown: boolean; writer: 'here' | 'gone' | null }

/**
 * What changed: a task went on, as it does many times a second; something that somebody waits to see; or cells are being prepared,
 * which is mostly over before anybody could read it.
 */
export type ChangeKind = 'progress' | 'state' | 'brief'

/** A run of it is on its way. */
export const BEFORE: ReadonlySet<string> = new Set(['preparing', 'adding', 'fetching', 'waiting'])
