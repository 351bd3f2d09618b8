import { writeFile } from 'node:fs/promises'
import type { ReturnedPart } from '@pekka/node/host/runner'
import {
  PekkaError,
  commitment,
  equalBytes,
  resultDigest,
  runHash,
  runKeys,
  signRunHeader,
  toHex,
  type Bundle,
  type Clock,
  type Done,
  type FailReason,
  type ManifestEnvelope,
  type Primitives,
  type Result,
  type RunBinding,
  type RunFacts,
  type SessionCell,
  type SessionInterrupt,
  type SessionReport,
  type Signer,
  type TaskEvent,
  type TaskView
} from '@pekka/node/protocol'
import { SessionDigester } from '@pekka/node/verification'
import {
  ALIVE_INTERVAL_MS,
  KILL_AFTER_MS,
  OUTPUT_SLACK_BYTES,
  SPOOL_AHEAD_BYTES,
  STORED_WAIT_MS,
  TRANCHE_INTERVAL_MS
} from './constants.js'
import type { Committer } from './committer.js'
import type { CpuPath } from './cpu-path.js'
import { ProviderFault, faultOf, settleDone, type Killed } from './done.js'
import { sealOpening } from './opening.js'
import type { OpenedTask } from './intake.js'
import type { LedgerLane, Ordered } from './ledger-lane.js'
import { Batcher } from './output/batcher.js'
import { Delivery } from './output/delivery.js'
import { FrameWriter } from './output/frame-writer.js'
import { sizeOf, takeOutLarge } from './output/large-values.js'
import { RunFile } from './output/run-file.js'
import type { RunRecord, RunStore } from './run-store.js'
import { SessionPay, type Chain, type SessionClaimed } from './session-pay.js'
import { KeptSession, type CellLimits } from './session.js'
import { Returns, putsOf, type FetchPart } from './travel.js'
import { commandOf, paidMs, type TakenSandbox, type Workshop } from './workshop.js'

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

/** What a run brings back is read and sealed within this, ms: 1 GiB at 10 MB/s takes 100 s. */
const RETURN_MS = 300_000

/** A sandbox is killed, or an attempt given up, because the task is no longer ours. */
class Abandoned extends Error {}

/**
 * One attempt of ours: accept, run, send, commit. It ends with a commit (R10: no commit, no pay), with `fail` where it was our fault
 * (R9), or with nothing where the ledger gave the task to another.
 */
export class Attempt {
  readonly #abandon = new AbortController()
  readonly #log: AttemptComponents['log']
  #sandbox: TakenSandbox | null = null
  #writer: FrameWriter | null = null
  #killed: Killed | null = null
  #view: TaskView | null = null
  #ended = false
  /** The user's code has ended: a cancel that comes now changes nothing (PROTOCOL §9, STOPPING). */
  #done = false
  readonly #timers = new Set<NodeJS.Timeout>()
  /** Kills a run that doesn't stop by itself. */
  #stopLate: NodeJS.Timeout | undefined
  /** The machine is kept for later cells (R33). */
  #session: KeptSession | null = null
  #pay: SessionPay | null = null
  readonly #digester = new SessionDigester()

  constructor(
    private readonly components: AttemptComponents,
    private readonly init: AttemptInit
  ) {
    this.#log = components.log
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
    if (this.#done) return
    this.#abandon.abort(new ProviderFault('shutdown'))
    this.#kill('abandoned')
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
      await this.#release()
    }
  }

