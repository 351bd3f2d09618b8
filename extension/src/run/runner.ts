import { DEFAULT_DISK_BYTES, DEFAULT_MILLI_CPUS, PekkaError, asPekkaError, isPekkaError } from '@pekka/node/protocol'
import { whyNot, type PekkaClient, type Quote } from '@pekka/node/client'
import type { Connection } from '../connection/index.js'
import { readAddresses, type ImageChoice } from '@pekka/node/scan'
import { analyse, neededCells, needsSentence, type Needed } from '../scan/index.js'
import { addressRows } from './addresses.js'
import { codeCells, languageOf, modelOf, type CodeSource } from './cells.js'
import { AUTOMATIC, WAIT_MS, WAIT_STEP_MS } from './constants.js'
import type { EnvironmentOptions, Environments } from './environment.js'
import { returnsOf, type TravelPlan, type Travels } from '../values/index.js'
import { notesOf } from './notes.js'
import { offeredChoice } from './offered.js'
import type { OpenNotebook } from './open-notebook.js'
import { prepare } from './prepare.js'
import type { RemoteTask } from './remote-task.js'
import type { Agreements, EnvironmentQuestion, KeptPlace, Questions, TravelChoice } from './questions.js'
import { requestFor, type RunKind, type RunSettings } from './request.js'
import type { Tasks } from './tasks.js'
import { Twice, affordTwice } from './twice.js'
import { isEmpty, whyNotCells } from './why-not.js'

export interface RunnerComponents {
  tasks: Tasks
  /** Where a notebook's cells go; undefined: each run gets a machine of its own. */
  kept: (notebook: OpenNotebook) => KeptPlace | undefined
  connection: Connection
  environments: Environments
  travels: Travels
  questions: Questions
  agreements: Agreements
  /** A sentence that needs no answer. */
  say: (message: string) => void
  now: () => number
}

export interface RunOptions {
  /** Limits for this run alone, e.g. more memory after it ran out. */
  settings?: Partial<RunSettings>
  /** Run the cells as they are: the user was asked before. */
  asked?: boolean
  /** Where no machine matches, wait for one. */
  wait?: boolean
  /** Packages to add besides what the code says, by their names. */
  add?: readonly string[]
  /** Show the quote even where the user need not be asked. */
  ask?: boolean
  /** Run it two times and compare; always asked about, for it costs twice. */
  twice?: boolean
}

/** From the button to a task that is on its way. */
export class Runner {
  /** Notes that the user has seen in this page, by cell source: not asked about twice. */
  readonly #seen = new Set<string>()
  /** Addresses that stood in a quote: none is fetched before the user saw it. */
  readonly #told = new Set<string>()

  constructor(private readonly components: RunnerComponents) {}

  /** Runs cells remotely. Whatever goes wrong is shown in the cells' lines; never throws. */
  async run(notebook: OpenNotebook, chosen: readonly string[], kind: RunKind, options: RunOptions = {}): Promise<void> {
    const all = codeCells(notebook.model)
    const selected = all.filter(({ id }) => chosen.includes(id))
    const why = whyNotCells(selected, languageOf(notebook.model))
    if (why !== undefined) return this.components.say(`${why}.`)
    const kept = isPlain(options) ? this.components.kept(notebook) : undefined
    const needsOf = (ids: readonly string[]): Needed => kept?.needs(ids) ?? neededCells(all, ids)
    const needed = needsOf(chosen)
    let plan = await this.look(notebook, selected, needed)
    const covered = needed.missing.every(({ name, cell }) => cell === undefined || isThere(plan, name))
    const ids = covered ? chosen : await this.#withNeeded(notebook, all, selected, needed, kind, options)
    if (ids === undefined) return
    const cells = all.filter(cell => ids.includes(cell.id) && !isEmpty(cell))
    for (const { id, number } of cells) {
      const busy = notebook.occupied(id)
      if (busy !== undefined) return this.components.say(`Cell ${number} ${BUSY[busy]}`)
    }
    if (this.components.connection.client === null) {
      this.#fail(notebook, cells, new PekkaError('NOT_CONNECTED'))
      return this.components.questions.connect()
    }
    // With more cells, fewer values are needed.
    if (!covered && ids.length > selected.length) plan = await this.look(notebook, cells, needsOf(ids))
    if (kept !== undefined) return await kept.run(cells, kind, needed, plan)
    await this.#send(notebook, cells, kind, options, needed, plan)
  }

