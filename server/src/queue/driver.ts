import type { Logger } from 'pino'
import {
  PekkaError,
  decodeSigned,
  equalBytes,
  fromHex,
  isEnded,
  toHex,
  type Clock,
  type LedgerAccess,
  type TaskView,
  type TransactionOutcome
} from '@pekka/node/protocol'
import type { LedgerMirror } from '../ledger/index.js'
import type { ProviderLink } from '../links/index.js'
import type { Metrics } from '../metrics.js'
import type { TaskRecord, TaskStore } from '../tasks/index.js'
import type { Candidates } from './candidates.js'
import { BUSY_PATIENCE_MS, LANE_PATIENCE_MS, REFUSED_OFFERS } from './constants.js'

export interface TaskDriverComponents {
  ledger: LedgerAccess
  mirror: LedgerMirror
  store: TaskStore
  candidates: Candidates
  clock: Clock
  metrics: Metrics
  log: Logger
}

/**
 * Moves tasks along. Every step may run twice or be cut off anywhere: an offer's bytes are the same however often they are
 * sent (R13), and what was told to whom is remembered per link.
 */
export class TaskDriver {
  readonly #driving = new Map<string, Promise<void>>()
  /** Offers on their way to the ledger: the tasks of one offer share the answer. */
  readonly #submitting = new Map<string, Promise<TransactionOutcome>>()
  /** Tasks that have come and whose first drive hasn't ended, by lane. */
  readonly #coming = new Map<string, Set<string>>()
  /** Steps of one task follow one another. */
  readonly #steps = new Map<string, Promise<void>>()
  readonly #listeners = new Set<(record: TaskRecord) => void>()
  /** Offers that the ledger refused, the newest: what follows them on their lanes waits for nothing. */
  readonly #refused = new Set<string>()

  constructor(private readonly components: TaskDriverComponents) {}

