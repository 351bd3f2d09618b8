import {
  PekkaError,
  equalBytes,
  toHex,
  type Bundle,
  type Clock,
  type Done,
  type FailReason,
  type Primitives,
  type SessionCell,
  type SessionInterrupt,
  type SessionReport,
  type Signer,
  type TaskView
} from '@pekka/node/protocol'
import { SessionDigester } from '@pekka/node/verification'
import { ALIVE_INTERVAL_MS, STORED_WAIT_MS, TRANCHE_INTERVAL_MS } from '../constants.js'
import type { Committer } from './committer.js'
import type { CpuPath } from '../machine/cpu-path.js'
import { ProviderFault, faultOf } from './done.js'
import { HeldSandbox } from './held-sandbox.js'
import type { OpenedTask } from '../intake/intake.js'
import type { LedgerLane, Ordered } from '../ledger/ledger-lane.js'
import type { Delivery } from '../output/delivery.js'
import type { FrameWriter } from '../output/frame-writer.js'
import type { RunRecord, RunStore } from '../output/run-store.js'
import { SessionPay } from './session-pay.js'
import { KeptSession, type CellLimits } from './session.js'
import type { FetchPart } from '../intake/travel.js'
import { paidMs, type Workshop } from '../machine/workshop.js'
import { execute } from './execution.js'
import { openOutput, type Output } from './open-output.js'
import { ResultMaker } from './result.js'

export interface AttemptComponents {
  lane: LedgerLane
  /** The agent's key. */
  signer: Signer
  primitives: Primitives
  clock: Clock
  store: RunStore
  workshop: Workshop
  committer: Committer
  /** The ledger's word about our task. */
  view: (signal: AbortSignal) => Promise<TaskView | null>
  /** Makes the output's way to the bridge known; returns what takes it back. */
  register: (delivery: Delivery, record: RunRecord) => void
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

export interface AttemptInit {
  network: Uint8Array
  provider: Uint8Array
  /** Address of the bridge that the offer came from. */
  bridge: string
  task: OpenedTask
  /** Number of the attempt that `accept` will open, from 1. */
  attempt: number
  /** Whether to run at once, before `accept` is final (R1): where nobody else can be in the way. */
  eager: boolean
  /** Sealed parts of what travels. */
  fetchPart: FetchPart
  /** A session's sealed cell that is a blob of the task. */
  fetchCell: (sealed: { hash: Uint8Array; size: number }, signal: AbortSignal) => Promise<Uint8Array>
  /** How often a session's time is claimed, ms. */
  trancheEvery?: number | undefined
  runtime: string
  isolation: number
  /** How this machine computes in the task's image; null where it isn't known. */
  path: CpuPath | null
}

/** A sandbox is killed, or an attempt given up, because the task is no longer ours. */
class Abandoned extends Error {}

/**
 * One attempt of ours: accept, run, send, commit. It ends with a commit (R10: no commit, no pay), with `fail` where it was our fault
 * (R9), or with nothing where the ledger gave the task to another.
 */
export class Attempt {
  readonly #abandon = new AbortController()
  readonly #log: AttemptComponents['log']
  readonly #sandbox: HeldSandbox
  #writer: FrameWriter | null = null
  #view: TaskView | null = null
  #ended = false
  readonly #timers = new Set<NodeJS.Timeout>()
  /** The machine is kept for later cells (R33). */
  #session: KeptSession | null = null
  #pay: SessionPay | null = null
  readonly #digester = new SessionDigester()
  readonly #result: ResultMaker

  constructor(
    private readonly components: AttemptComponents,
    private readonly init: AttemptInit
  ) {
    this.#log = components.log
    this.#result = new ResultMaker(components, init)
    this.#sandbox = new HeldSandbox(components, init.task)
  }

