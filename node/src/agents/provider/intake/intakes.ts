import {
  PekkaError,
  asPekkaError,
  equalBytes,
  fromHex,
  toHex,
  type BridgeMessage,
  type LedgerAccess,
  type SealedPart,
  type TaskView
} from '@pekka/node/protocol'
import { fetchBlob, type NetworkHost } from '@pekka/node/host/network'
import { until, type TaskExtras } from './extras.js'
import {
  INTAKE_LIFE_MS,
  MAX_INTAKES,
  MAX_INTAKE_BYTES,
  PLACE_WAIT_LAST_MS,
  PLACE_WAIT_SHARED_MS
} from '../constants.js'
import {
  openTask,
  readOffer,
  type IntakeComponents,
  type IntakeInit,
  type NamedOffer,
  type OpenedTask
} from './intake.js'
import type { LedgerLane } from '../ledger/ledger-lane.js'
import type { Places } from '../machine/places.js'
import { prefetched } from './travel.js'

type Notice = Extract<BridgeMessage, { kind: 'notice' }>

/** A task that is ours to run: opened, final, with a place taken. */
export interface ReadyTask {
  opened: OpenedTask
  /** Number of the attempt that `accept` will open. */
  attempt: number
  /** Nobody else can be in the way, so it may run before `accept` is final (R1). */
  eager: boolean
  bridge: string
}

export interface IntakesComponents extends IntakeComponents {
  host: NetworkHost
  ledger: LedgerAccess
  lane: LedgerLane
  places: Places
  extras: TaskExtras
  /** Runs the task; the place is given back by whoever calls this. */
  run: (task: ReadyTask) => Promise<void>
  /** Tells the bridge that we don't take a task. */
  decline: (bridge: string, task: Uint8Array, reason: string) => void
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

interface Intake {
  bridge: string
  box: PromiseWithResolvers<Uint8Array>
  final: PromiseWithResolvers<void>
  abort: AbortController
  view: TaskView | null
}

/** Views of offers that name us, kept for notices that come after the ledger's own word. */
const MAX_VIEWS = 2_000

/** An offer is no longer there for us: another has it, or it is over. */
class Gone extends Error {}

/**
 * From a bridge's notice to a task that runs: everything R9 asks for before `accept`. A notice can be wrong in any way; it ends with a
 * line in the log, and with `decline` where the ledger should know.
 */
export class Intakes {
  readonly #intakes = new Map<string, Intake>()
  readonly #views = new Map<string, TaskView>()
  #bytes = 0
  #closed = false

  constructor(
    private readonly components: IntakesComponents,
    private readonly init: IntakeInit
  ) {}

