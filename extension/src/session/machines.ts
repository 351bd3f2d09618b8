import { Signal, type ISignal } from '@lumino/signaling'
import { PekkaError, asPekkaError, fromHex, isPekkaError, type SessionTerms } from '@pekka/node/protocol'
import type { PekkaClient } from '@pekka/node/client'
import { missingRequirements, readAddresses, type ImageChoice, type Needed } from '@pekka/node/scan'
import type { Connection } from '../connection/index.js'
import {
  addressRows,
  codeCells,
  isEmpty,
  isFetched,
  keepTicks,
  prepare,
  requestFor,
  ticksOf,
  type Agreements,
  type CodeSource,
  type KeptPlace,
  type OpenNotebook,
  type Questions,
  type RemoteTask,
  type RunKind,
  type Runner,
  type Tasks
} from '../run/index.js'
import { analyse } from '../scan/index.js'
import { EMPTY_PLAN, returnsOf, type TravelPlan, type Travels } from '../values/index.js'
import { NOTHING_YET, cellsOf, noteAt, sessionOf, sessionRequest, thereOf } from './cells.js'
import { Entries, findKept, type Opening } from './entries.js'
import { KeptMachine } from './kept-machine.js'
import { lateSentences } from './late.js'
import { SESSION_KEY, sessionMetadataJson } from './metadata.js'
import { keptNeeds } from './names.js'

/** What the settings say of kept machines. */
export interface SessionSettings {
  /** Micro-credits for all that runs on one. */
  sessionCap: bigint
  terms: SessionTerms
}

export interface MachinesComponents {
  connection: Connection
  tasks: Tasks
  runner: () => Runner
  travels: Travels
  questions: Questions
  agreements: Agreements & { session(): SessionSettings }
  say: (message: string) => void
  now: () => number
}

/** The machines that are kept for this page's notebooks, one for each at most. */
export class Machines {
  readonly #entries = new Entries<OpenNotebook, KeptMachine>(notebook => this.#changed.emit(notebook))
  /** Of sessions that cells name, also those of before. */
  readonly #known = new Map<string, Promise<KeptMachine>>()
  readonly #used = new Map<OpenNotebook, Set<string>>()
  readonly #seen = new Set<string>()
  /** Addresses that were fetched for a machine, by its id. */
  readonly #fetched = new Map<string, readonly string[]>()
  /** Cells as they were when a machine had all that they ask for. */
  readonly #fitting = new Set<string>()
  readonly #changed = new Signal<this, OpenNotebook>(this)

  constructor(private readonly components: MachinesComponents) {}

  get changed(): ISignal<this, OpenNotebook> {
    return this.#changed
  }

  /** The notebook's machine: one that is kept, or the last until its end was put away. */
  of(notebook: OpenNotebook): KeptMachine | null {
    return this.#entries.machine(notebook)
  }

  opening(notebook: OpenNotebook): Opening | null {
    return this.#entries.opening(notebook)
  }

  /** Where cells of the notebook go; undefined: no machine is kept for it. */
  place(notebook: OpenNotebook): KeptPlace | undefined {
    const machine = this.of(notebook)
    if (machine?.live !== true) return undefined
    return {
      needs: chosen => this.#needs(notebook, machine, chosen),
      run: (cells, kind, needed, plan, stopOnError = true) =>
        this.#run(notebook, machine, cells, kind, { needed, plan, stopOnError })
    }
  }

