import type { SessionTerms, Program } from '@pekka/node/protocol'
import type { TaskNote, TaskRequest } from '@pekka/node/client'
import { memoryOf, runIdOf, type CellMetadata } from '../outputs/index.js'
import {
  codeCells,
  modelOf,
  nameOf,
  requestFor,
  type CodeSource,
  type OpenNotebook,
  type RunSettings
} from '../run/index.js'
import { SESSION_KEY, parseSessionMetadata, type SessionMetadata } from './metadata.js'

/** What a machine runs first, and after its restart: cells come after it. */
export const NOTHING_YET: Extract<Program, { kind: 'cells' }> = {
  kind: 'cells',
  cells: [{ id: 'open', source: '', tags: [] }],
  stopOnError: true
}

/** States of a cell after which what it makes is on the machine, or will be by the next cell's turn. */
const WELL: ReadonlySet<string> = new Set<CellMetadata['state']>(['running', 'received', 'settled'])

const metadataOf = (notebook: OpenNotebook, id: string): CellMetadata | undefined => {
  const model = modelOf(notebook.model, id)
  return model && memoryOf(model)
}

/** Cells whose newest run was in a session and not before its kernel was made anew, in the order of their runs. */
export function cellsOf(notebook: OpenNotebook, session: string): CodeSource[] {
  const kept = sessionOf(notebook)
  const from = kept?.task === session ? kept.from : 0
  const placed = codeCells(notebook.model).flatMap(cell => {
    const metadata = metadataOf(notebook, cell.id)
    return metadata?.task === session && (metadata.place ?? 0) > from ? [{ cell, place: metadata.place ?? 0 }] : []
  })
  return placed.sort((a, b) => a.place - b.place).map(({ cell }) => cell)
}

/** Ids of those that run there or went well. */
export const thereOf = (notebook: OpenNotebook, session: string): Set<string> =>
  new Set(
    cellsOf(notebook, session)
      .filter(({ id }) => WELL.has(metadataOf(notebook, id)?.state ?? 'failed'))
      .map(({ id }) => id)
  )

/** The machine that the notebook remembers. */
export const sessionOf = (notebook: OpenNotebook): SessionMetadata | undefined =>
  parseSessionMetadata(notebook.model.getMetadata(SESSION_KEY))

/** What is known of the cells at a place in a session: those that name it. */
export function noteAt(notebook: OpenNotebook, session: string, place: number): TaskNote {
  const run = runIdOf({ task: session, place })
  const cells = codeCells(notebook.model).filter(({ id }) => {
    const metadata = metadataOf(notebook, id)
    return metadata !== undefined && runIdOf(metadata) === run
  })
  const { path } = notebook.context
  const ids = cells.map(({ id }) => id).slice(0, 20)
  return { v: 1, title: nameOf(path), kind: 'selection', path: path.slice(0, 1024), cells: ids }
}

/** The session itself: a machine without a cell yet. */
export function sessionRequest(
  path: string,
  settings: RunSettings,
  session: SessionTerms
): TaskRequest & { image: string } {
  const title = `${nameOf(path)}, kept machine`
  const note: TaskNote = { v: 1, title, kind: 'notebook', path: path.slice(0, 1024), cells: [] }
  return { ...requestFor([], 'notebook', path, settings), program: NOTHING_YET, session, note }
}
