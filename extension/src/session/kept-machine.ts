import { Signal, type ISignal } from '@lumino/signaling'
import { asPekkaError, equalBytes, toHex, type EventOf, type RunHeader, type TaskEvent } from '@pekka/node/protocol'
import type { CellRequest, RemoteSession, SessionObserver, TaskNote, TaskUpdate } from '@pekka/node/client'
// Past the rooms' indexes, which need JupyterLab: this is tested without a page.
import { RemoteTask } from '../run/remote-task.js'
import { isOver } from '../run/snapshot.js'
import { CellLog, REPLAY_MS } from './cell-log.js'
import { machineSnapshot, type MachineSnapshot } from './snapshot.js'

export interface KeptMachineComponents {
  /** Follows the session from its beginning. */
  follow: (observer: SessionObserver) => Promise<RemoteSession>
  nameOf: (provider: Uint8Array) => string | undefined
  now: () => number
}

export interface KeptMachineInit {
  task: Uint8Array
  /** See SessionMetadata. */
  native: boolean
}

/** A machine that is kept for a notebook (R33), as this page follows it: its cells' output, and where it stands. */
export class KeptMachine {
  readonly id: string
  #session: RemoteSession | null = null
  #update: TaskUpdate = { phase: { phase: 'sending' }, item: null, finished: null }
  #header: RunHeader | null = null
  #startedAt: number | null = null
  #lettingGo = false
  #done: EventOf<'done'> | null = null
  /** The cell that runs, and since when; null: none does. */
  #running: { index: number; since: number } | null = null
  #lastEndAt: number | null = null
  #wallMs = 0
  #sent = 0
  readonly #logs = new Map<number, CellLog>()
  readonly #tasks = new Map<number, RemoteTask>()
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()
  readonly #changed = new Signal<this, void>(this)

  constructor(
    private readonly components: KeptMachineComponents,
    private readonly init: KeptMachineInit
  ) {
    this.id = toHex(init.task)
  }

  /** It stands elsewhere, or costs more. */
  get changed(): ISignal<this, void> {
    return this.#changed
  }

  get native(): boolean {
    return this.init.native
  }

  /** It takes cells, or will. */
  get live(): boolean {
    return !isOver(this.#update) && this.#update.phase.phase !== 'stopping' && !this.#lettingGo
  }

  /** Why it is over, as far as its own words say. */
  get snapshot(): MachineSnapshot {
    const { provider } = this.#header ?? this.#update.item?.view?.attempts.at(-1) ?? { provider: null }
    return machineSnapshot(
      {
        task: this.id,
        update: this.#update,
        provider: provider && (this.components.nameOf(provider) ?? toHex(provider).slice(0, 8)),
        startedAt: this.#startedAt,
        wallMs: this.#wallMs,
        runningSince: this.#running?.since ?? null,
        lastEndAt: this.#lastEndAt,
        ends: this.#session?.ends.length ?? 0,
        queued: Math.max(0, this.#sent + 1 - (this.#session?.ends.length ?? 0) - (this.#running === null ? 0 : 1)),
        lettingGo: this.#lettingGo,
        done: this.#done
      },
      this.components.now()
    )
  }

  /** Place of the cell that runs. */
  get running(): number | null {
    return this.#running?.index ?? null
  }

  /** Follows it until `stop`. @throws PekkaError */
  async follow(): Promise<void> {
    this.#session = await this.components.follow({
      run: header => this.#begin(header),
      events: (index, events) => this.#take(index, events),
      update: update => this.#tell(update)
    })
    this.#session.follower.ended.catch((error: unknown) =>
      console.error('A kept machine can no longer be followed', asPekkaError(error).message)
    )
  }

  /** The run of a cell, for its line and its outputs. */
  cell(index: number, note: TaskNote | null): RemoteTask {
    const known = this.#tasks.get(index)
    if (known !== undefined) return known
    const { nameOf, now } = this.components
    const task = new RemoteTask({ nameOf, now }, this.init.task, now(), {
      index,
      follow: observer => Promise.resolve(this.#log(index).follow(observer)),
      interrupt: () => this.interrupt(index)
    })
    task.note = note
    this.#tasks.set(index, task)
    return task
  }

  /** Sends it the next cell. @returns its place. @throws PekkaError SESSION_ENDED, CELL_REFUSED, BRIDGE_UNREACHABLE */
  async send(request: CellRequest): Promise<number> {
    const index = await this.#followed.send({ ...request, ...(this.native && { numeric: 'native' as const }) })
    this.#sent = Math.max(this.#sent, index)
    this.#changed.emit()
    return index
  }

  /** Stops a cell and keeps the machine. @throws PekkaError */
  async interrupt(index: number): Promise<void> {
    await this.#followed.interrupt(index)
  }

  /** Lets the machine go. Resolves when the ledger has it. @throws PekkaError */
  async letGo(): Promise<void> {
    if (this.#lettingGo || isOver(this.#update)) return
    this.#lettingGo = true
    this.#changed.emit()
    try {
      await this.#followed.close()
    } catch (error) {
      this.#lettingGo = asPekkaError(error).code === 'TASK_STATE'
      this.#changed.emit()
      if (!this.#lettingGo) throw error
    }
  }

  /** Follows it no longer; it goes on. */
  stop(): void {
    this.#session?.stop()
    for (const timer of this.#timers) clearTimeout(timer)
    Signal.clearData(this)
  }

  get #followed(): RemoteSession {
    if (this.#session === null) throw new TypeError('the machine is not followed yet')
    return this.#session
  }

  #begin(header: RunHeader): void {
    if (this.#header !== null && !equalBytes(this.#header.runKey, header.runKey))
      for (const log of this.#logs.values()) log.clear()
    this.#header = header
    this.#running = null
    this.#wallMs = 0
    this.#startedAt ??= this.components.now()
    this.#changed.emit()
  }

  #take(index: number, events: readonly TaskEvent[]): void {
    const now = this.components.now()
    for (const event of events) {
      if (event.type === 'done') this.#done = event
      else if (event.type === 'session-cell-end') {
        this.#running = null
        this.#wallMs += event.usage.wallMs
        this.#lastEndAt = now
      } else {
        // A reloaded page reads all of it at once: the latest event tells best when the cell began.
        const since = Math.min(now - event.t, this.#running?.since ?? Infinity)
        this.#running = { index: this.#running?.index ?? index, since }
      }
    }
    this.#sent = Math.max(this.#sent, this.#running?.index ?? 0)
    this.#log(index).take(events)
    this.#changed.emit()
  }

  #tell(update: TaskUpdate): void {
    this.#update = update
    for (const log of this.#logs.values()) log.look()
    this.#changed.emit()
  }

  #log(index: number): CellLog {
    const known = this.#logs.get(index)
    if (known !== undefined) return known
    const log = new CellLog({
      session: () => this.#update,
      open: (returned, whole) => this.#followed.follower.open(returned, whole),
      index,
      later: then => {
        const timer = setTimeout(() => {
          this.#timers.delete(timer)
          then()
        }, REPLAY_MS)
        this.#timers.add(timer)
      }
    })
    this.#logs.set(index, log)
    return log
  }
}
