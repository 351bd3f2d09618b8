import type { TaskEvent } from '@pekka/node/protocol'
import type { CellEnd, TaskObserver, TaskPhase, TaskUpdate } from '@pekka/node/client'
// Past the room's index, which needs JupyterLab: this is tested without a page.
import type { Followed } from '../run/remote-task.js'
import { isOver } from '../run/snapshot.js'

export interface CellLogComponents {
  /** Where the session stands. */
  session: () => TaskUpdate
  /** Opens what a cell brought back. */
  open: Followed['open']
  /** Its place in the session. */
  index: number
  /** Calls when what the bridge has of an ended cell has had its time to come. */
  later: (then: () => void) => void
}

/** A cell's output that the bridge has comes within this time of the news that its machine is lost, ms. */
export const REPLAY_MS = 5_000

/** Where a cell stands, by its session and by what it has put out. */
export function cellPhase({ phase }: Pick<TaskUpdate, 'phase'>, cell: { begun: boolean; ended: boolean }): TaskPhase {
  const { begun, ended } = cell
  switch (phase.phase) {
    case 'refused':
    case 'mismatch':
    case 'refunded':
      return phase
    case 'settled':
      // What the ledger's proof says of its session's end is said of it too.
      return ended ? phase : { ...NOT_RUN, ...(phase.proof !== undefined && { proof: phase.proof }) }
    case 'received':
      return ended ? phase : NOT_RUN
    case 'running':
      return ended ? { phase: 'received' } : begun ? phase : { phase: 'starting', provider: phase.provider }
    default:
      return ended ? { phase: 'received' } : phase
  }
}

/** The session ended as it should, before this cell's turn. */
const NOT_RUN: TaskPhase = { phase: 'refunded', reason: 'stopped' }

/**
 * Where a cell stands whose machine is lost, while its end may still be read: by the ledger the cell had ended, and a page that was
 * opened since hears of the loss before it has read a word of its output. Null: there is nothing to wait for.
 */
export function awaitedPhase({ phase, item }: TaskUpdate, index: number, begun: boolean): TaskPhase | null {
  const view = item?.view ?? null
  const attempt = view?.attempts.at(-1)
  if (phase.phase !== 'refunded' || view === null || attempt === undefined) return null
  if ((attempt.session?.cells ?? 0) <= index) return null
  const { provider } = attempt
  return begun ? { phase: 'running', provider, attempt: view.attempts.length } : { phase: 'starting', provider }
}

/** The output of one cell of a kept machine, from its beginning, for however many show it. */
export class CellLog {
  #events: TaskEvent[] = []
  #end: CellEnd | null = null
  /** Whether its end may still be read after its machine was lost; null: nobody has asked. */
  #awaits: boolean | null = null
  readonly #followers = new Set<CellFollower>()

  constructor(private readonly components: CellLogComponents) {}

  get begun(): boolean {
    return this.#events.length > 0
  }

  get end(): CellEnd | null {
    return this.#end
  }

  /** Its next events, in order. Its end stands for what a task's `done` is. */
  take(events: readonly TaskEvent[]): void {
    const own: TaskEvent[] = []
    for (const event of events) {
      if (event.type === 'session-cell-end') {
        this.#end = event
        const { index: _, ...end } = event
        own.push({ ...end, type: 'done' })
      } else if (event.type !== 'done') own.push(event)
    }
    for (const event of own) this.#events.push(event)
    for (const follower of this.#followers) if (own.length > 0) follower.take(own)
    this.look()
  }

  /** Another machine begins: what came is of the one before. */
  clear(): void {
    this.#events = []
    this.#end = null
    for (const follower of this.#followers) follower.begin()
  }

  /** The session has moved on. */
  look(): void {
    for (const follower of this.#followers) follower.look()
  }

  follow(observer: TaskObserver): Followed {
    const follower = new CellFollower(
      observer,
      () => this.#current(),
      this.components.open,
      () => this.#followers.delete(follower)
    )
    this.#followers.add(follower)
    if (this.begun) follower.take(this.#events)
    follower.look()
    return follower
  }

  #current(): TaskUpdate {
    const { session, index } = this.components
    const update = session()
    const awaited = this.#end === null && this.#awaits !== false ? awaitedPhase(update, index, this.begun) : null
    if (awaited !== null) this.#wait()
    const phase = awaited ?? cellPhase(update, { begun: this.begun, ended: this.#end !== null })
    return { phase, item: update.item, finished: null }
  }

  /** Not for ever: the bridge may never have got it. */
  #wait(): void {
    if (this.#awaits !== null) return
    this.#awaits = true
    this.components.later(() => {
      this.#awaits = false
      this.look()
    })
  }
}

/** Who hears of one cell. */
class CellFollower implements Followed {
  readonly ended: Promise<TaskUpdate>
  #resolve: (update: TaskUpdate) => void = () => undefined
  #told = ''

  constructor(
    private readonly observer: TaskObserver,
    private readonly update: () => TaskUpdate,
    readonly open: Followed['open'],
    readonly stop: () => void
  ) {
    this.ended = new Promise(resolve => (this.#resolve = resolve))
  }

  get current(): TaskUpdate {
    return this.update()
  }

  begin(): void {
    this.observer.superseded?.(1)
  }

  take(events: TaskEvent[]): void {
    void this.observer.events?.(events)
  }

  look(): void {
    const { current } = this
    const told = JSON.stringify([current.phase, current.item?.view?.transactions.length ?? 0])
    if (told === this.#told) return
    this.#told = told
    this.observer.update?.(current)
    if (isOver(current)) this.#resolve(current)
  }
}