  /** Stops the tasks of some cells. */
  async cancel(tasks: readonly RemoteTask[]): Promise<void> {
    for (const task of tasks) {
      try {
        await this.components.tasks.cancel(task)
      } catch (error) {
        this.components.say(`Cancelling failed. ${asPekkaError(error).message}`)
      }
    }
  }

  async #withNeeded(
    notebook: OpenNotebook,
    all: CodeSource[],
    selected: CodeSource[],
    needed: Needed,
    kind: RunKind,
    options: RunOptions
  ): Promise<readonly string[] | undefined> {
    const chosen = selected.map(({ id }) => id)
    // Of a whole notebook nothing above it can help.
    if (kind === 'notebook' || options.asked === true) return chosen
    const filled = selected.filter(cell => !isEmpty(cell)).length
    const numberOf = (id: string): number => all.find(cell => cell.id === id)?.number ?? 0
    const sentence = needsSentence(needed, filled, numberOf)
    if (sentence === undefined) return chosen
    const more = all.filter(({ id }) => needed.run.includes(id) && !chosen.includes(id))
    const answer = await this.components.questions.needs({ notebook, sentence, more, chosen: filled })
    if (answer === undefined) return undefined
    return answer === 'all' ? needed.run : chosen
  }

  async #send(
    notebook: OpenNotebook,
    cells: CodeSource[],
    kind: RunKind,
    options: RunOptions,
    needed: Needed,
    plan: TravelPlan
  ): Promise<void> {
    const { tasks, connection, agreements, questions, now } = this.components
    const ids = cells.map(({ id }) => id)
    const { client } = connection
    if (client === null) return
    let settings = { ...agreements.settings(), ...options.settings }
    let wait = options.wait === true
    notebook.before(ids, { kind: 'preparing' })
    try {
      const names = cells.map(({ source }) => analyse(source))
      const chosen = await this.environment(notebook, cells, settings)
      let { choice } = chosen
      settings = { ...settings, image: choice.image }
      const { hints, asking } = notesOf(names, plan, choice)
      const travel: TravelChoice = { plan, chosen: ticksOf(notebook, ids) }
      const numberOf = this.#numbers(notebook)
      const addresses = addressRows(readAddresses(codeCells(notebook.model), ids), numberOf, ids.length > 1)
      const goes = [...plan.rows, ...addresses].map(({ id, cannot }) => `${id} ${cannot ?? ''}`)
      const key = [ids.join(), ...asking, ...goes].join('\n')
      const unseen = asking.length + goes.length > 0 && !this.#seen.has(key)
      const silent =
        (options.asked === true && addresses.every(({ id }) => this.#told.has(id))) ||
        (options.ask !== true && !options.twice && !unseen && agreements.silent(client.identity.bridge, settings.cap))
      if (!silent || choice.questions.length > 0) {
        notebook.before(ids, { kind: 'asking' })
        const anchor = ids.at(-1) ?? ''
        const answer = await questions.quote({
          ...{ notebook, anchor, cells, kind, settings, notes: hints, environment: chosen, travel, addresses },
          runs: options.twice === true ? 2 : 1,
          price: wanted => client.quote(wanted),
          why: this.why(client)
        })
        if (answer === undefined) return notebook.before(ids, undefined)
        settings = answer.settings
        choice = answer.choice
        wait ||= answer.wait
        this.#decided(notebook, cells, chosen.options, answer.environment)
        this.#seen.add(key)
        for (const { id } of addresses) this.#told.add(id)
        travel.chosen = answer.chosen
        keepTicks(notebook, ids, answer.chosen)
        // What was agreed to for two runs says nothing of one.
        if (options.twice !== true) await agreements.agree(client.identity.bridge, answer)
        notebook.before(ids, { kind: 'preparing' })
      }
      const request = requestFor(cells, kind, notebook.context.path, settings)
      if (options.twice === true) await affordTwice(client, settings.cap)
      const ask = (): Promise<Quote> => client.quote(settings)
      const quote = wait ? await this.#wait(notebook, ids, ask) : await ask()
      if (quote === undefined) return notebook.before(ids, undefined)
      const { add = [] } = options
      const ready = await prepare(client, quote, { choice, add, addresses, chosen: travel.chosen }, part =>
        notebook.before(ids, part)
      )
      Object.assign(request, ready)
      notebook.before(ids, { kind: 'preparing' })
      const submitted = now()
      const kernel = notebook.context.sessionContext.session?.kernel ?? null
      const twice = options.twice === true
      // A comparison is about what is shown: a clock that is kept in a name differs in every run.
      const returns = returnsOf(agreements.returning(), twice ? [] : names)
      const packed = await this.components.travels.pack({ kernel }, plan, travel.chosen, returns)
      request.travel = packed.travel
      const sent = twice ? Twice.submit(tasks, request, quote) : tasks.submit(request, quote)
      const task = await sent.finally(() => packed.done())
      const shown = task instanceof Twice ? task.first : task
      await notebook.attach(shown, ids, { cells: names, needed, numberOf }, submitted)
      if (task instanceof Twice) void task.compared(numberOf).then(report => questions.compared(report))
    } catch (error) {
      if (!isPekkaError(error)) console.error('A remote run could not be sent', error)
      this.#fail(notebook, cells, asPekkaError(error))
    }
  }

  /** The settings that a run of these cells would have, as far as that is known without asking anybody. */
  glance(notebook: OpenNotebook, ids: readonly string[]): RunSettings {
    const settings = this.components.agreements.settings()
    const cells = codeCells(notebook.model).filter(({ id }) => ids.includes(id))
    const options = this.#wanted(notebook, cells, settings)
    return { ...settings, image: this.components.environments.glance(notebook, cells, options).image }
  }

  /** Why machines don't serve some settings. */
  why(client: PekkaClient): (settings: RunSettings) => Promise<ReturnType<typeof whyNot>> {
    return async wanted => whyNot(await client.market.asks(), requirementsOf(wanted))
  }

  /** By hand: for this run, with the cells, or in the settings; else by the code. */
  async environment(
    notebook: OpenNotebook,
    cells: readonly CodeSource[],
    settings: RunSettings
  ): Promise<EnvironmentQuestion> {
    const { environments } = this.components
    const options = this.#wanted(notebook, cells, settings)
    const market = this.components.connection.client?.market
    const offered = async (choice: ImageChoice, wanted: EnvironmentOptions): Promise<ImageChoice> =>
      await offeredChoice(choice, market, image => environments.choose(notebook, cells, { ...wanted, image }))
    const choose = async (wanted: EnvironmentOptions): Promise<ImageChoice> =>
      await offered(await environments.choose(notebook, cells, wanted), wanted)
    const quick = environments.quick(notebook, cells, options)
    const choice = quick === undefined ? await choose(options) : await offered(quick, options)
    return { choice, options, choose }
  }

  #wanted(notebook: OpenNotebook, cells: readonly CodeSource[], settings: RunSettings): EnvironmentOptions {
    const { environments, agreements } = this.components
    const own = agreements.settings().image
    const here = settings.image === own ? undefined : settings.image
    const image = here ?? environments.byHand(notebook, cells) ?? (own === AUTOMATIC ? undefined : own)
    return { image, answers: environments.answers(notebook) }
  }

  #decided(
    notebook: OpenNotebook,
    cells: readonly CodeSource[],
    before: EnvironmentOptions,
    { image, answers }: EnvironmentOptions
  ): void {
    const { environments } = this.components
    environments.remember(notebook, answers)
    if (image !== before.image) environments.keep(notebook, cells, image)
  }

  /** The price as soon as a machine matches; undefined where that was cancelled. @throws PekkaError NO_MATCH after {@link WAIT_MS} */
  async #wait(notebook: OpenNotebook, ids: readonly string[], ask: () => Promise<Quote>): Promise<Quote | undefined> {
    const stop = new AbortController()
    const until = this.components.now() + WAIT_MS
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        const { code } = asPekkaError(error)
        const none = code === 'NO_MATCH' || code === 'IMAGE_UNKNOWN' || code === 'BRIDGE_UNREACHABLE'
        if (!none || this.components.now() >= until) throw error
      }
      notebook.before(ids, { kind: 'waiting', until, stop })
      if (stop.signal.aborted || !(await pause(WAIT_STEP_MS, stop.signal))) return undefined
    }
  }

  /** What travels with cells. */
  async look(notebook: OpenNotebook, cells: readonly CodeSource[], needed: Needed): Promise<TravelPlan> {
    return await this.components.travels.look({
      // Without the drive of a shared notebook: its files are on the server's own.
      notebook: notebook.context.localPath,
      kernel: notebook.context.sessionContext.session?.kernel ?? null,
      cells,
      names: cells.map(({ source }) => analyse(source)),
      needed,
      numberOf: this.#numbers(notebook)
    })
  }

  #numbers(notebook: OpenNotebook): (id: string) => number {
    return id => codeCells(notebook.model).find(cell => cell.id === id)?.number ?? 0
  }

  #fail(notebook: OpenNotebook, cells: readonly CodeSource[], error: PekkaError): void {
    const ids = cells.map(({ id }) => id)
    notebook.before(ids, { kind: 'failed', error, cells: ids })
  }
}