  /** Told after every change of a task. */
  onChange(listener: (record: TaskRecord) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * What a job does: brings the task's offer onto the ledger. Returns when the ledger has answered.
   * @throws PekkaError LEDGER_UNREACHABLE, RATE_LIMITED (it takes no more just now), LANE_SEQUENCE (the offer before it is still to come):
   *   the queue tries again
   */
  drive(task: Uint8Array, signal?: AbortSignal): Promise<void> {
    const name = toHex(task)
    const running = this.#driving.get(name)
    if (running !== undefined) return running
    const work = this.#drive(task, signal).finally(() => {
      this.#driving.delete(name)
      this.#arrived(task)
    })
    this.#driving.set(name, work)
    return work
  }

  /**
   * Drives a task that has just come without waiting for its job, where it is the only one of its lane on the way: of several the
   * queue keeps the order, which the ledger asks of a lane. The job, which outlives this process and tries again, then finds it
   * driven. Spares a click two round trips to Redis (8 to 20 ms).
   */
  async hurry(task: Uint8Array): Promise<void> {
    const record = this.components.store.live(task)
    if (record === undefined) return
    const lane = laneOf(record)
    const coming = this.#coming.get(lane) ?? new Set<string>()
    this.#coming.set(lane, coming.add(toHex(task)))
    if (coming.size === 1) await this.drive(task)
  }

  /** The ledger says how the task stands. */
  see(view: TaskView): Promise<void> {
    return this.#step(view.task, async () => {
      const record = this.components.store.live(view.task) ?? (await this.components.store.get(view.task))
      // Somebody else's; or one whose id another account took.
      if (record === null || !equalBytes(record.account, view.account) || !equalBytes(record.lane, view.lane)) return
      if (record.view !== null && isOlder(view, record.view)) return
      if (record.view === null) this.components.metrics.offerSeconds.observe((this.#now() - record.submittedAt) / 1000)
      const next = this.components.store.update(record, { view, bridge: 'on-ledger', code: null }, this.#now())
      await this.components.candidates.update(next, view, this.components.mirror.now.contractTime)
      this.#changed(next)
    })
  }

  /** Contract time has moved: windows may have opened. */
  async tick(contractTime: number): Promise<void> {
    for (const name of this.components.candidates.due(contractTime)) {
      await this.#step(fromHex(name), async () => {
        const record = this.components.store.live(fromHex(name))
        if (record === undefined || record.view === null) return this.components.candidates.forget(fromHex(name))
        await this.components.candidates.handOut(record, record.view, contractTime)
      })
    }
  }

  async arrived(link: ProviderLink, resume: Uint8Array[]): Promise<void> {
    await this.components.candidates.arrived(link, resume, this.components.mirror.now.contractTime)
  }

  /** Reads all live tasks from the ledger anew: after a pause, what was missed. */
  async reconcile(): Promise<void> {
    for (const record of this.components.store.open()) {
      if (record.bridge === 'queued') continue
      const view = await this.components.ledger.task(record.task)
      if (view !== null) await this.see(view)
    }
  }

  async #drive(task: Uint8Array, signal?: AbortSignal): Promise<void> {
    const { store, candidates } = this.components
    const record = store.live(task)
    // A job for what we don't know is forged or late (I6); one that is on the ledger needs no more driving.
    if (record === undefined || record.bridge !== 'queued') return
    const transaction = await store.offer(record.offer)
    if (transaction === null) return
    candidates.announce(record, transaction, record.inline ? await store.bundle(task) : null)
    const outcome = await this.#submit(record.offer, transaction, signal)
    if (outcome.status === 'applied') {
      // The commit that carries it came first or is on its way; if it gets lost, the sweeper asks again.
      const { connected, now } = this.components.mirror
      if (connected && (store.live(task)?.view !== null || now.index < outcome.index)) return
      const view = await this.components.ledger.task(task, signal)
      if (view !== null) await this.see(view)
      return
    }
    // Refused or failed; but an earlier offer with this id may stand on the ledger, and then it counts (R13).
    const view = await this.components.ledger.task(task, signal)
    if (view !== null && equalBytes(view.account, record.account) && equalBytes(view.lane, record.lane))
      return this.see(view)
    if (outcome.code === 'LANE_SEQUENCE' && this.#cameTooEarly(record, transaction, outcome.data))
      throw new PekkaError('LANE_SEQUENCE', outcome.data)
    // It hasn't entered: the same bytes may, once there is room (R29, R30). A failed one has used up its place.
    const busy = outcome.status === 'refused' && outcome.code === 'RATE_LIMITED'
    if (busy && this.#now() - record.submittedAt < BUSY_PATIENCE_MS) throw new PekkaError('RATE_LIMITED')
    await this.#refuse(record, outcome.code)
  }

  /**
   * Whether the ledger only missed the lane's offer before this one, and that one may still come: it waits here, or is being sent.
   * The ledger itself waits for it two seconds, which is less than a busy machine may take.
   */
  #cameTooEarly(record: TaskRecord, transaction: Uint8Array, data: Record<string, unknown>): boolean {
    const { sequence, previous } = decodeSigned(transaction).transaction
    if (previous === null || !(Number(data['expected']) < sequence) || this.#refused.has(toHex(previous))) return false
    if (this.#now() - record.submittedAt < LANE_PATIENCE_MS) return true
    return this.components.store.open().some(one => one.bridge === 'queued' && equalBytes(one.offer, previous))
  }

  #arrived(task: Uint8Array): void {
    const name = toHex(task)
    for (const [lane, coming] of this.#coming) if (coming.delete(name) && coming.size === 0) this.#coming.delete(lane)
  }

  #refuse(record: TaskRecord, code: string): Promise<void> {
    return this.#step(record.task, async () => {
      const now = this.components.store.live(record.task)
      // Sent again meanwhile with another signature: that one decides.
      if (now === undefined || now.bridge !== 'queued' || !equalBytes(now.offer, record.offer)) return
      const { length } = now.candidates
      this.components.log.info({ task: toHex(record.task), code, candidates: length }, 'the ledger refused an offer')
      this.components.metrics.tasksRefused.inc({ code })
      this.components.candidates.forget(record.task)
      this.#remember(record.offer)
      this.#changed(this.components.store.update(now, { bridge: 'refused', code }, this.#now()))
    })
  }

  #remember(offer: Uint8Array): void {
    this.#refused.add(toHex(offer))
    if (this.#refused.size <= REFUSED_OFFERS) return
    for (const oldest of this.#refused) {
      this.#refused.delete(oldest)
      return
    }
  }

  #submit(offer: Uint8Array, transaction: Uint8Array, signal?: AbortSignal): Promise<TransactionOutcome> {
    const name = toHex(offer)
    const running = this.#submitting.get(name)
    if (running !== undefined) return running
    const work = this.components.ledger.submit(transaction, signal).finally(() => this.#submitting.delete(name))
    this.#submitting.set(name, work)
    return work
  }

  #step(task: Uint8Array, work: () => Promise<void>): Promise<void> {
    const name = toHex(task)
    const step = (this.#steps.get(name) ?? Promise.resolve()).then(work)
    const settled = step.catch(error =>
      this.components.log.error({ err: error, task: name }, 'a step of a task failed')
    )
    this.#steps.set(name, settled)
    void settled.then(() => {
      if (this.#steps.get(name) === settled) this.#steps.delete(name)
    })
    return step
  }

  #changed(record: TaskRecord): void {
    for (const listener of this.#listeners) listener(record)
  }

  #now(): number {
    return this.components.clock.now()
  }
}

/** An answer to a question of ours may be overtaken by a commit that the ledger made after it. */
const isOlder = (view: TaskView, known: TaskView): boolean =>
  view.since < known.since || (view.since === known.since && view.transactions.length < known.transactions.length)

/** Whether the sweeper should ask about it: the ledger's own timers may have moved it since. */
export const mayHaveMoved = (view: TaskView, contractTime: number): boolean =>
  !isEnded(view.state) && view.deadline !== null && view.deadline < contractTime

const laneOf = ({ account, lane }: TaskRecord): string => `${toHex(account)}/${toHex(lane)}`
