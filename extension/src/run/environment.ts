import type { Contents, Kernel } from '@jupyterlab/services'
import {
  checkScripts,
  chooseImage,
  importScan,
  localPackagesExpression,
  readLocalPackages,
  readSurroundings,
  tooNew,
  type ImageChoice,
  type LocalPackages,
  type ModuleFolder,
  type Surroundings
} from '@pekka/node/scan'
import { tables } from '../scan/index.js'
import { codeCells, modelOf, type CodeSource } from './cells.js'
import { AUTOMATIC } from './constants.js'
import type { OpenNotebook } from './open-notebook.js'

/** What the user decided about an environment. */
export interface EnvironmentOptions {
  /** Chosen by hand; undefined: by the code. */
  image?: string | undefined
  /** Module → the package that has it, or null to leave it out. */
  answers: ReadonlyMap<string, string | null>
}

export interface EnvironmentsComponents {
  contents: Pick<Contents.IManager, 'get'>
  now: () => number
}

/** Where a cell or notebook keeps the environment that was chosen for it by hand. */
const METADATA_KEY = 'pekka-environment'
/** A kernel that doesn't answer by then is left out of the comparison, ms. */
const KERNEL_MS = 1500
/** What stands beside a notebook is looked at again after this, ms. */
const FRESH_MS = 20_000
/** An image's name, as the ledger has it. */
const NAME = /^[a-z0-9][a-z0-9.-]{0,63}$/

interface Known {
  around: Surroundings | undefined
  aroundFor: string
  at: number
  kernel: string | undefined
  local: LocalPackages | undefined
}

/**
 * Chooses environments for cells: by their imports, the files beside the notebook, and the versions in its kernel. What had to be
 * asked for is kept, so that a click that needs no more than the smallest environment waits for nothing.
 */
export class Environments {
  readonly #known = new WeakMap<OpenNotebook, Known>()
  readonly #answers = new WeakMap<OpenNotebook, ReadonlyMap<string, string | null>>()

  constructor(private readonly components: EnvironmentsComponents) {}

  /** What was answered about this notebook's packages until now. */
  answers(notebook: OpenNotebook): ReadonlyMap<string, string | null> {
    return this.#answers.get(notebook) ?? new Map()
  }

  remember(notebook: OpenNotebook, answers: ReadonlyMap<string, string | null>): void {
    this.#answers.set(notebook, answers)
  }

  /** The environment that cells or their notebook ask for by hand. */
  byHand(notebook: OpenNotebook, cells: readonly CodeSource[]): string | undefined {
    const values: unknown[] = cells.map(({ id }) => modelOf(notebook.model, id)?.getMetadata(METADATA_KEY))
    values.push(notebook.model.getMetadata(METADATA_KEY))
    return values.find(value => typeof value === 'string' && NAME.test(value) && value !== AUTOMATIC) as
      string | undefined // as found
  }

  /** Keeps a choice with the cells that it was made for; undefined goes back to the code's own. */
  keep(notebook: OpenNotebook, cells: readonly CodeSource[], image: string | undefined): void {
    for (const { id } of cells) {
      const model = modelOf(notebook.model, id)
      if (model?.getMetadata(METADATA_KEY) === image) continue
      if (image === undefined) model?.deleteMetadata(METADATA_KEY)
      else model?.setMetadata(METADATA_KEY, image)
    }
  }

  /** With what is known already, for a price to show. */
  glance(notebook: OpenNotebook, cells: readonly CodeSource[], options: EnvironmentOptions): ImageChoice {
    return this.#choose(notebook, cells, this.#known.get(notebook), options)
  }

  /** With what is known already; undefined where that isn't enough to be sure. */
  quick(notebook: OpenNotebook, cells: readonly CodeSource[], options: EnvironmentOptions): ImageChoice | undefined {
    const known = this.#known.get(notebook)
    const choice = this.glance(notebook, cells, options)
    const [smallest] = tables().images
    const refused = importScan(cells).refused
    const plain = choice.questions.length === 0 && choice.missing.length === 0 && !refused
    // What is beside the notebook can only take needs away; what nobody else has decides nothing.
    if (!plain || (options.image === undefined && choice.image !== smallest?.name)) return undefined
    if (known === undefined) void this.choose(notebook, cells, options).catch(() => undefined)
    return choice
  }

