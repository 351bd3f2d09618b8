import type { Contents } from '@jupyterlab/services'
import { MAX_FILES, collide, concat, isTravelPath, type EventOf } from '@pekka/node/protocol'
import { size as sizeWords, type TaskFollower } from '@pekka/node/client'
import { toBase64Fast } from './base64.js'

/** Where files of a task go: a folder of its own beside the notebook, so that nothing is ever overwritten or imported. */
const RESULTS = 'pekka-results'
/** Jupyter takes larger files in pieces. */
const PIECE_BYTES = 8 << 20

/**
 * Saves the files that a task brought back beside its notebook, through Jupyter's contents. Each is taken only whole; a name
 * that can't be a file's here, or that is there already, is left out and said.
 *
 * @returns a sentence for people
 */
export async function saveFiles(
  contents: Pick<Contents.IManager, 'get' | 'save'>,
  follower: Pick<TaskFollower, 'open'>,
  files: EventOf<'files'>['files'],
  place: { notebook: string; task: string }
): Promise<string> {
  const root = place.notebook.includes('/') ? place.notebook.slice(0, place.notebook.lastIndexOf('/') + 1) : ''
  const [task = '', cell] = place.task.split('.')
  const folder = `${root}${RESULTS}/${task.slice(0, 8)}${cell === undefined ? '' : `-${cell}`}`
  const wanted = files.slice(0, MAX_FILES).filter(({ name, parts }) => parts !== undefined && isTravelPath(name))
  const mixed = collide(wanted.map(({ name }) => name))
  const seen = new Set<string>()
  const made = new Set<string>()
  let saved = 0
  let bytes = 0
  const left: string[] = []
  for (const file of wanted) {
    const key = file.name.normalize('NFC').toLowerCase()
    const path = `${folder}/${file.name}`
    if ((mixed && seen.has(key)) || (await there(contents, path))) {
      left.push(file.name)
      continue
    }
    seen.add(key)
    const parts: Uint8Array[] = []
    // Its end is reached only if all of it is what the machine fixed.
    for await (const part of follower.open(file)) parts.push(part)
    await makeFolders(contents, path, made)
    await save(contents, path, concat(...parts))
    saved += 1
    bytes += file.size
  }
  const rest = files.length - saved
  const where = `${saved} ${saved === 1 ? 'file' : 'files'} · ${sizeWords(bytes)} saved in ${folder}`
  return rest === 0
    ? where
    : `${where}; ${rest} left out${left.length > 0 ? ' (there already, or a name that can’t be)' : ''}`
}

const there = (contents: Pick<Contents.IManager, 'get'>, path: string): Promise<boolean> =>
  contents.get(path, { content: false }).then(
    () => true,
    () => false
  )

async function makeFolders(
  contents: Pick<Contents.IManager, 'get' | 'save'>,
  path: string,
  made: Set<string>
): Promise<void> {
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const folder = path.slice(0, at)
    if (made.has(folder)) continue
    made.add(folder)
    if (!(await there(contents, folder))) await contents.save(folder, { type: 'directory' })
  }
}

async function save(contents: Pick<Contents.IManager, 'save'>, path: string, bytes: Uint8Array): Promise<void> {
  const file = { type: 'file', format: 'base64' } as const
  if (bytes.length <= PIECE_BYTES) {
    await contents.save(path, { ...file, content: toBase64Fast(bytes) })
    return
  }
  for (let at = 0, chunk = 1; at < bytes.length; at += PIECE_BYTES, chunk++) {
    const last = at + PIECE_BYTES >= bytes.length
    // `chunk` is Jupyter's own way for large files, and not in the interface's type.
    const options = { ...file, content: toBase64Fast(bytes.subarray(at, at + PIECE_BYTES)), chunk: last ? -1 : chunk }
    await contents.save(path, options as Partial<Contents.IModel>)
  }
}