  async #run(): Promise<void> {
    const { offer } = this.init.task
    const { signal } = this.#abandon
    const accepted = this.#accept()
    accepted.catch((error: unknown) => this.#abandon.abort(error))
    if (!this.init.eager) await accepted
    const taking = this.components.workshop.take(this.init.task, signal).then(sandbox => (this.#sandbox = sandbox))
    taking.catch(() => {})
    const output = await this.#openOutput()
    const { file, record, writer, delivery } = output
    await taking
    const done =
      offer.session === null
        ? await this.#execute(writer, delivery, this.init.task.bundle, null)
        : await this.#keep(output)
    this.#done = true
    void this.#release()
    this.#digester.add(done)
    const result = this.#digester.result(done)
    const manifest = this.#manifest(result, this.#digester.raw(this.init.task.taskKey), done, writer.chain)
    await writer.write({ events: [done], manifest }, true)
    await file.sync()
    await accepted
    const session = this.#pay === null ? null : await this.#pay.last(writer.chain)
    record.finished = await this.#finished(manifest, done, session, writer.chain)
    await this.components.store.put(record)
    await delivery.waitForStored(AbortSignal.timeout(STORED_WAIT_MS))
    const { stored } = delivery
    if (stored !== null && stored.count === record.finished.claim.count) record.finished.claim.stored = stored
    // A session's claim is bounded already, by what the ledger says of its time.
    const wallLimit = session === null ? offer.limits.wallMs : Number.MAX_SAFE_INTEGER
    await this.components.committer.commit(record, wallLimit, () => this.#view)
    this.#log.info({ task: toHex(offer.task), outcome: done.outcome, ledger: record.ledger }, 'task done')
  }

  #manifest(
    result: Result,
    raw: RunFacts['raw'],
    { usage, envRead }: Pick<Done, 'usage' | 'envRead'>,
    { count, head }: { count: number; head: Uint8Array }
  ): ManifestEnvelope {
    const { offer, ask } = this.init.task
    const run: RunFacts = {
      v: 1,
      usage,
      image: offer.image.digest,
      contentDigest: ask.contentDigest,
      runtime: this.init.runtime,
      isolation: this.init.isolation,
      cpuClass: ask.cpuClass,
      ...this.#path,
      envRead: [...new Set(envRead)].sort(),
      raw,
      count,
      head
    }
    return { result, run, blind: this.components.primitives.random.bytes(32) }
  }

  /** On another path than the pinned one nothing is known of how the machine computes, and nothing is compared. */
  get #path(): Pick<RunFacts, 'fingerprint' | 'cpuPath' | 'numeric' | 'seed'> {
    const { numeric, seed } = this.init.task.bundle
    const known = numeric === 'pinned' ? this.init.path : null
    return { fingerprint: known?.fingerprint ?? null, cpuPath: known?.description ?? '', numeric, seed }
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
          return { done, kept: this.#killed === null && this.#sandbox?.session.kept === true }
        },
        end: async event => {
          this.#digester.add(event)
          await writer.write({ events: [event], manifest: null })
        },
        interrupt: () => this.#sandbox?.session.interrupt(),
        stop: () => this.#interruptRun(),
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
    const watched = this.#sandbox
    void watched?.sandbox.exited.then(() => {
      if (this.#sandbox === watched) this.#session?.finish('lost')
    })
  }

  /** A fresh sandbox for the same session. Nothing of the old one is left: neither processes nor files. */
  async #restart(): Promise<void> {
    clearTimeout(this.#stopLate)
    const { signal } = this.#abandon
    await this.#release()
    signal.throwIfAborted()
    this.#killed = null
    this.#sandbox = await this.components.workshop.take(this.init.task, signal)
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
        manifest: (result, raw, end, before) => this.#manifest(result, raw, end, before),
        claim: async (manifest, end, claimed, chain) => (await this.#finished(manifest, end, claimed, chain)).claim,
        send: claim => lane.send({ kind: 'tranche', task, attempt, claim }, this.#abandon.signal)
      },
      { task, taskKey, attempt: attempt - 1 }
    )
  }

  async #openOutput() {
    const { network, provider, bridge, attempt, task } = this.init
    const { offer, taskKey, sealedBundle } = task
    const { primitives, signer, clock, store, register } = this.components
    const { privateKey, publicKey } = await primitives.agreement.generate()
    const binding = { network, task: offer.task, attempt, run: 1 }
    const keys = await runKeys(primitives.agreement, privateKey, offer.readKey, binding)
    const startedAt = clock.now()
    const header = await signRunHeader({ v: 1, ...binding, provider, runKey: publicKey, startedAt }, signer)
    const record: RunRecord = {
      v: 1,
      task: offer.task,
      attempt,
      run: binding.run,
      bridge,
      taskKey,
      blobs: [],
      finished: null,
      delivered: false,
      ledger: 'open',
      startedAt
    }
    // The record first: a file without one is swept away.
    await store.put(record)
    const [file] = await Promise.all([
      RunFile.create(store.fileOf(record), header),
      writeFile(store.bundleOf(record), sealedBundle, { mode: 0o600 })
    ])
    const delivery = new Delivery(file, {
      onError: error => this.#log.warn({ err: error, task: toHex(offer.task) }, 'output waits')
    })
    const writer = new FrameWriter(
      {
        aead: primitives.aead,
        signer,
        file,
        onHead: head => delivery.head(head),
        onWritten: () => void delivery.pump(),
        onBlob: async (hash, before) => {
          record.blobs.push({ hash, before })
          delivery.blob(hash, before)
          await store.put(record)
        }
      },
      header,
      keys
    )
    this.#writer = writer
    register(delivery, record)
    return { file, record, writer, delivery, privateKey, binding }
  }

  /** Runs a program, the task's own or a session's cell, and passes its output on, up to `done`. */
  async #execute(writer: FrameWriter, delivery: Delivery, bundle: Bundle, cell: CellLimits | null): Promise<Done> {
    const sandbox = this.#sandbox
    if (sandbox === null) throw new PekkaError('SANDBOX_FAILED', { issue: 'there is none' })
    const { signal } = this.#abandon
    signal.throwIfAborted()
    const limits = cell ?? this.#limits
    const { wallMs, outputBytes } = limits
    const { aead } = this.components.primitives
    for (const put of putsOf(bundle, aead, this.init.fetchPart, signal)) await sandbox.session.put(put, signal)
    this.init.task.parts.clear()
    // The runner keeps the limits; this holds where it can't any more.
    const late = setTimeout(() => this.#kill('wall'), wallMs + KILL_AFTER_MS)
    this.#timers.add(late)
    const returns = new Returns(value => writer.blob(value))
    const onPart = async (part: ReturnedPart): Promise<void> => {
      if (!returns.begun) {
        // The program has ended; what is left is our own reading.
        clearTimeout(late)
        this.#timers.add(setTimeout(() => this.#kill('wall'), RETURN_MS))
      }
      await returns.take(part)
    }
    const batcher = new Batcher(async events => void (await writer.write({ events, manifest: null })))
    let received = 0
    let done: Done | null = null
    if (cell === null && this.#view?.state === 'stopping') setImmediate(() => this.#cancel())
    const command = commandOf(this.init.task, { bundle, wallMs, outputBytes, keep: cell !== null })
    for await (const said of sandbox.session.run(command, signal, onPart)) {
      const event = await returns.complete(said)
      if (event.type === 'done') {
        done = event
        break
      }
      received += sizeOf(event)
      if (received > outputBytes * 1.5 + OUTPUT_SLACK_BYTES) {
        this.#kill('output')
        if (isOutput(event)) continue
      }
      this.#digester.add(event)
      await batcher.push(await takeOutLarge(event, value => writer.blob(value)))
      await delivery.waitUntilBehind(SPOOL_AHEAD_BYTES, signal)
    }
    signal.throwIfAborted()
    clearTimeout(late)
    await batcher.flush()
    if (done === null) throw new PekkaError('RUNNER_LOST', { message: 'it ended without a word' })
    const { memoryBytes } = this.init.task.offer.resources
    const settled = await settleDone(done, sandbox.sandbox, this.#killed, memoryBytes)
    // The runner knows one limit of time; which one it was is known here.
    if (settled.reason !== 'wall-limit' || !limits.atCap) return settled
    return { ...settled, detail: { ...settled.detail, atCap: true } }
  }

  /** The run ends at the cap if that comes before the wall limit. */
  get #limits(): CellLimits {
    const { wallMs, outputBytes } = this.init.task.offer.limits
    const paid = paidMs(this.init.task)
    return paid < wallMs ? { wallMs: paid, atCap: true, outputBytes } : { wallMs, atCap: false, outputBytes }
  }

  async #finished(
    manifest: ManifestEnvelope,
    done: Pick<Done, 'usage' | 'outcome'>,
    claimed: SessionClaimed | null,
    chain: Chain
  ): Promise<NonNullable<RunRecord['finished']>> {
    const { network, provider, attempt, task } = this.init
    const digest = resultDigest(task.taskKey, manifest.result)
    const { count, head } = chain
    const { blind } = manifest
    const input = { network, task: task.offer.task, attempt, provider, digest, runHash: runHash(manifest.run), blind }
    const wallMs = claimed?.wallMs ?? Math.min(done.usage.wallMs, task.offer.limits.wallMs)
    const usage = { wallMs, cpuMs: done.usage.cpuMs }
    return {
      claim: {
        commitment: commitment(input),
        run: 1,
        count,
        head,
        usage,
        outcome: done.outcome,
        stored: null,
        session: claimed?.session ?? null
      },
      opening: await sealOpening(
        this.components.primitives.aead,
        task.taskKey,
        { network, task: task.offer.task, attempt, run: 1 },
        manifest
      ),
      digest
    }
  }

  #cancel(): void {
    if (this.#session !== null) this.#session.finish(this.#view?.cancelledAt === null ? 'close' : 'cancel')
    else this.#interruptRun()
  }

  /** Interrupts what runs; what doesn't end by itself is killed. */
  #interruptRun(): void {
    if (this.#done || this.#killed !== null) return
    const sandbox = this.#sandbox
    if (sandbox === null) return
    sandbox.session.cancel()
    this.#stopLate = setTimeout(() => this.#kill('cancel'), KILL_AFTER_MS)
    this.#timers.add(this.#stopLate)
  }

  #kill(why: Killed): void {
    if (this.#done || this.#killed !== null) return
    this.#killed = why
    void this.#sandbox?.sandbox.kill().catch((error: unknown) => this.#log.warn({ err: error }, 'a sandbox hangs'))
  }

  #giveUp(why: string): void {
    if (this.#ended || this.#done) return
    this.#abandon.abort(new Abandoned(why))
    this.#kill('abandoned')
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

  async #release(): Promise<void> {
    const sandbox = this.#sandbox
    this.#sandbox = null
    if (sandbox === null) return
    try {
      await sandbox.release()
    } catch (error) {
      this.#log.warn({ err: error }, 'a sandbox could not be removed; it is at the next start')
    }
  }
}

const isOutput = (event: TaskEvent): boolean => event.type !== 'cell-end' && event.type !== 'cell-start'

/** A session of which the ledger hears before its sandbox is there. */
const NOT_BEGUN: SessionReport = { in: { count: 0, head: null }, cells: 0 }

/** Where the output of the run goes, and what it is sealed with. */
interface Output {
  writer: FrameWriter
  delivery: Delivery
  privateKey: Uint8Array
  binding: RunBinding
}