  /** Finds the machine of a notebook that was opened again, if it is still kept or its loss was not told. */
  async resume(notebook: OpenNotebook): Promise<void> {
    const metadata = sessionOf(notebook)
    const { client } = this.components.connection
    if (metadata === undefined || client === null || this.#entries.has(notebook)) return
    const { task, native } = metadata
    this.#entries.begin(notebook)
    try {
      const machine = await findKept({
        ask: () => client.task(fromHex(task)),
        follow: () => this.#follow(notebook, client, task, native),
        isClosed: () => notebook.context.isDisposed
      })
      if (machine === 'closed') return
      if (machine !== 'over') return this.#adopt(notebook, machine)
      this.#entries.delete(notebook)
      notebook.model.deleteMetadata(SESSION_KEY)
    } catch (error) {
      this.#entries.delete(notebook)
      if (notebook.context.isDisposed) return
      // Of another account, or a bridge that has forgotten it: nobody here can use it.
      // In a notebook that is open in several pages it may be that of another.
      if (isPekkaError(error) && error.code === 'TASK_UNKNOWN') {
        if (!notebook.model.collaborative) notebook.model.deleteMetadata(SESSION_KEY)
      } else console.warn('The kept machine could not be asked', asPekkaError(error).message)
    }
  }

  /** Asks, and keeps a machine for the notebook. Whatever goes wrong is told in the notebook's line. */
  async keep(notebook: OpenNotebook): Promise<boolean> {
    const { client } = this.components.connection
    if (client === null) {
      this.components.questions.connect()
      return false
    }
    if (this.of(notebook)?.live === true || this.#entries.isOpening(notebook)) return true
    // A machine that is over is put away by the next one alone: its line offers to run its cells elsewhere.
    this.#clear(notebook)
    try {
      return (await this.#open(notebook, client)) !== null
    } catch (error) {
      if (!isPekkaError(error)) console.error('A machine could not be kept', error)
      this.#entries.tell(notebook, { kind: 'failed', error: asPekkaError(error) })
      return false
    }
  }

  async letGo(notebook: OpenNotebook): Promise<void> {
    try {
      await this.of(notebook)?.letGo()
    } catch (error) {
      this.components.say(`The machine was not let go. ${asPekkaError(error).message}`)
    }
  }

  /** Stops the cell that runs on the machine; what its cells made stays. */
  async interrupt(notebook: OpenNotebook): Promise<void> {
    const machine = this.of(notebook)
    const running = machine?.running ?? null
    if (machine === null || running === null) return
    try {
      await machine.interrupt(running)
    } catch (error) {
      this.components.say(`The cell was not interrupted. ${asPekkaError(error).message}`)
    }
  }

  /** A fresh Python on the same machine: what runs or waits there is stopped, what cells made is gone. */
  async restart(notebook: OpenNotebook): Promise<void> {
    const machine = this.of(notebook)
    if (machine?.live !== true) return
    try {
      const from = await machine.send({ program: NOTHING_YET, restart: true })
      const { id: task, native } = machine
      notebook.model.setMetadata(SESSION_KEY, sessionMetadataJson({ ...sessionOf(notebook), v: 1, task, native, from }))
      notebook.saveSoon()
    } catch (error) {
      this.components.say(`The machine was not restarted. ${asPekkaError(error).message}`)
    }
  }

  /** Keeps another machine and runs there, in order, all that ran on the last one. */
  async again(notebook: OpenNotebook): Promise<void> {
    const machine = this.of(notebook)
    if (machine === null || machine.live) return
    const cells = cellsOf(notebook, machine.id)
    if (!(await this.keep(notebook)) || cells.length === 0) return
    const place = this.place(notebook)
    const ids = cells.map(({ id }) => id)
    if (place === undefined) return
    const needed = place.needs(ids)
    const plan = await this.components.runner().look(notebook, cells, needed)
    // As they ran there: one after the other, whatever a cell before had come to.
    await place.run(cells, cells.length === 1 ? 'cell' : 'selection', needed, plan, false)
  }

  /** Puts the end of the last machine away; what went wrong with the next one before it. */
  dismiss(notebook: OpenNotebook): void {
    if (this.of(notebook)?.live === true || this.#entries.isOpening(notebook)) return
    if (this.opening(notebook) === null) this.#forget(notebook)
    else this.#clear(notebook)
  }

  /** A cell of a session, for a notebook that names it. @throws PekkaError */
  async cell(notebook: OpenNotebook, id: string, place: number): Promise<RemoteTask> {
    const { client } = this.components.connection
    if (client === null) throw new PekkaError('NOT_CONNECTED')
    const metadata = sessionOf(notebook)
    const machine = await this.#follow(notebook, client, id, metadata?.task === id && metadata.native)
    return machine.cell(place, noteAt(notebook, id, place))
  }

  /** The notebook was closed; its machine is kept on. */
  close(notebook: OpenNotebook): void {
    const used = this.#used.get(notebook) ?? []
    this.#entries.delete(notebook)
    this.#used.delete(notebook)
    for (const id of used) {
      // A copy of the notebook may be open beside it.
      if ([...this.#used.values()].some(others => others.has(id))) continue
      void this.#known.get(id)?.then(machine => machine.stop())
      this.#known.delete(id)
    }
  }

  async #open(notebook: OpenNotebook, client: PekkaClient): Promise<KeptMachine | null> {
    const { agreements, questions, runner, tasks } = this.components
    const { sessionCap, terms } = agreements.session()
    const all = codeCells(notebook.model)
    const cells = all.filter(cell => !isEmpty(cell))
    const ids = cells.map(({ id }) => id)
    const numberOf = (id: string): number => all.find(cell => cell.id === id)?.number ?? 0
    let settings = { ...agreements.settings(), cap: sessionCap }
    const environment = await runner().environment(notebook, cells, settings)
    settings = { ...settings, image: environment.choice.image }
    const addresses = addressRows(readAddresses(all, ids), numberOf, true)
    const answer = await questions.quote({
      ...{
        notebook,
        anchor: ids[0] ?? '',
        cells,
        kind: 'notebook' as const,
        settings,
        notes: [],
        environment,
        addresses
      },
      travel: { plan: EMPTY_PLAN, chosen: new Map<string, boolean>() },
      runs: 1,
      keep: terms,
      price: wanted => client.quote({ ...wanted, session: terms }),
      why: runner().why(client)
    })
    if (answer === undefined) return null
    settings = answer.settings
    this.#entries.tell(notebook, { kind: 'sending' })
    const quote = await client.quote({ ...settings, session: terms })
    const request = sessionRequest(notebook.context.path, settings, terms)
    // What all cells of the session share.
    const { choice, chosen } = answer
    const ready = await prepare(client, quote, { choice, addresses, chosen }, part =>
      this.#entries.tell(notebook, part)
    )
    Object.assign(request, ready)
    this.#entries.tell(notebook, { kind: 'sending' })
    const native = settings.nativeNumerics === true
    const sent = await tasks.submit(request, quote)
    const added = missingRequirements(choice)
    const memory = { v: 1 as const, task: sent.id, native, from: 0, ...(added.length > 0 && { added }) }
    notebook.model.setMetadata(SESSION_KEY, sessionMetadataJson(memory))
    this.#fetched.set(
      sent.id,
      addresses.filter(row => isFetched(row, chosen)).map(({ url }) => url)
    )
    notebook.saveSoon()
    const machine = await this.#follow(notebook, client, sent.id, native)
    this.#adopt(notebook, machine)
    return machine
  }

  async #run(
    notebook: OpenNotebook,
    machine: KeptMachine,
    cells: readonly CodeSource[],
    kind: RunKind,
    { needed, plan, stopOnError }: { needed: Needed; plan: TravelPlan; stopOnError: boolean }
  ): Promise<void> {
    const { agreements, travels, now } = this.components
    const ids = cells.map(({ id }) => id)
    notebook.before(ids, { kind: 'preparing' })
    try {
      const names = cells.map(({ source }) => analyse(source))
      const chosen = await this.#agree(notebook, machine, cells, kind, plan)
      if (chosen === undefined) return notebook.before(ids, undefined)
      notebook.before(ids, { kind: 'preparing' })
      const submitted = now()
      const kernel = notebook.context.sessionContext.session?.kernel ?? null
      const returns = returnsOf(agreements.returning(), names)
      const settings = agreements.settings()
      const { program, seed, note } = requestFor(cells, kind, notebook.context.path, settings)
      if (program.kind !== 'cells') throw new TypeError('a notebook has cells')
      const packed = await travels.pack({ kernel }, plan, chosen, returns)
      const place = await this.#send(
        machine,
        { program: { ...program, stopOnError }, ...(seed !== undefined && { seed }) },
        packed
      )
      const numberOf = (id: string): number => codeCells(notebook.model).find(cell => cell.id === id)?.number ?? 0
      await notebook.attach(machine.cell(place, note), ids, { cells: names, needed, numberOf }, submitted)
    } catch (error) {
      if (!isPekkaError(error)) console.error('A cell could not be sent to the kept machine', error)
      notebook.before(ids, { kind: 'failed', error: asPekkaError(error), cells: ids })
    }
  }

  async #send(
    machine: KeptMachine,
    request: Pick<Parameters<KeptMachine['send']>[0], 'program' | 'seed'>,
    { travel, done }: Awaited<ReturnType<Travels['pack']>>
  ): Promise<number> {
    const { client } = this.components.connection
    try {
      if (client === null) throw new PekkaError('NOT_CONNECTED')
      return await machine.send({ ...request, packed: await client.pack(travel) })
    } finally {
      await done()
    }
  }

  /** The machine's price was agreed to; what leaves this computer for the first time is shown before it goes. */
  async #agree(
    notebook: OpenNotebook,
    machine: KeptMachine,
    cells: readonly CodeSource[],
    kind: RunKind,
    plan: TravelPlan
  ): Promise<ReadonlyMap<string, boolean> | undefined> {
    const { agreements, questions, runner } = this.components
    const ids = cells.map(({ id }) => id)
    const kept = ticksOf(notebook, ids)
    const rows = plan.rows.map(({ id, cannot }) => `${id} ${cannot ?? ''}`)
    const { provider, price, image } = machine.snapshot
    const settings = { ...agreements.settings(), ...(image !== null && { image }) }
    const sources = [machine.id, ...cells.map(({ source }) => source)].join('\n')
    if (rows.length === 0 && this.#fitting.has(sources)) return kept
    const environment = await runner().environment(notebook, cells, settings)
    const late = this.#late(notebook, machine, ids, environment.choice)
    if (late.length === 0) this.#fitting.add(sources)
    const key = [machine.id, ids.join(), ...rows, ...late].join('\n')
    if (rows.length + late.length === 0 || this.#seen.has(key)) return kept
    notebook.before(ids, { kind: 'asking' })
    const answer = await questions.quote({
      ...{ notebook, anchor: ids.at(-1) ?? '', cells: [...cells], kind, settings, environment, addresses: [] },
      notes: late,
      travel: { plan, chosen: kept },
      runs: 1,
      on: { provider: provider ?? 'the kept machine', price: price ?? 0n },
      price: () => Promise.reject(new PekkaError('NO_MATCH')),
      why: () => Promise.reject(new PekkaError('NO_MATCH'))
    })
    if (answer === undefined) return undefined
    this.#seen.add(key)
    keepTicks(notebook, ids, answer.chosen)
    return answer.chosen
  }

  #late(notebook: OpenNotebook, machine: KeptMachine, ids: readonly string[], choice: ImageChoice): string[] {
    const memory = sessionOf(notebook)
    const packages = (memory?.task === machine.id ? memory.added : undefined) ?? []
    const began = { packages, addresses: this.#fetched.get(machine.id) ?? null }
    return lateSentences(choice, readAddresses(codeCells(notebook.model), ids), began)
  }

  #needs(notebook: OpenNotebook, machine: KeptMachine, chosen: readonly string[]): Needed {
    const there = thereOf(notebook, machine.id)
    return keptNeeds(codeCells(notebook.model), chosen, id => there.has(id))
  }

  #follow(notebook: OpenNotebook, client: PekkaClient, id: string, native: boolean): Promise<KeptMachine> {
    const used = this.#used.get(notebook) ?? new Set()
    this.#used.set(notebook, used.add(id))
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const { tasks, now } = this.components
    const task = fromHex(id)
    const machine = new KeptMachine(
      { follow: observer => client.session(task, observer), nameOf: provider => tasks.nameOf(provider), now },
      { task, native }
    )
    const following = machine.follow().then(() => machine)
    this.#known.set(id, following)
    following.catch(() => this.#known.delete(id))
    return following
  }

  #adopt(notebook: OpenNotebook, machine: KeptMachine): void {
    machine.changed.connect(() => this.#changed.emit(notebook))
    this.#entries.adopt(notebook, machine)
  }

  /** What was told of a machine that never came. */
  #clear(notebook: OpenNotebook): void {
    if (!this.#entries.clear(notebook)) this.#forget(notebook)
  }

  #forget(notebook: OpenNotebook): void {
    this.#entries.delete(notebook)
    if (!notebook.context.isDisposed && notebook.model.getMetadata(SESSION_KEY) !== undefined)
      notebook.model.deleteMetadata(SESSION_KEY)
    this.#changed.emit(notebook)
  }
}
