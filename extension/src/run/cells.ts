import { isCodeCellModel, type CodeCell, type ICodeCellModel } from '@jupyterlab/cells'
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook'
import { sha256, toHex, utf8 } from '@pekka/node/protocol'
import type { CellPlace } from '../outputs/index.js'

/** What a run needs to know of a code cell. */
export interface CodeSource {
  id: string
  source: string
  tags: string[]
  /** As people count: the first code cell is 1. */
  number: number
}

/** The code cells of a notebook, in order. */
export function codeCells(model: INotebookModel): CodeSource[] {
  const cells: CodeSource[] = []
  for (const cell of model.cells) {
    if (!isCodeCellModel(cell)) continue
    const tags: unknown = cell.getMetadata('tags')
    cells.push({
      id: cell.id,
      source: cell.sharedModel.getSource(),
      tags: Array.isArray(tags) ? tags.filter(tag => typeof tag === 'string') : [],
      number: cells.length + 1
    })
  }
  return cells
}

export function modelOf(model: INotebookModel, id: string): ICodeCellModel | undefined {
  for (const cell of model.cells) if (cell.id === id && isCodeCellModel(cell)) return cell
  return undefined
}

/** The widget of a cell in one view of its notebook. */
export function widgetOf(panel: NotebookPanel, id: string): CodeCell | undefined {
  if (panel.isDisposed) return undefined
  // A widget of type `code` is a CodeCell.
  return panel.content.widgets.find(cell => cell.model.id === id && cell.model.type === 'code') as CodeCell | undefined
}

export function placeOf(panels: Iterable<NotebookPanel>, id: string): CellPlace | undefined {
  for (const panel of panels) {
    const cell = widgetOf(panel, id)
    if (cell && !cell.isDisposed) return { model: cell.model, outputArea: cell.outputArea }
  }
  return undefined
}

/** The notebook's language where it says one: its kernel's, or that of the kernel it was saved with. */
export function languageOf(model: INotebookModel): string | undefined {
  const info: unknown = model.getMetadata('language_info')
  const spec: unknown = model.getMetadata('kernelspec')
  const named = (value: unknown, key: string): string | undefined => {
    if (typeof value !== 'object' || value === null) return undefined
    const name = (value as Record<string, unknown>)[key] // checked in the next line
    return typeof name === 'string' && name !== '' ? name.toLowerCase() : undefined
  }
  return named(info, 'name') ?? named(spec, 'language')
}

/** Tells whether a cell was edited since it was sent. Not a secret: the source stands beside it. */
export const sourceMark = (source: string): string => toHex(sha256(utf8(source))).slice(0, 16)

/** {@link sourceMark} of what a cell says now; asked at each drawing, so what was hashed last is kept. */
export function markOf(model: ICodeCellModel): string {
  const source = model.sharedModel.getSource()
  const known = marks.get(model)
  if (known?.source === source) return known.mark
  const mark = sourceMark(source)
  marks.set(model, { source, mark })
  return mark
}

const marks = new WeakMap<ICodeCellModel, { source: string; mark: string }>()