  /** @throws PekkaError INPUT_REQUIREMENTS where a requirements file beside the notebook, or a PEP 723 block in it, names an address */
  async choose(
    notebook: OpenNotebook,
    cells: readonly CodeSource[],
    options: EnvironmentOptions
  ): Promise<ImageChoice> {
    checkScripts(cells.map(({ number, source }) => ({ name: `cell ${number}`, source })))
    return this.#choose(notebook, cells, await this.#learn(notebook, cells), options)
  }

  #choose(
    notebook: OpenNotebook,
    cells: readonly CodeSource[],
    known: Known | undefined,
    { image, answers }: EnvironmentOptions
  ): ImageChoice {
    const own = cells.map(({ id, source }) => ({ id, source }))
    const sources = known?.around && known.aroundFor === keyOf(cells) ? known.around.sources : own
    const scan = importScan(sources)
    const number = new Map(codeCells(notebook.model).map(cell => [cell.id, cell.number]))
    return chooseImage(scan, tables(), {
      ...known?.around,
      local: known?.local,
      tooNew: tooNew(sources, scan.modules),
      image,
      answers,
      place: (source, line) => {
        const cell = number.get(source)
        return cell === undefined ? `${source}, line ${line}` : `cell ${cell}, line ${line}`
      }
    })
  }

  async #learn(notebook: OpenNotebook, cells: readonly CodeSource[]): Promise<Known> {
    const { now } = this.components
    const aroundFor = keyOf(cells)
    const before = this.#known.get(notebook)
    const fresh = before !== undefined && now() - before.at < FRESH_MS && before.aroundFor === aroundFor
    const kernel = notebook.context.sessionContext.session?.kernel ?? undefined
    const own = cells.map(({ id, source }) => ({ id, source }))
    const folder = contentsFolder(this.components.contents, notebook.context.localPath)
    const around = fresh ? before.around : await readSurroundings(folder, own)
    const modules = importScan(around?.sources ?? own).modules.map(({ name }) => name)
    const asked =
      before?.local !== undefined &&
      before.kernel === kernel?.id &&
      modules.every(name => before.local?.modules.has(name))
    const local = asked ? before.local : await askKernel(kernel, modules)
    const known = { around, aroundFor, at: fresh ? before.at : now(), kernel: kernel?.id, local }
    this.#known.set(notebook, known)
    return known
  }
}

const keyOf = (cells: readonly CodeSource[]): string => cells.map(({ source }) => source).join('\u0000')

/** The folder of a notebook on the Jupyter server. What can't be read says nothing. */
export function contentsFolder(contents: Pick<Contents.IManager, 'get'>, notebook: string): ModuleFolder {
  const root = notebook.includes('/') ? notebook.slice(0, notebook.lastIndexOf('/') + 1) : ''
  return {
    text: async path => {
      try {
        const { content } = await contents.get(`${root}${path}`, { type: 'file', format: 'text', content: true })
        return typeof content === 'string' ? content : null
      } catch {
        return null
      }
    },
    list: async path => {
      try {
        const { content } = await contents.get(`${root}${path}`.replace(/\/$/, ''), {
          type: 'directory',
          content: true
        })
        const entries: unknown = content
        if (!Array.isArray(entries)) return []
        // Entries of a directory are models.
        return (entries as Contents.IModel[]).map(({ name, type }) => ({ name, folder: type === 'directory' }))
      } catch {
        return []
      }
    }
  }
}

/**
 * What an idle Python kernel has of some modules. It imports nothing and binds no name; a busy one isn't waited for.
 */
async function askKernel(
  kernel: Kernel.IKernelConnection | undefined,
  modules: string[]
): Promise<LocalPackages | undefined> {
  if (kernel?.status !== 'idle' || modules.length === 0) return undefined
  try {
    const future = kernel.requestExecute({
      code: '',
      silent: true,
      store_history: false,
      allow_stdin: false,
      user_expressions: { pekka: localPackagesExpression(modules) }
    })
    const reply = await Promise.race([future.done, later(KERNEL_MS)])
    if (reply?.content.status !== 'ok') return undefined
    // The protocol's reply to a user expression: a display of its value.
    const value = (reply.content.user_expressions as Record<string, { data?: Record<string, unknown> } | undefined>)[
      'pekka'
    ]
    const text = value?.data?.['text/plain']
    return typeof text === 'string' ? readLocalPackages(text) : undefined
  } catch {
    // A kernel that was restarted or closed meanwhile.
    return undefined
  }
}

const later = (ms: number): Promise<undefined> => new Promise(resolve => setTimeout(() => resolve(undefined), ms))