  /** What the ledger says of the task, at each change. */
  update(view: TaskView): void {
    this.#view = view
    const ours = view.attempts[this.init.attempt - 1]
    if (ours !== undefined && !equalBytes(ours.provider, this.init.provider)) return this.#giveUp('another has it')
    // A lapse alone changes nothing: while nobody else has accepted, a commit still counts (R2).
    if (view.attempts.length > this.init.attempt) return this.#giveUp('another has it')
    if (view.state === 'stopping') this.#cancel()
    const lost = view.state === 'settled' && ours?.ended !== 'committed'
    const over = view.state === 'refunded' || view.state === 'closed' || lost
    if (over) this.#giveUp('it is over')
  }

  /** Address of the bridge that it came from. */
  get bridge(): string {
    return this.init.bridge
  }

  /** The run, as messages name it. */
  get place(): { task: Uint8Array; attempt: number; run: number } {
    return { task: this.init.task.offer.task, attempt: this.init.attempt, run: 1 }
  }

  /** How many of its session's later cells this machine has; null: the task is no session, or not there yet. */
  get cells(): number | null {
    return this.#session?.report.in.count ?? null
  }

  /** Takes a later cell of the session. @returns how many there are now. @throws PekkaError CELL_REFUSED */
  async takeCell(cell: SessionCell, sealed: Uint8Array | null): Promise<number> {
    if (this.#session === null) throw new PekkaError('CELL_REFUSED', { issue: 'the machine is not kept' })
    return await this.#session.take(cell, sealed)
  }

  /** Stops a cell of the session; the kernel stays. @throws PekkaError CELL_REFUSED */
  async interrupt(said: SessionInterrupt): Promise<void> {
    if (this.#session === null) throw new PekkaError('CELL_REFUSED', { issue: 'the machine is not kept' })
    await this.#session.interrupt(said)
  }

  /** This machine stops soon: a session ends after the cell that runs, and is committed. */
  windUp(): void {
    this.#session?.finish('shutdown')
  }

  /** Ends the attempt by `fail`: this machine is shutting down. */
  shutDown(): void {
    if (this.#sandbox.done) return
    this.#abandon.abort(new ProviderFault('shutdown'))
    this.#sandbox.kill('abandoned')
  }

  /** Runs the attempt to its end. Never rejects: whatever goes wrong becomes `fail`, or a line in the log. */
  async run(): Promise<'committed' | 'failed' | 'abandoned'> {
    const { task } = this.init.task.offer
    try {
      await this.#run()
      return 'committed'
    } catch (error) {
      if (error instanceof Abandoned) {
        this.#log.info({ task: toHex(task), reason: error.message }, 'attempt abandoned')
        return 'abandoned'
      }
      await this.#fail(faultOf(error), error)
      return 'failed'
    } finally {
      this.#ended = true
      for (const timer of this.#timers) clearTimeout(timer)
      await this.#sandbox.end()
    }
  }

  async #run(): Promise<void> {
    const { offer } = this.init.task
    const { signal } = this.#abandon
    const accepted = this.#accept()
    accepted.catch((error: unknown) => this.#abandon.abort(error))
    if (!this.init.eager) await accepted
    const taking = this.#sandbox.take(signal)
    taking.catch(() => {})
    const output = await openOutput(this.components, this.init)
    const { file, record, writer, delivery } = output
    this.#writer = writer
    this.components.register(delivery, record)
    await taking
    const done =
      offer.session === null
        ? await this.#execute(writer, delivery, this.init.task.bundle, null)
        : await this.#keep(output)
    this.#sandbox.finish()
    this.#digester.add(done)
    const result = this.#digester.result(done)
    const manifest = this.#result.manifest(result, this.#digester.raw(this.init.task.taskKey), done, writer.chain)
    await writer.write({ events: [done], manifest }, true)
    await file.sync()
    await accepted
    const session = this.#pay === null ? null : await this.#pay.last(writer.chain)
    record.finished = await this.#result.finished(manifest, done, session, writer.chain)
    await this.components.store.put(record)
    await delivery.waitForStored(AbortSignal.timeout(STORED_WAIT_MS))
    const { stored } = delivery
    if (stored !== null && stored.count === record.finished.claim.count) record.finished.claim.stored = stored
    // A session's claim is bounded already, by what the ledger says of its time.
    const wallLimit = session === null ? offer.limits.wallMs : Number.MAX_SAFE_INTEGER
    await this.components.committer.commit(record, wallLimit, () => this.#view)
    this.#log.info({ task: toHex(offer.task), outcome: done.outcome, ledger: record.ledger }, 'task done')
  }

  /** Posts `accept`; on its success the lease is renewed until the end. */
  async #accept(): Promise<Ordered> {
    const { task } = this.init.task.offer
    for (let tries = 0; ; tries++) {
      const outcome = await this.components.lane.send({ kind: 'accept', task }, this.#abandon.signal)
      if (outcome.status === 'applied') {
        this.#stayAlive()
        return outcome
      }
      // The bridge opened our window a moment before the ledger did.
      const early = outcome.code === 'CANDIDATE_NOT_NAMED' && !this.init.eager && tries < 10
      if (!early) throw new Abandoned(`accept: ${outcome.code}`)
      await new Promise(resolve => this.#timers.add(setTimeout(resolve, 500)))
      this.#abandon.signal.throwIfAborted()
    }
  }

  #stayAlive(): void {
    this.#timers.add(setInterval(() => this.#tellAlive(), ALIVE_INTERVAL_MS))
  }

  #tellAlive(): void {
    if (this.#ended || this.#pay?.claiming === true) return
    const { task, session } = this.init.task.offer
    const chain = this.#writer?.chain ?? { count: 0, head: new Uint8Array(32) }
    const report = session === null ? null : (this.#session?.report ?? NOT_BEGUN)
    this.#alive(chain, report).catch((error: unknown) =>
      this.#log.warn({ err: error, task: toHex(task) }, 'the lease could not be renewed')
    )
  }

  #alive(chain: { count: number; head: Uint8Array }, session: SessionReport | null): Promise<Ordered> {
    const { task } = this.init.task.offer
    return this.components.lane.send({ kind: 'alive', task, attempt: this.init.attempt, ...chain, session })
  }

  /** Keeps the machine for the session's cells, up to its end (R33). */
  async #keep({ writer, delivery, privateKey, binding }: Output): Promise<Done> {
    const { offer, bundle, lane } = this.init.task
    const { primitives } = this.components
    const { signal } = this.#abandon
    const prices = offer.candidates[this.init.task.candidate]
    if (lane === null || prices === undefined)
      throw new PekkaError('BUNDLE_REFUSED', { issue: 'nobody can send cells' })
    const session = new KeptSession(
      {
        primitives,
        run: async (program, limits) => {
          const done = await this.#execute(writer, delivery, program, limits)
          return { done, kept: this.#sandbox.killed === null && this.#sandbox.taken?.session.kept === true }
        },
        end: async event => {
          this.#digester.add(event)
          await writer.write({ events: [event], manifest: null })
        },
        interrupt: () => this.#sandbox.taken?.session.interrupt(),
        stop: () => this.#sandbox.interrupt(),
        restart: () => this.#restart(),
        fetch: sealed => this.init.fetchCell(sealed, signal),
        onChange: () => this.#tellAlive(),
        now: () => performance.now()
      },
      {
        binding,
        lane,
        runPrivate: privateKey,
        first: bundle,
        prices,
        cap: offer.cap,
        wallMs: offer.limits.wallMs,
        outputBytes: offer.limits.outputBytes
      }
    )
    this.#session = session
    if (this.#view?.state === 'stopping') this.#cancel()
    this.#watchSandbox()
    const pay = this.#payFor(session, writer)
    this.#pay = pay
    const tranches = setInterval(() => {
      if (this.#view?.state !== 'stopping') void pay.tranche()
    }, this.init.trancheEvery ?? TRANCHE_INTERVAL_MS)
    this.#timers.add(tranches)
    try {
      return await session.run(signal)
    } finally {
      clearInterval(tranches)
      await pay.settled
    }
  }

  /** A session whose sandbox ends by itself has lost what its cells made. */
  #watchSandbox(): void {
    this.#sandbox.watch(() => this.#session?.finish('lost'))
  }

  async #restart(): Promise<void> {
    await this.#sandbox.replace(this.#abandon.signal)
    this.#watchSandbox()
  }

  #payFor(session: KeptSession, writer: FrameWriter): SessionPay {
    const { lane, view, log } = this.components
    const { offer, taskKey } = this.init.task
    const { attempt } = this.init
    const { task } = offer
    return new SessionPay(
      {
        session,
        digester: this.#digester,
        writer,
        log,
        alive: (chain, report) => this.#alive(chain, report),
        view: async () => (await view(this.#abandon.signal)) ?? this.#view,
        manifest: (result, raw, end, before) => this.#result.manifest(result, raw, end, before),
        claim: async (manifest, end, claimed, chain) =>
          (await this.#result.finished(manifest, end, claimed, chain)).claim,
        send: claim => lane.send({ kind: 'tranche', task, attempt, claim }, this.#abandon.signal)
      },
      { task, taskKey, attempt: attempt - 1 }
    )
  }

  /** Runs a program, the task's own or a session's cell, and passes its output on, up to `done`. */
  async #execute(writer: FrameWriter, delivery: Delivery, bundle: Bundle, cell: CellLimits | null): Promise<Done> {
    const sandbox = this.#sandbox.taken
    if (sandbox === null) throw new PekkaError('SANDBOX_FAILED', { issue: 'there is none' })
    return await execute(
      {
        sandbox,
        writer,
        delivery,
        digester: this.#digester,
        aead: this.components.primitives.aead,
        fetchPart: this.init.fetchPart,
        later: (work, ms) => {
          const timer = setTimeout(work, ms)
          this.#timers.add(timer)
          return timer
        },
        begun: () => {
          if (cell !== null) setImmediate(() => this.#session?.begun())
          else if (this.#view?.state === 'stopping') setImmediate(() => this.#cancel())
        },
        kill: why => this.#sandbox.kill(why),
        killed: () => this.#sandbox.killed
      },
      { task: this.init.task, bundle, limits: cell ?? this.#limits, keep: cell !== null },
      this.#abandon.signal
    )
  }

  /** The run ends at the cap if that comes before the wall limit. */
  get #limits(): CellLimits {
    const { wallMs, outputBytes } = this.init.task.offer.limits
    const paid = paidMs(this.init.task)
    return paid < wallMs ? { wallMs: paid, atCap: true, outputBytes } : { wallMs, atCap: false, outputBytes }
  }

  #cancel(): void {
    if (this.#session !== null) this.#session.finish(this.#view?.cancelledAt === null ? 'close' : 'cancel')
    else this.#sandbox.interrupt()
  }

  #giveUp(why: string): void {
    if (this.#ended || this.#sandbox.done) return
    this.#abandon.abort(new Abandoned(why))
    this.#sandbox.kill('abandoned')
  }

  async #fail(reason: FailReason, error: unknown): Promise<void> {
    const { task } = this.init.task.offer
    this.#log.warn({ err: error, task: toHex(task), reason }, 'attempt failed')
    try {
      await this.components.lane.send({ kind: 'fail', task, attempt: this.init.attempt, reason })
    } catch (cause) {
      this.#log.warn({ err: cause, task: toHex(task) }, 'the failure could not be told; the lease lapses')
    }
  }
}

/** A session of which the ledger hears before its sandbox is there. */
const NOT_BEGUN: SessionReport = { in: { count: 0, head: null }, cells: 0 }
