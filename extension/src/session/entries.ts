import { isEnded, type PekkaError, type TaskItem } from '@pekka/node/protocol'
import type { Preparing } from '../run/prepare.js'

/** What is told while there is no machine yet. */
export type Opening = Preparing | { kind: 'sending' } | { kind: 'failed'; error: PekkaError }

interface Entry<Machine> {
  machine: Machine | null
  opening: Opening | null
}

/** Which machine is kept for a notebook, and what is told of the next one. One that is over stays known until it is put away. */
export class Entries<Notebook, Machine> {
  readonly #entries = new Map<Notebook, Entry<Machine>>()

  constructor(private readonly changed: (notebook: Notebook) => void) {}

  has(notebook: Notebook): boolean {
    return this.#entries.has(notebook)
  }

  /** One that is kept, or the last. */
  machine(notebook: Notebook): Machine | null {
    return this.#entries.get(notebook)?.machine ?? null
  }

  opening(notebook: Notebook): Opening | null {
    return this.#entries.get(notebook)?.opening ?? null
  }

  /** The next one is on its way. */
  isOpening(notebook: Notebook): boolean {
    const opening = this.opening(notebook)
    return opening !== null && opening.kind !== 'failed'
  }

  /** Nothing is known yet, and it is being asked. */
  begin(notebook: Notebook): void {
    this.#entries.set(notebook, { machine: null, opening: null })
  }

  adopt(notebook: Notebook, machine: Machine): void {
    this.#entries.set(notebook, { machine, opening: null })
    this.changed(notebook)
  }

  /** The machine before stays known until there is another: what ran on it can be run elsewhere. */
  tell(notebook: Notebook, opening: Opening): void {
    this.#entries.set(notebook, { machine: this.machine(notebook), opening })
    this.changed(notebook)
  }

  /** Takes back what was told of a machine that never came. False: nothing is known of this notebook any more. */
  clear(notebook: Notebook): boolean {
    const machine = this.machine(notebook)
    if (machine !== null) this.#entries.set(notebook, { machine, opening: null })
    else this.#entries.delete(notebook)
    this.changed(notebook)
    return machine !== null
  }

  delete(notebook: Notebook): void {
    this.#entries.delete(notebook)
  }
}

/**
 * The machine that a notebook remembers, if it is still kept or its loss was not told. `over`: it ended as it should. `closed`: the
 * notebook was closed meanwhile, and nobody follows it.
 *
 * @throws whatever asking and following do
 */
export async function findKept<Machine>(found: {
  ask: () => Promise<Pick<TaskItem, 'view'>>
  follow: () => Promise<Machine>
  isClosed: () => boolean
}): Promise<Machine | 'over' | 'closed'> {
  const { view } = await found.ask()
  if (found.isClosed()) return 'closed'
  if (view !== null && isEnded(view.state) && view.reason !== 'provider-lost') return 'over'
  const machine = await found.follow()
  return found.isClosed() ? 'closed' : machine
}
