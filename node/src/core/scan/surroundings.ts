import type { NamedSource } from './imports.js'
import { localModules, type ModuleFolder } from './modules.js'
import { readLock, readPyproject, readRequirements, type Requirement } from './requirements.js'

/** What stands beside a script or notebook and says something about its packages. */
export interface Surroundings {
  /** The program, and the modules beside it that it imports. */
  sources: NamedSource[]
  localModules: ReadonlySet<string>
  localFolders: ReadonlySet<string>
  declared: Requirement[]
  locked: ReadonlyMap<string, string>
  requiresPython: string | undefined
}

/** Larger files are data. */
const MAX_TEXT_CHARS = 1 << 20
/** Lock files of large projects. */
const MAX_LOCK_CHARS = 32 << 20
/** `-r` within `-r`. */
const MAX_INCLUDES = 20

const LOCK_FILES = ['uv.lock', 'poetry.lock', 'pdm.lock', 'pylock.toml', 'Pipfile.lock']

/**
 * Reads what the choice of an environment goes by.
 * @throws PekkaError INPUT_REQUIREMENTS where a requirements file names an address or a path
 */
export async function readSurroundings(folder: ModuleFolder, own: readonly NamedSource[]): Promise<Surroundings> {
  const entries = await folder.list('')
  const files = new Set(entries.filter(entry => !entry.folder).map(({ name }) => name))
  const read = async (name: string, max: number): Promise<string | undefined> => {
    const text = files.has(name) || name.includes('/') ? await folder.text(name) : null
    return text === null || text.length > max ? undefined : text
  }
  const declared: Requirement[] = []
  const locked = new Map<string, string>()
  let requiresPython: string | undefined
  const keep = (versions: ReadonlyMap<string, string>): void => {
    for (const [name, version] of versions) if (!locked.has(name)) locked.set(name, version)
  }
  for (const name of LOCK_FILES) {
    const text = await read(name, MAX_LOCK_CHARS)
    if (text !== undefined) keep(readLock(text).versions)
  }
  const todo = ['requirements.txt']
  for (let i = 0; i < todo.length && i < MAX_INCLUDES; i += 1) {
    const name = todo[i] ?? ''
    const text = await read(name, MAX_TEXT_CHARS)
    if (text === undefined) continue
    const found = readRequirements(text, name)
    declared.push(...found.requirements)
    keep(found.versions)
    // Only what lies beside it or below.
    todo.push(...found.includes.filter(include => !todo.includes(include) && !/^[\\/]|(^|\/)\.\.(\/|$)/.test(include)))
  }
  const project = await read('pyproject.toml', MAX_TEXT_CHARS)
  if (project !== undefined) {
    const found = readPyproject(project, 'pyproject.toml')
    declared.push(...found.requirements)
    requiresPython = found.requiresPython
  }
  const beside = await localModules(
    own.map(({ source }) => source),
    folder
  )
  const paths = new Set(beside.files.map(({ path }) => path))
  // A folder without an `__init__.py` goes behind an installed package of its name.
  const modules = beside.modules.filter(name => paths.has(`${name}.py`) || paths.has(`${name}/__init__.py`))
  return {
    sources: [...own, ...beside.files.map(({ path, text }) => ({ id: path, source: text }))],
    localModules: new Set(modules),
    localFolders: new Set(beside.modules.filter(name => !modules.includes(name))),
    declared,
    locked,
    requiresPython
  }
}
