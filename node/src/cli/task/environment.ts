import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'
import { asPekkaError, PekkaError } from '../../core/protocol/index.js'
import {
  checkScripts,
  chooseImage,
  differs,
  differsWords,
  importScan,
  readSurroundings,
  readTables,
  standIn,
  tooNew,
  type ModuleFolder,
  type ImageChoice,
  type ModuleTables,
  type NamedSource
} from '../../core/scan/index.js'
import { askFound, askPython, findPython } from './local-python.js'
import { namedPackages } from './packages.js'
import type { LoadedProgram } from './program.js'
import { cellId, joinLines } from './notebook.js'

/** What the user says about packages. */
export interface EnvironmentOptions {
  image?: string | undefined
  /** `module=package`, or packages to add. */
  with?: string[]
  /** Modules that may be missing. */
  without?: string[]
  /** A Python whose packages are compared; else the one that the user would run. */
  python?: string | undefined
}

const IMAGES = join(ROOT, 'sandbox-images')

/** The tables made with the images, and the reviewed names. */
export async function loadTables(): Promise<ModuleTables> {
  const json = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(IMAGES, name), 'utf8'))
  return readTables(await json('modules.json'), await json('reviewed-names.json'))
}

/**
 * The environment of a script or notebook: what it imports, what stands beside it, what the user says.
 * @throws PekkaError PACKAGE_UNKNOWN, PACKAGE_MISSING, INPUT_REQUIREMENTS, USAGE
 */
export async function chooseEnvironment(
  file: string,
  loaded: LoadedProgram,
  options: EnvironmentOptions,
  /** Where the user's Python is looked for; nowhere by default. */
  env: NodeJS.ProcessEnv = {}
): Promise<ImageChoice> {
  const answers = readAnswers(options)
  checkScripts(programSources(loaded).map(({ id, source }) => ({ name: nameOf(loaded)(id) ?? id, source })))
  const around = await readSurroundings(folderOf(dirname(resolve(file))), programSources(loaded))
  const scan = importScan(around.sources)
  const modules = scan.modules.map(({ name }) => name)
  const tables = await loadTables()
  const init = {
    ...around,
    answers,
    place: placeOf(loaded),
    tooNew: tooNew(around.sources, scan.modules),
    image: options.image ?? environmentOf(loaded)
  }
  const found = options.python === undefined ? await findPython(env) : null
  const local =
    options.python === undefined
      ? found === null
        ? undefined
        : await askFound(found, modules)
      : await askPython(options.python, modules)
  const choice = chooseImage(scan, tables, { ...init, local })
  if (found !== null && local !== undefined) {
    // Said where it makes a difference: many have a Python on their path that they never use for this.
    const without = chooseImage(scan, tables, init)
    if (JSON.stringify([choice.notes, choice.missing]) !== JSON.stringify([without.notes, without.missing]))
      choice.notes.push(`“Here” is ${found}, Python ${local.python}; --python names another.`)
  }
  const [question] = choice.questions
  if (question !== undefined) {
    const all = choice.questions.map(({ text }) => text).join(' ')
    throw new PekkaError('PACKAGE_UNKNOWN', { question: all, module: question.module })
  }
  return choice
}

/** What a notebook says of itself: `pekka-environment` in its metadata, as the extension writes it. */
function environmentOf({ notebook }: LoadedProgram): string | undefined {
  const value = notebook?.metadata['pekka-environment']
  return typeof value === 'string' && /^[a-z0-9][a-z0-9.-]{0,63}$/.test(value) ? value : undefined
}

/**
 * What the chosen image lacks and the code can do without, and what it has in another version than is asked for. What the code can't do
 * without is added (packages.ts).
 */
export function describeMissing({ image, missing }: ImageChoice): string[] {
  return missing.flatMap(one => {
    if (differs(one)) return [differsWords(one, image)]
    return one.optional ? [`${one.module} isn’t in ${image}; the code goes on without it.`] : []
  })
}

/** What stands in for the chosen image where a quote has said that nobody offers it; undefined: nothing does. */
export function smallInstead(error: unknown, choice: ImageChoice): ImageChoice | undefined {
  const { code, data } = asPekkaError(error)
  if (code !== 'IMAGE_UNKNOWN') return undefined
  const other = standIn(choice, String(data['known'] ?? '').split(', '))
  return other === choice ? undefined : other
}

/** Where the bridge has no machine with the image that was chosen for the code, what to do. */
export function notOffered(error: unknown, { image, label, byUser }: ImageChoice): unknown {
  const { code, data } = asPekkaError(error)
  if (code !== 'IMAGE_UNKNOWN' || byUser) return error
  const why = /\((.*)\)$/.exec(label)?.[1] ?? 'nothing special'
  return new PekkaError('IMAGE_NOT_OFFERED', { image, why, known: String(data['known'] ?? 'none') }, { cause: error })
}

function readAnswers(options: EnvironmentOptions): Map<string, string | null> {
  const answers = new Map<string, string | null>()
  for (const module of options.without ?? []) answers.set(module, null)
  for (const text of options.with ?? []) {
    const match = /^([\p{L}_][\p{L}\p{N}_]*)=([A-Za-z0-9][A-Za-z0-9._-]*)$/u.exec(text)
    if (match?.[1] !== undefined && match[2] !== undefined) answers.set(match[1], match[2])
  }
  // Who names a package probably imports it by that name.
  for (const { name } of namedPackages(options.with)) answers.set(name.replaceAll('-', '_'), name)
  return answers
}

function programSources({ program }: LoadedProgram): NamedSource[] {
  if (program.kind === 'cells') return program.cells.map(({ id, source }) => ({ id, source }))
  return [{ id: program.file, source: new TextDecoder().decode(program.source) }]
}

/** `cell 2`, as people count code cells; undefined for a file. */
function nameOf({ notebook }: LoadedProgram): (source: string) => string | undefined {
  const numbers = new Map<string, number>()
  notebook?.cells.forEach((cell, index) => {
    if (cell.cell_type === 'code' && joinLines(cell.source).trim() !== '')
      numbers.set(cellId(cell, index), numbers.size + 1)
  })
  return source => (numbers.has(source) ? `cell ${numbers.get(source)}` : undefined)
}

/** `fit.py, line 3`, or `cell 2, line 3`. */
function placeOf(loaded: LoadedProgram): (source: string, line: number) => string {
  const name = nameOf(loaded)
  return (source, line) => `${name(source) ?? source}, line ${line}`
}

/** A folder of the disk. What can't be read says nothing. */
function folderOf(root: string): ModuleFolder {
  return {
    text: async path => await readFile(join(root, path), 'utf8').catch(() => null),
    list: async path => {
      const entries = await readdir(join(root, path), { withFileTypes: true }).catch(() => [])
      return entries.map(entry => ({ name: entry.name, folder: entry.isDirectory() }))
    }
  }
}
