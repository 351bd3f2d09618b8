import { isEnded, toHex, type Parameters, type TaskView } from '@pekka/node/protocol'
import type { LinkDirectory, ProviderLink } from '../links/index.js'
import type { TaskRecord, TaskStore } from '../tasks/index.js'
import { nextWindow, openCandidates } from './windows.js'

export interface CandidatesComponents {
  store: TaskStore
  links: LinkDirectory
}

/** What a provider has got of a task, over which link. */
interface Told {
  link: ProviderLink
  bundle: boolean
  box: boolean
}

/**
 * Tells providers what concerns them: an offer that names them, the box when their window opens and never before (R3), and
 * what became of a task they were told of.
 */
export class Candidates {
  readonly #told = new Map<string, Map<string, Told>>()
  /** Tasks that wait for a window, with the contract time at which it opens. */
  readonly #waiting = new Map<string, number>()
  readonly #shown = new Map<string, string>()

  constructor(
    private readonly components: CandidatesComponents,
    private readonly parameters: () => Parameters
  ) {}

  /** The first candidate gets offer and bundle while the ledger still decides: opening it needs the box, which waits. */
  announce(record: TaskRecord, transaction: Uint8Array, bundle: Uint8Array | null): void {
    const provider = record.candidates[0]
    const link = provider === undefined ? undefined : this.components.links.of(provider)
    if (link === undefined) return
    const { task } = record
    link.tell({ kind: 'notice', task, transaction, candidate: 0, final: false, box: null, bundle })
    this.#remember(record, { link, bundle: bundle !== null, box: false })
  }

  /** Does what a new state of the task asks for. */
  async update(record: TaskRecord, view: TaskView, contractTime: number): Promise<void> {
    this.#tellState(record, view)
    if (view.state === 'offered') return this.handOut(record, view, contractTime)
    this.#waiting.delete(toHex(record.task))
    if (isEnded(view.state)) this.forget(record.task)
  }

  /** Gives the box to every candidate whose window is open and who hasn't got it over its present link. */
  async handOut(record: TaskRecord, view: TaskView, contractTime: number): Promise<void> {
    const { windowMs } = this.parameters()
    const next = nextWindow(view, contractTime, windowMs)
    if (next === null) this.#waiting.delete(toHex(record.task))
    else this.#waiting.set(toHex(record.task), next)
    for (const candidate of openCandidates(view, contractTime, windowMs)) await this.#give(record, candidate)
  }

  /** Tasks whose next window has opened by `contractTime`. */
  due(contractTime: number): string[] {
    return [...this.#waiting].filter(([, opens]) => opens <= contractTime).map(([task]) => task)
  }

  /** A provider is (back) on a link: what it may have missed. */
  async arrived(link: ProviderLink, resume: Uint8Array[], contractTime: number): Promise<void> {
    const provider = toHex(link.provider)
    const tasks = new Map(resume.map(task => [toHex(task), task]))
    for (const record of this.components.store.open()) {
      if (!record.candidates.some(candidate => toHex(candidate) === provider)) continue
      tasks.set(toHex(record.task), record.task)
    }
    for (const task of tasks.values()) {
      const record = await this.components.store.get(task)
      if (record === null || !record.candidates.some(candidate => toHex(candidate) === provider)) continue
      if (record.view === null) continue
      if (record.view.state === 'offered') await this.handOut(record, record.view, contractTime)
      if (resume.some(held => toHex(held) === toHex(task)) || concerns(record.view, provider)) {
        this.#remember(record, { link, bundle: true, box: true })
        link.tell({ kind: 'state', task: record.view })
      }
    }
  }

  forget(task: Uint8Array): void {
    this.#told.delete(toHex(task))
    this.#shown.delete(toHex(task))
    this.#waiting.delete(toHex(task))
  }

  async #give(record: TaskRecord, candidate: number): Promise<void> {
    const provider = record.candidates[candidate]
    const box = record.boxes[candidate]
    const link = provider === undefined ? undefined : this.components.links.of(provider)
    if (provider === undefined || box === undefined || link === undefined) return
    const known = this.#told.get(toHex(record.task))?.get(toHex(provider))
    const told: Told = known?.link === link ? known : { link, bundle: false, box: false }
    if (told.box) return
    // Marked before anything is awaited: a second event must not send it twice.
    const bundled = told.bundle
    this.#remember(record, { link, bundle: true, box: true })
    const { task } = record
    const transaction = await this.components.store.offer(record.offer)
    if (transaction === null) return
    const bundle = bundled || !record.inline ? null : await this.components.store.bundle(task)
    link.tell({ kind: 'notice', task, transaction, candidate, final: true, box, bundle })
  }

  /** `alive` changes a view every ten seconds; only what a provider must act on is passed on. */
  #tellState(record: TaskRecord, view: TaskView): void {
    const name = toHex(record.task)
    const shown = `${view.state}/${view.attempts.length}/${view.declined.length}/${view.attempts.at(-1)?.ended ?? ''}`
    if (this.#shown.get(name) === shown) return
    this.#shown.set(name, shown)
    const told = [...(this.#told.get(name)?.values() ?? [])].map(({ link }) => link.provider)
    const ran = view.attempts.map(attempt => attempt.provider)
    // Whose `accept` it was knows before us.
    const own = view.state === 'running' ? toHex(view.attempts.at(-1)?.provider ?? new Uint8Array()) : ''
    for (const provider of new Map([...told, ...ran].map(one => [toHex(one), one])).values())
      if (toHex(provider) !== own) this.components.links.of(provider)?.tell({ kind: 'state', task: view })
  }

  #remember(record: TaskRecord, told: Told): void {
    const name = toHex(record.task)
    const all = this.#told.get(name) ?? new Map<string, Told>()
    all.set(toHex(told.link.provider), told)
    this.#told.set(name, all)
  }
}

const concerns = (view: TaskView, provider: string): boolean =>
  view.attempts.some(attempt => toHex(attempt.provider) === provider)
