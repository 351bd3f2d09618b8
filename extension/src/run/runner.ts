import { PekkaError, asPekkaError, isPekkaError } from '@pekka/node/protocol'
import type { Quote } from '@pekka/node/client'
import type { Connection } from '../connection/index.js'
import { analyse, neededCells, needsSentence, travelHints, type Needed } from '../scan/index.js'
import { codeCells, languageOf, modelOf, type CodeSource } from './cells.js'
import type { OpenNotebook } from './open-notebook.js'
import type { RemoteTask } from './remote-task.js'
import { requestFor, type RunKind, type RunSettings } from './request.js'
import type { Tasks } from './tasks.js'
import { isEmpty, whyNotCells } from './why-not.js'

/** What the user is asked before a run. Each answers `undefined` where the user left it. */
export interface Questions {
  needs(question: {
    notebook: OpenNotebook
    sentence: string
    /** The cells that would run along, in order. */
    more: CodeSource[]
    /** How many were chosen. */
    chosen: number
  }): Promise<'all' | 'only' | undefined>
  quote(question: {
    notebook: OpenNotebook
    /** The cell beside which to ask. */
    anchor: string
    cells: CodeSource[]
    kind: RunKind
    settings: RunSettings
    notes: string[]
    /** Fetches the price, again every time that it is called. @throws PekkaError */
    price: () => Promise<Quote>
  }): Promise<{ settings: RunSettings; dontAskUnder: bigint | undefined } | undefined>
  /** There is no wallet or bridge. */
  connect(): void
}

/** What was agreed to before, and how a task is asked for; kept in Lab's settings. */
export interface Agreements {
  settings(): RunSettings
  /** Whether a run of at most `cap` on this bridge is begun without asking. */
  silent(bridge: Uint8Array, cap: bigint): boolean
  agree(bridge: Uint8Array, answer: { dontAskUnder: bigint | undefined }): Promise<void>
}

export interface RunnerComponents {
  tasks: Tasks
  connection: Connection
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
}

/** From the button to a task that is on its way. */
export class Runner {
  /** Notes that the user has seen in this page, by cell source: not asked about twice. */
  readonly #seen = new Set<string>()

  constructor(private readonly components: RunnerComponents) {}

  /** Runs cells remotely. Whatever goes wrong is shown in the cells' lines; never throws. */
  async run(notebook: OpenNotebook, chosen: readonly string[], kind: RunKind, options: RunOptions = {}): Promise<void> {
    const all = codeCells(notebook.model)
    const selected = all.filter(({ id }) => chosen.includes(id))
    const why = whyNotCells(selected, languageOf(notebook.model))
    if (why !== undefined) return this.components.say(`${why}.`)
    const needed = neededCells(all, chosen)
    const ids = await this.#withNeeded(notebook, all, selected, needed, kind, options)
    if (ids === undefined) return
    const cells = all.filter(cell => ids.includes(cell.id) && !isEmpty(cell))
    const busy = cells.find(({ id }) => this.#busy(notebook, id))
    if (busy) return this.components.say(this.#busyWords(notebook, busy))
    if (this.components.connection.client === null) {
      this.#fail(notebook, cells, new PekkaError('NOT_CONNECTED'))
      return this.components.questions.connect()
    }
    await this.#send(notebook, cells, kind, options, needed)
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
    needed: Needed
  ): Promise<void> {
    const { tasks, connection, agreements, questions, now } = this.components
    const ids = cells.map(({ id }) => id)
    const { client } = connection
    if (client === null) return
    let settings = { ...agreements.settings(), ...options.settings }
    const resources = (): Parameters<typeof client.quote>[0] => settings
    notebook.before(ids, { kind: 'preparing' })
    try {
      const names = cells.map(({ source }) => analyse(source))
      const notes = travelHints(names)
      const key = `${ids.join()}\n${notes.join('\n')}`
      const unseen = notes.length > 0 && !this.#seen.has(key)
      if (options.asked !== true && (unseen || !agreements.silent(client.identity.bridge, settings.cap))) {
        notebook.before(ids, { kind: 'asking' })
        const anchor = ids.at(-1) ?? ''
        const price = (): Promise<Quote> => client.quote(resources())
        const answer = await questions.quote({ notebook, anchor, cells, kind, settings, notes, price })
        if (answer === undefined) return notebook.before(ids, undefined)
        settings = answer.settings
        this.#seen.add(key)
        await agreements.agree(client.identity.bridge, answer)
        notebook.before(ids, { kind: 'preparing' })
      }
      const request = requestFor(cells, kind, notebook.context.path, settings)
      const quote = await client.quote(resources())
      const submitted = now()
      const task = await tasks.submit(request, quote)
      await notebook.attach(task, ids, { cells: names, needed, numberOf: this.#numbers(notebook) }, submitted)
    } catch (error) {
      if (!isPekkaError(error)) console.error('A remote run could not be sent', error)
      this.#fail(notebook, cells, asPekkaError(error))
    }
  }

  #numbers(notebook: OpenNotebook): (id: string) => number {
    return id => codeCells(notebook.model).find(cell => cell.id === id)?.number ?? 0
  }

  #fail(notebook: OpenNotebook, cells: readonly CodeSource[], error: PekkaError): void {
    const ids = cells.map(({ id }) => id)
    notebook.before(ids, { kind: 'failed', error, cells: ids })
  }

  #busy(notebook: OpenNotebook, id: string): boolean {
    return notebook.isRunning(id) || modelOf(notebook.model, id)?.executionState === 'running'
  }

  #busyWords(notebook: OpenNotebook, { id, number }: CodeSource): string {
    return notebook.isRunning(id)
      ? `Cell ${number} is running remotely. Cancel it first, or wait for it.`
      : `Cell ${number} is running here. Interrupt it first, or wait for it.`
  }
}