const BUSY = {
  remote: 'is running remotely. Cancel it first, or wait for it.',
  'other-browser': 'is running remotely from another browser. It can be cancelled there.',
  kernel: 'is running here. Interrupt it first, or wait for it.'
}

/** Whether it may go where a machine is kept: what asks for a machine of another kind gets one of its own. */
const isPlain = ({ settings = {}, wait, add, ask, twice }: RunOptions): boolean =>
  Object.keys(settings).length === 0 && add === undefined && ![wait, ask, twice].includes(true)

/** Whether the kernel has the name. What can't travel is told by the sheet, with a way out. */
const isThere = (plan: TravelPlan, name: string): boolean => plan.values.some(value => value.name === name)

/** Where a cell keeps what the user ticked or unticked by hand. */
const TICKS_KEY = 'pekka-travel'

export function ticksOf(notebook: OpenNotebook, ids: readonly string[]): Map<string, boolean> {
  const ticks = new Map<string, boolean>()
  for (const id of ids) {
    const kept: unknown = modelOf(notebook.model, id)?.getMetadata(TICKS_KEY)
    if (typeof kept !== 'object' || kept === null) continue
    for (const [row, ticked] of Object.entries(kept)) if (typeof ticked === 'boolean') ticks.set(row, ticked)
  }
  return ticks
}

export function keepTicks(notebook: OpenNotebook, ids: readonly string[], ticks: ReadonlyMap<string, boolean>): void {
  const model = modelOf(notebook.model, ids.at(-1) ?? '')
  if (ticks.size > 0) model?.setMetadata(TICKS_KEY, Object.fromEntries(ticks))
  else if (model?.getMetadata(TICKS_KEY) !== undefined) model.deleteMetadata(TICKS_KEY)
}

const requirementsOf = (settings: RunSettings): Parameters<typeof whyNot>[1] => ({
  image: settings.image,
  resources: {
    milliCpus: DEFAULT_MILLI_CPUS,
    memoryBytes: settings.memoryBytes,
    diskBytes: DEFAULT_DISK_BYTES,
    gpu: null
  },
  maxPrice: null,
  only: null,
  avoid: []
})

/** False where it was stopped meanwhile. */
const pause = (ms: number, signal: AbortSignal): Promise<boolean> =>
  new Promise(resolve => {
    const timer = setTimeout(() => resolve(true), ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve(false)
    })
  })
