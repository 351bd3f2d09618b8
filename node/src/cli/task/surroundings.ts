import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import {
  readLock,
  readPyproject,
  readRequirements,
  importScan,
  type NamedSource,
  type Requirement
} from '../../core/scan/index.js'
import { joinLines, cellId } from './notebook.js'
import type { LoadedProgram } from './program.js'

/** What stands beside a script or notebook and says something about its packages. */
export interface Surroundings {
  /** The program, and the modules beside it that it imports. */
  sources: NamedSource[]
  localModules: ReadonlySet<string>
  localFolders: ReadonlySet<string>
  declared: Requirement[]
  locked: ReadonlyMap<string, string>
  requiresPython: string | undefined
  /** How a place in the sources is called. */
  place: (source: string, line: number) => string
}

/** Modules of the user's own that are read for their imports; a program of more files declares its packages. */
const MAX_LOCAL_FILES = 200
/** Larger files are data. */
const MAX_TEXT_BYTES = 1 << 20
/** Lock files of large projects. */
const MAX_LOCK_BYTES = 32 << 20
/** `-r` within `-r`. */
const MAX_INCLUDES = 20

const LOCK_FILES = ['uv.lock', 'poetry.lock', 'pdm.lock', 'pylock.toml', 'Pipfile.lock', 'requirements.lock']

/**
 * Reads what the choice of an environment goes by.
 * @throws PekkaError INPUT_REQUIREMENTS where a requirements file names an address or a path
 */
export async function readSurroundings(file: string, loaded: LoadedProgram): Promise<Surroundings> {
  const folder = dirname(resolve(file))
  const own = programSources(loaded)
  const { modules, folders } = await neighbours(folder)
  const declared: Requirement[] = []
  const locked = new Map<string, string>()
  let requiresPython: string | undefined
  const keep = (versions: ReadonlyMap<string, string>): void => {
    for (const [name, version] of versions) if (!locked.has(name)) locked.set(name, version)
  }
  for (const name of LOCK_FILES) {
    const text = await textOf(join(folder, name), MAX_LOCK_BYTES)
    // A requirements.lock is a requirements.txt of exact versions.
    if (text !== undefined)
      keep(name === 'requirements.lock' ? readRequirements(text, name).versions : readLock(text).versions)
  }
  const todo = ['requirements.txt']
  for (let i = 0; i < todo.length && i < MAX_INCLUDES; i += 1) {
    const name = todo[i] ?? ''
    const text = await textOf(join(folder, name), MAX_TEXT_BYTES)
    if (text === undefined) continue
    const read = readRequirements(text, name)
    declared.push(...read.requirements)
    keep(read.versions)
    todo.push(...read.includes.filter(include => !todo.includes(include)))
  }
  const project = await textOf(join(folder, 'pyproject.toml'), MAX_TEXT_BYTES)
  if (project !== undefined) {
    const read = readPyproject(project, 'pyproject.toml')
    declared.push(...read.requirements)
    requiresPython = read.requiresPython
  }
  return {
    sources: [...own, ...(await localSources(folder, own, modules))],
    localModules: modules,
    localFolders: folders,
    declared,
    locked,
    requiresPython,
    place: placeOf(loaded)
  }
}

function programSources({ program }: LoadedProgram): NamedSource[] {
  if (program.kind === 'cells') return program.cells.map(({ id, source }) => ({ id, source }))
  return [{ id: program.file, source: new TextDecoder().decode(program.source) }]
}

/** `fit.py, line 3`, or `cell 2, line 3` as people count code cells. */
function placeOf({ notebook }: LoadedProgram): Surroundings['place'] {
  const numbers = new Map<string, number>()
  notebook?.cells.forEach((cell, index) => {
    if (cell.cell_type === 'code' && joinLines(cell.source).trim() !== '')
      numbers.set(cellId(cell, index), numbers.size + 1)
  })
  return (source, line) => {
    const number = numbers.get(source)
    return number === undefined ? `${source}, line ${line}` : `cell ${number}, line ${line}`
  }
}

/** Names beside the program that `import` finds first. */
async function neighbours(folder: string): Promise<{ modules: Set<string>; folders: Set<string> }> {
  const modules = new Set<string>()
  const folders = new Set<string>()
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.endsWith('.py')) modules.add(entry.name.slice(0, -3))
    else if (/^[\p{L}_][\p{L}\p{N}_]*$/u.test(entry.name) && !entry.isFile()) {
      const inside = await readdir(join(folder, entry.name)).catch((): string[] => [])
      if (inside.includes('__init__.py')) modules.add(entry.name)
      else if (inside.some(name => name.endsWith('.py'))) folders.add(entry.name)
    }
  }
  return { modules, folders }
}

/** The imported modules beside the program, and those that they import in turn. */
async function localSources(folder: string, own: NamedSource[], modules: ReadonlySet<string>): Promise<NamedSource[]> {
  const found = new Map<string, string>()
  const seen = new Set<string>()
  let fresh = own
  while (fresh.length > 0 && found.size < MAX_LOCAL_FILES) {
    const names = importScan(fresh).modules.map(({ name }) => name)
    fresh = []
    for (const name of names) {
      if (seen.has(name) || !modules.has(name)) continue
      seen.add(name)
      for (const path of await filesOf(folder, name)) {
        if (found.size >= MAX_LOCAL_FILES) break
        const source = await textOf(join(folder, path), MAX_TEXT_BYTES)
        if (source === undefined) continue
        found.set(path, source)
        fresh.push({ id: path, source })
      }
    }
  }
  return [...found].map(([id, source]) => ({ id, source }))
}

async function filesOf(folder: string, name: string): Promise<string[]> {
  const inside = await readdir(join(folder, name), { recursive: true }).catch(() => [])
  const files = inside.filter(path => path.endsWith('.py')).map(path => join(name, path))
  return files.length > 0 ? files.slice(0, MAX_LOCAL_FILES) : [`${name}.py`]
}

async function textOf(path: string, max: number): Promise<string | undefined> {
  try {
    const info = await stat(path)
    return info.isFile() && info.size <= max ? await readFile(path, 'utf8') : undefined
  } catch (error) {
    // Not there, or not for us to read: then it says nothing.
    if (error instanceof Error && 'code' in error) return undefined
    throw error
  }
}
