import { readFile } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { PekkaError, type Program } from '../../core/protocol/index.js'
import { readNotebook, type Notebook } from './notebook.js'

/** Largest script. */
const MAX_SCRIPT_BYTES = 16 << 20

export interface LoadedProgram {
  kind: 'script' | 'notebook'
  name: string
  program: Program
  /** The notebook as it was read, to be written with its outputs. */
  notebook: Notebook | null
}

/**
 * Reads FILE.py or FILE.ipynb.
 * @throws PekkaError USAGE (no such file, other ending), INPUT_EMPTY, INPUT_NOTEBOOK, INPUT_TOO_LARGE, INPUT_NOT_PYTHON
 */
export async function loadProgram(path: string, args: string[]): Promise<LoadedProgram> {
  const name = basename(path)
  const ending = extname(path).toLowerCase()
  if (ending !== '.py' && ending !== '.ipynb') {
    throw new PekkaError('USAGE', { issue: `${name} is neither a Python script (.py) nor a notebook (.ipynb).` })
  }
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'ENOENT'
        ? 'There is no such file'
        : 'The file can’t be read'
    throw new PekkaError('USAGE', { issue: `${why}: ${path}.` }, { cause: error })
  }
  if (ending === '.ipynb') {
    if (args.length > 0) throw new PekkaError('USAGE', { issue: 'A notebook takes no arguments.' })
    return { kind: 'notebook', name, ...readNotebook(bytes, path) }
  }
  if (bytes.length > MAX_SCRIPT_BYTES)
    throw new PekkaError('INPUT_TOO_LARGE', { size: bytes.length, max: MAX_SCRIPT_BYTES })
  if (bytes.toString('utf8').trim() === '') throw new PekkaError('INPUT_EMPTY')
  const program: Program = { kind: 'script', file: name, source: new Uint8Array(bytes), args }
  return { kind: 'script', name, program, notebook: null }
}
