import {
  CellChain,
  INLINE_BUNDLE_BYTES,
  PekkaError,
  cellTakenSchema,
  cellsSchema,
  createBundle,
  encodeBundle,
  interruptedSchema,
  isPekkaError,
  sealCell,
  signCell,
  signInterrupt,
  toCid,
  toHex,
  type CellSubmit,
  type EventOf,
  type NumericPath,
  type Primitives,
  type Program,
  type RunHeader,
  type TaskEvent
} from '../../protocol/index.js'
import type { Identity } from '../credentials.js'
import type { TaskFollower, TaskObserver, TaskUpdate } from './follow.js'
import type { Http } from '../transport.js'
import type { Packed } from './travel.js'

export interface RemoteSessionComponents {
  http: Http
  authorised: <T>(work: (token: string) => Promise<T>) => Promise<T>
  primitives: Primitives
  identity: Identity
  /** Signs on the lane one after another: two tabs must not send different cells to one place. */
  exclusive: <T>(work: () => Promise<T>) => Promise<T>
  /** Follows the task from its beginning. */
  follow: (observer: TaskObserver) => Promise<TaskFollower>
  /** Ends the session on the ledger. */
  close: () => Promise<void>
}

/** Receives what a session says. */
export interface SessionObserver {
  /** A machine begins: what was said of cells before is of another one. */
  run?(header: RunHeader): void
  /** Events of a cell of the session, in order; 0 is the offer's own program. */
  events?(index: number, events: TaskEvent[]): void | Promise<void>
  update?(update: TaskUpdate): void
}

/** What a later cell of a session runs. Packages and inputs are those of the first. */
export interface CellRequest {
  program: Extract<Program, { kind: 'cells' }>
  /** null: real entropy; undefined: a seed of its own. */
  seed?: number | null
  numeric?: NumericPath
  /** Values and files that travel along, packed. */
  packed?: Packed
  /** Begin with a fresh kernel and an empty working directory; what runs or waits there is stopped. */
  restart?: boolean
}

export type CellEnd = EventOf<'session-cell-end'>

/** Cells that are interrupted at once: the ends of older ones may only not have been read yet. */
const MAX_INTERRUPTED = 16

interface Awaited {
  holds: () => boolean
  resolve: () => void
  reject: (error: PekkaError) => void
}

/** A kept machine, as its owner sees it (R33): sends it cells, and hears of each what it put out. */
export class RemoteSession {
  #follower: TaskFollower | null = null
  #header: RunHeader | null = null
  readonly #ends: CellEnd[] = []
  #waiting: Awaited[] = []
  #ended: TaskUpdate | null = null

  private constructor(
    private readonly components: RemoteSessionComponents,
    readonly task: Uint8Array,
    private readonly observer: SessionObserver
  ) {}

