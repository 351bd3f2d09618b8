import { z } from 'zod'
import { PekkaError, type Program } from '../../core/protocol/index.js'

/** Reads notebooks (nbformat 4) into a task's program, and says plainly why one can't be read. */

/** Largest notebook file that is read. Outputs inside may be big; the code never is. */
export const MAX_NOTEBOOK_BYTES = 256 << 20
/** Largest code of one task. */
const MAX_SOURCE_BYTES = 16 << 20

const multiline = z.union([z.string(), z.array(z.string())])
const cellSchema = z.looseObject({
  cell_type: z.string(),
  id: z.string().min(1).max(128).optional(),
  source: multiline.default(''),
  metadata: z.looseObject({ tags: z.array(z.string()).optional() }).default({})
})
const notebookSchema = z.looseObject({
  nbformat: z.number().int(),
  nbformat_minor: z.number().int().default(0),
  metadata: z
    .looseObject({
      kernelspec: z.looseObject({ language: z.string().optional(), name: z.string().optional() }).optional(),
      language_info: z.looseObject({ name: z.string().optional() }).optional()
    })
    .default({}),
  cells: z.array(cellSchema).max(10_000)
})
export type Notebook = z.infer<typeof notebookSchema>

/** nbformat's multi-line strings already end their lines. */
export const joinLines = (text: string | string[]): string => (typeof text === 'string' ? text : text.join(''))

/** @throws PekkaError INPUT_NOTEBOOK, INPUT_NOT_PYTHON, INPUT_TOO_LARGE, INPUT_EMPTY */
export function readNotebook(bytes: Uint8Array, file: string): { notebook: Notebook; program: Program } {
  if (bytes.length > MAX_NOTEBOOK_BYTES)
    throw new PekkaError('INPUT_TOO_LARGE', { size: bytes.length, max: MAX_NOTEBOOK_BYTES })
  const notebook = parse(bytes, file)
  const language = notebook.metadata.kernelspec?.language ?? notebook.metadata.language_info?.name
  if (language !== undefined && language.toLowerCase() !== 'python' && !/^i?python3?$/i.test(language)) {
    throw new PekkaError('INPUT_NOT_PYTHON', { language })
  }
  const cells = notebook.cells.flatMap((cell, index) => {
    const source = joinLines(cell.source)
    if (cell.cell_type !== 'code' || source.trim() === '') return []
    return [{ id: cellId(cell, index), source, tags: cell.metadata.tags ?? [] }]
  })
  if (cells.length === 0) throw new PekkaError('INPUT_EMPTY')
  const size = cells.reduce((sum, cell) => sum + Buffer.byteLength(cell.source), 0)
  if (size > MAX_SOURCE_BYTES) throw new PekkaError('INPUT_TOO_LARGE', { size, max: MAX_SOURCE_BYTES })
  return { notebook, program: { kind: 'cells', cells, stopOnError: true } }
}

/** The cell's own id (nbformat 4.5), or one from its place. */
export const cellId = (cell: { id?: string | undefined }, index: number): string => cell.id ?? `cell-${index + 1}`

function parse(bytes: Uint8Array, file: string): Notebook {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new PekkaError('INPUT_NOTEBOOK', { issue: 'it is not JSON', remedy: `Is ${file} a notebook, and complete?` })
  }
  const version = z.object({ nbformat: z.number() }).safeParse(json)
  if (version.success && version.data.nbformat < 4) {
    const remedy = `Convert it: jupyter nbconvert --to notebook --nbformat 4 "${file}"`
    throw new PekkaError('INPUT_NOTEBOOK', { issue: `it has the old format ${version.data.nbformat}`, remedy })
  }
  if (version.success && version.data.nbformat > 4) {
    throw new PekkaError('INPUT_NOTEBOOK', {
      issue: `its format ${version.data.nbformat} is newer than PEKKA knows`,
      remedy: 'Update PEKKA.'
    })
  }
  const parsed = notebookSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new PekkaError('INPUT_NOTEBOOK', {
    issue: `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'wrong shape'}`,
    remedy: 'Open and save it once in JupyterLab.'
  })
}