  /** Takes no more, and lets go of what hasn't started. */
  close(): void {
    this.#closed = true
    for (const intake of this.#intakes.values()) intake.abort.abort(new PekkaError('BRIDGE_BUSY', {}))
  }

  notice(bridge: string, notice: Notice): void {
    const id = toHex(notice.task)
    let intake = this.#intakes.get(id)
    if (intake === undefined) {
      if (this.#closed || this.#intakes.size >= MAX_INTAKES) return this.components.decline(bridge, notice.task, 'busy')
      const view = this.#views.get(id) ?? null
      intake = {
        bridge,
        box: Promise.withResolvers(),
        final: Promise.withResolvers(),
        abort: new AbortController(),
        view
      }
      this.#intakes.set(id, intake)
      if (view !== null) intake.final.resolve()
      void this.#serve(id, intake, notice).finally(() => this.#intakes.delete(id))
    }
    if (notice.box !== null) intake.box.resolve(notice.box)
    if (notice.final) intake.final.resolve()
  }

  box(task: Uint8Array, box: Uint8Array): void {
    this.#intakes.get(toHex(task))?.box.resolve(box)
  }

  /**
   * Commits passed unseen: no view that is here is taken for the present any more.
   * @returns ids of the tasks that wait for the ledger's word
   */
  forgetViews(): Uint8Array[] {
    this.#views.clear()
    for (const intake of this.#intakes.values()) intake.view = null
    return [...this.#intakes.keys()].map(fromHex)
  }

  /** What the ledger says of a task that names us. */
  update(view: TaskView): void {
    const id = toHex(view.task)
    const intake = this.#intakes.get(id)
    if (intake !== undefined) intake.view = view
    if (view.state === 'offered') {
      this.#views.set(id, view)
      const [oldest] = this.#views.keys()
      if (this.#views.size > MAX_VIEWS && oldest !== undefined) this.#views.delete(oldest)
      intake?.final.resolve()
    } else {
      this.#views.delete(id)
      intake?.abort.abort(new Gone(view.state))
    }
  }

  async #serve(id: string, intake: Intake, notice: Notice): Promise<void> {
    const { log, decline } = this.components
    const life = setTimeout(() => intake.abort.abort(new Gone('nothing came of it')), INTAKE_LIFE_MS)
    let named: NamedOffer | null = null
    try {
      named = await readOffer(this.components, this.init, notice.transaction, notice.task)
      const opened = await this.#open(intake, notice, named)
      await until(intake.final.promise, intake.abort.signal)
      await this.#start(intake, opened)
    } catch (error) {
      if (error instanceof Gone) return log.info({ task: id, reason: error.message }, 'offer gone')
      const { code, message } = asPekkaError(error)
      log.warn({ task: id, code, err: error }, 'offer declined')
      decline(intake.bridge, notice.task, code)
      // Only an offer that names us can be declined on the ledger; it is free before accept, and counted (R9).
      if (named !== null) await this.#declineOnLedger(intake, notice.task, message)
    } finally {
      clearTimeout(life)
    }
  }

  async #open(intake: Intake, notice: Notice, named: NamedOffer): Promise<OpenedTask> {
    const { signal } = intake.abort
    const { size } = named.offer.bundle
    if (this.#bytes + size > MAX_INTAKE_BYTES) throw new PekkaError('BRIDGE_BUSY', {})
    this.#bytes += size
    try {
      const [bundle, box] = await Promise.all([
        notice.bundle ?? this.#fetch(intake, named),
        until(intake.box.promise, signal)
      ])
      const opened = await openTask(this.components, this.init, named, box, bundle)
      for (const part of prefetched(opened.bundle)) {
        const id = toHex(part.hash)
        if (!opened.parts.has(id)) opened.parts.set(id, await this.fetchPart(intake.bridge, named, part, signal))
      }
      opened.extras = await this.components.extras.prepare(opened, intake.bridge, signal)
      return opened
    } finally {
      this.#bytes -= size
    }
  }

  /** Sealed bytes of a part that travels with the task. @throws PekkaError BLOB_UNKNOWN, LINK_… */
  async fetchPart(
    bridge: string,
    { offer }: NamedOffer,
    part: Pick<SealedPart, 'hash' | 'size'>,
    signal: AbortSignal
  ): Promise<Uint8Array> {
    const name = { task: offer.task, hash: part.hash }
    const bytes = await fetchBlob(this.components.host, bridge, name, part.size, signal)
    if (bytes === null) throw new PekkaError('BLOB_UNKNOWN', {})
    return bytes
  }

  async #fetch(intake: Intake, { offer }: NamedOffer): Promise<Uint8Array> {
    const name = { task: offer.task, hash: offer.bundle.hash }
    const { signal } = intake.abort
    const bytes = await fetchBlob(this.components.host, intake.bridge, name, offer.bundle.size, signal)
    if (bytes === null) throw new PekkaError('BLOB_UNKNOWN', {})
    return bytes
  }

  async #start(intake: Intake, opened: OpenedTask): Promise<void> {
    const { places, run, ledger } = this.components
    const { offer, candidate } = opened
    const last = candidate === offer.candidates.length - 1
    const release = await places.take(intake.abort.signal, last ? PLACE_WAIT_LAST_MS : PLACE_WAIT_SHARED_MS)
    if (release === null) {
      intake.abort.signal.throwIfAborted()
      throw new PekkaError('BRIDGE_BUSY', {})
    }
    try {
      // A bridge's word that an offer is final isn't enough to run it: the ledger's is here already, or it is asked.
      const view = intake.view ?? (await ledger.task(offer.task, intake.abort.signal))
      intake.abort.signal.throwIfAborted()
      if (view === null) throw new Gone('not on the ledger')
      if (view.state !== 'offered') throw new Gone(view.state)
      if (view.attempts.some(one => equalBytes(one.provider, this.init.provider))) throw new Gone('we had our attempt')
      const attempt = view.attempts.length + 1
      const eager = candidate === 0 && attempt === 1
      await run({ opened, attempt, eager, bridge: intake.bridge })
    } finally {
      release()
    }
  }

  async #declineOnLedger(intake: Intake, task: Uint8Array, why: string): Promise<void> {
    try {
      await until(intake.final.promise, AbortSignal.any([intake.abort.signal, AbortSignal.timeout(INTAKE_LIFE_MS)]))
      await this.components.lane.send({ kind: 'decline', task })
    } catch (error) {
      if (!(error instanceof Gone))
        this.components.log.info({ task: toHex(task), why, err: error }, 'decline not posted')
    }
  }
}
