import type { Contents } from '@jupyterlab/services'
import { utf8, type Returns } from '@pekka/node/protocol'
import { memorySource, type Travel } from '@pekka/node/client'
import { IMAGE_PYTHON, lacking, localModules, type ModuleFolder } from '@pekka/node/scan'
import type { CellNames, Needed } from '../scan/index.js'
import { exportValues, survey, type Survey } from './helper.js'
import { openKernel, type KernelDoor } from './kernel.js'
import { LabFiles, type LabFilesComponents } from './files.js'
import { shadowing } from './shadows.js'
import {
  EMPTY_PLAN,
  fileRow,
  going,
  moduleRow,
  stayingFile,
  valueRow,
  type Reading,
  type TravelPlan,
  type TravelRow
} from './plan.js'

/** A kernel that doesn't answer by then is taken to be busy: the code goes alone, and that is said, ms. */
const KERNEL_MS = 4_000

export interface TravelsComponents extends LabFilesComponents {
  contents: Pick<Contents.IManager, 'get'>
  folder: (notebook: string) => ModuleFolder
}

type FileToSend = TravelPlan['files'] extends ReadonlyMap<string, infer T> ? T : never

/** What a run is asked about. */
export interface TravelQuestion {
  /** Path of the notebook on the Jupyter server. */
  notebook: string
  /** Its kernel; null where none runs. */
  kernel: Parameters<typeof openKernel>[0] | null
  cells: readonly { source: string; number: number }[]
  names: readonly CellNames[]
  needed: Needed
  /** Number of a cell as people count. */
  numberOf: (id: string) => number
}

/** Finds what travels with cells, and sends it. */
export class Travels {
  constructor(private readonly components: TravelsComponents) {}

  /** What the cells need from this computer. Never throws: what can't be found out stays at home. */
  async look(question: TravelQuestion): Promise<TravelPlan> {
    const [values, files] = await Promise.all([this.#values(question), this.#files(question)])
    return { ...values, ...files, rows: [...values.rows, ...files.rows] }
  }

  /**
   * The chosen rows, ready to be sent.
   *
   * @throws PekkaError INPUT_FILE_UNREADABLE
   */
  async pack(
    question: Pick<TravelQuestion, 'kernel'>,
    plan: TravelPlan,
    chosen: ReadonlyMap<string, boolean>,
    returns: Returns
  ): Promise<{ travel: Travel; done: () => Promise<void> }> {
    const rows = going(plan, chosen)
    const ids = new Set(rows.map(({ id }) => id))
    const files = [...plan.files].flatMap(([id, file]) => (ids.has(id) ? [file] : []))
    // What an import has bound goes with whatever needs it.
    const wanted = plan.values.filter(({ name, codec }) => codec === 'module' || ids.has(`value:${name}`))
    if (wanted.length === 0 || question.kernel === null)
      return { travel: { files, values: [], returns }, done: async () => undefined }
    const door = await openKernel(question.kernel)
    try {
      const { values, release } = await exportValues(door, wanted)
      const done = async (): Promise<void> => {
        await release()
        door.dispose()
      }
      return { travel: { files, values, returns }, done }
    } catch (error) {
      door.dispose()
      throw error
    }
  }

  async #values({ kernel, needed, numberOf }: TravelQuestion): Promise<TravelPlan> {
    if (kernel === null) return EMPTY_PLAN
    const { missing, builtins } = needed
    const own = builtins.map(({ name }) => name)
    // While a cell runs, the helper looks through a subshell; without one, Python's own names aren't worth a wait.
    const beside = kernel.status === 'busy' && kernel.supportsSubshells ? own : []
    const names = [...missing.map(({ name }) => name), ...(await shadowing(kernel, own))]
    if (names.length === 0 && beside.length === 0) return EMPTY_PLAN
    const found = await ask(kernel, names, beside)
    if (found === null) return { ...EMPTY_PLAN, busy: true }
    const readings = new Map<string, Reading>([
      ...builtins.map(({ name, line }) => [name, { name, line }] as const),
      ...missing.map(({ name, line, cell }) => [name, { name, line, ...(cell && { madeBy: numberOf(cell) }) }] as const)
    ])
    const rows = found.values.flatMap((row): TravelRow[] =>
      // What an import in a cell binds goes along without a line of its own: it is a name, not data.
      row.codec === 'module' ? [] : [valueRow(row, readings.get(row.name), IMAGE_PYTHON.join('.'))]
    )
    return { ...EMPTY_PLAN, rows, values: found.values }
  }

  async #files({ notebook, names, cells }: TravelQuestion): Promise<Pick<TravelPlan, 'rows' | 'files' | 'absent'>> {
    const root = notebook.includes('/') ? notebook.slice(0, notebook.lastIndexOf('/') + 1) : ''
    const lab = new LabFiles(this.components, root)
    const rows: TravelRow[] = []
    const files = new Map<string, FileToSend>()
    const modules = await localModules(
      cells.map(({ source }) => source),
      this.components.folder(notebook)
    ).catch(() => null)
    for (const { path, text } of modules?.files ?? []) {
      const bytes = utf8(text)
      rows.push(moduleRow(path, bytes.length))
      files.set(`module:${path}`, { path, executable: false, source: memorySource(bytes) })
    }
    const written = new Set<string>()
    const absent = new Set<string>()
    for (const cell of names) {
      for (const { path: named, line } of cell.paths) {
        const path = named.replace(/^\.\//, '')
        if (written.has(path) || files.has(`file:${path}`) || files.has(`module:${path}`)) continue
        const found = await lab.find(path)
        if (found.kind === 'file') {
          rows.push(fileRow(path, line, found.size))
          files.set(`file:${path}`, { path, executable: false, source: found.source })
        } else if (found.kind === 'other') rows.push(stayingFile(path, line, found.why))
        else if (found.kind === 'none') absent.add(path)
      }
      for (const path of cell.writes) written.add(path.replace(/^\.\//, ''))
    }
    return { rows, files, absent: lacking(absent, names) }
  }
}

async function ask(
  kernel: Parameters<typeof openKernel>[0],
  names: readonly string[],
  builtins: readonly string[]
): Promise<Survey | null> {
  const signal = AbortSignal.timeout(KERNEL_MS)
  let door: KernelDoor | null = null
  try {
    door = await openKernel(kernel)
    return await survey(door, names, builtins, signal)
  } catch (error) {
    // A kernel that can't be asked (another language, busy without subshells) leaves the code to go alone.
    if (!signal.aborted) console.warn('The kernel could not be asked for values', error)
    return signal.aborted ? null : { values: [], python: '', more: 0 }
  } finally {
    door?.dispose()
  }
}