  /** Follows a session from its beginning; stop it when nobody looks any more. */
  static async follow(
    components: RemoteSessionComponents,
    task: Uint8Array,
    observer: SessionObserver
  ): Promise<RemoteSession> {
    const session = new RemoteSession(components, task, observer)
    session.#follower = await components.follow({
      run: header => {
        session.#header = header
        session.#ends.length = 0
        observer.run?.(header)
        session.#look()
      },
      events: events => session.#events(events),
      update: update => observer.update?.(update)
    })
    const over = (update: TaskUpdate | null): void => {
      session.#ended = update ?? session.#follower?.current ?? null
      session.#look()
    }
    session.#follower.ended.then(over, () => over(null))
    return session
  }

  get follower(): TaskFollower {
    if (this.#follower === null) throw new TypeError('the session is not followed yet')
    return this.#follower
  }

  /** The signed header of the session's run; null: it hasn't begun. */
  get header(): RunHeader | null {
    return this.#header
  }

  /** How each cell ended, in order. */
  get ends(): readonly CellEnd[] {
    return this.#ends
  }

  /**
   * Resolves when the session's first cell has ended and it can take others.
   * @throws PekkaError SESSION_ENDED: it is over
   */
  async ready(): Promise<void> {
    await this.ended(0)
  }

  /** How cell `index` ended, when it has. @throws PekkaError SESSION_ENDED: the session ended without it */
  async ended(index: number): Promise<CellEnd> {
    await this.#until(() => this.#ends[index] !== undefined)
    const end = this.#ends[index]
    if (end === undefined) throw this.#over()
    return end
  }

  /**
   * Seals and signs the next cell and hands it to the bridge. Resolves with its index when the bridge has it on the disk. The chain
   * is read from the bridge and followed anew, so a second tab or a later start goes on where the first left off.
   * @throws PekkaError SESSION_ENDED, CELL_REFUSED (two sent at once: send again), BRIDGE_UNREACHABLE
   */
  async send(request: CellRequest): Promise<number> {
    await this.ready()
    const header = this.#header
    if (header === null || this.#ended !== null) throw this.#over()
    try {
      return await this.components.exclusive(() => this.#send(header, request))
    } catch (error) {
      // The bridge knows of the end before it has been followed to here.
      throw isPekkaError(error) && error.code === 'TASK_STATE' ? this.#over() : error
    }
  }

  /**
   * Stops a cell, as Ctrl-C does; the session goes on, with what its cells have made. One that hasn't begun is left out, one that
   * has ended stays.
   * @throws PekkaError SESSION_ENDED, BRIDGE_UNREACHABLE
   */
  async interrupt(index: number): Promise<void> {
    const { http, authorised, identity } = this.components
    const header = this.#header
    if (header === null || this.#ended !== null) throw this.#over()
    const { attempt, run } = header
    const binding = { network: identity.network, task: this.task, attempt, run }
    const body = await signInterrupt(binding, index, identity.signer)
    const path = `/v1/tasks/${toHex(this.task)}/interrupts`
    await authorised(token => http.request('POST', path, interruptedSchema, { body, token }))
  }

  /**
   * Stops what runs and what waits. @returns how many cells that may be: those of which no end was read yet
   * @throws PekkaError SESSION_ENDED, BRIDGE_UNREACHABLE
   */
  async interruptAll(): Promise<number> {
    const { http, authorised } = this.components
    const path = `/v1/tasks/${toHex(this.task)}/cells`
    const { cells } = await authorised(token => http.request('GET', path, cellsSchema, { token }))
    const first = Math.max(this.#ends.length, cells.length + 1 - MAX_INTERRUPTED)
    for (let index = first; index <= cells.length; index++) await this.interrupt(index)
    return Math.max(0, cells.length + 1 - first)
  }

  /** No more cells: the machine is let go of, and the rest of the cap comes back. Resolves when the ledger has taken it. */
  close(): Promise<void> {
    return this.components.close()
  }

  /** Hears nothing any more; the session goes on. */
  stop(): void {
    this.#follower?.stop()
  }

  async #send(header: RunHeader, { program, seed, numeric, packed, restart }: CellRequest): Promise<number> {
    const { http, authorised, primitives, identity } = this.components
    const path = `/v1/tasks/${toHex(this.task)}/cells`
    const listed = await authorised(token => http.request('GET', path, cellsSchema, { token }))
    if (listed.attempt !== header.attempt || listed.run !== header.run)
      throw new PekkaError('CELL_REFUSED', { issue: 'the bridge names another run' })
    const binding = { network: identity.network, task: this.task, attempt: header.attempt, run: header.run }
    const chain = new CellChain(binding, identity.signer.publicKey, primitives.verifier)
    for (const cell of listed.cells) await chain.add(cell)
    // A bridge that leaves out cells that have run already would have us sign two for one place.
    if (chain.state.count + 1 < this.#ends.length)
      throw new PekkaError('CELL_REFUSED', { issue: 'the bridge left cells out' })
    const place = chain.next
    const { parts = [], ...travels } = packed ?? {}
    const drawn = seed === undefined ? new DataView(primitives.random.bytes(4).buffer).getUint32(0) : seed
    const bundle = {
      ...createBundle(program, drawn, numeric),
      ...travels,
      ...(restart === true && { restart: true as const })
    }
    const sealed = await sealCell(primitives, header.runKey, place, encodeBundle(bundle))
    const cell = await signCell(place, sealed, identity.signer)
    const inline = sealed.length <= INLINE_BUNDLE_BYTES
    if (!inline)
      await authorised(token => http.bytes('PUT', `/v1/blobs/${toCid(cell.hash, 'raw')}`, { body: sealed, token }))
    const unique = new Map(parts.map(({ hash, size }) => [toHex(hash), { hash, size }]))
    const body: CellSubmit = { cell, sealed: inline ? sealed : null, parts: [...unique.values()] }
    await authorised(token => http.request('POST', path, cellTakenSchema, { body, token }))
    return place.index
  }

  async #events(events: TaskEvent[]): Promise<void> {
    let from = 0
    for (const [at, event] of events.entries()) {
      if (event.type !== 'session-cell-end') continue
      await this.#tell(event.index, events.slice(from, at + 1))
      from = at + 1
      // Cells end in order; a machine that says otherwise isn't believed.
      if (event.index === this.#ends.length) this.#ends.push(event)
      this.#look()
    }
    if (from < events.length) await this.#tell(this.#ends.length, events.slice(from))
  }

  async #tell(index: number, events: TaskEvent[]): Promise<void> {
    await this.observer.events?.(index, events)
  }

  #until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve()
    if (this.#ended !== null) return Promise.reject(this.#over())
    return new Promise((resolve, reject) => this.#waiting.push({ holds, resolve, reject }))
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ holds, resolve, reject }) => {
      if (holds()) resolve()
      else if (this.#ended !== null) reject(this.#over())
      else return true
      return false
    })
  }

  #over(): PekkaError {
    const reason = (this.#ended ?? this.#follower?.current)?.item?.view?.reason ?? null
    return new PekkaError('SESSION_ENDED', { why: WHY[reason ?? ''] ?? 'It was closed' })
  }
}

/** Why a session is over, for people, by the ledger's reason. */
const WHY: Record<string, string> = {
  'provider-lost': 'The machine was lost, and what its cells made with it',
  'no-provider': 'No machine took it',
  cancelled: 'It was cancelled',
  stopped: 'It was stopped'
}
