import { writeFile } from 'node:fs/promises'
import type { ReturnedPart } from '@pekka/node/host/runner'
import {
  PekkaError,
  commitment,
  equalBytes,
  isPekkaError,
  resultDigest,
  runHash,
  runKeys,
  signRunHeader,
  toHex,
  type Clock,
  type Done,
  type FailReason,
  type ManifestEnvelope,
  type Primitives,
  type RunFacts,
  type Signer,
  type TaskEvent,
  type TaskView
} from '@pekka/node/protocol'
import { RunDigester } from '@pekka/node/verification'
import { ALIVE_INTERVAL_MS, KILL_AFTER_MS, OUTPUT_SLACK_BYTES, SPOOL_AHEAD_BYTES, STORED_WAIT_MS } from './constants.js'
import type { Committer } from './committer.js'
import type { CpuPath } from './cpu-path.js'
import { sealOpening } from './opening.js'
import type { OpenedTask } from './intake.js'
import type { LedgerLane, Ordered } from './ledger-lane.js'
import { Batcher } from './output/batcher.js'
import { Delivery } from './output/delivery.js'
import { FrameWriter } from './output/frame-writer.js'
import { sizeOf, takeOutLarge } from './output/large-values.js'
import { RunFile } from './output/run-file.js'
import type { RunRecord, RunStore } from './run-store.js'
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
  runtime: string
  isolation: number
  /** How this machine computes in the task's image; null where it isn't known. */
  path: CpuPath | null
}

/** What a run brings back is read and sealed within this, ms: 1 GiB at 10 MB/s takes 100 s. */
const RETURN_MS = 300_000

/** Why a run was ended from outside. */
type Killed = 'wall' | 'cancel' | 'output' | 'abandoned'

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
    const over = view.state === 'refunded' || view.state === 'closed'
    if (over) this.#giveUp('it is over')
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
    const { file, record, writer, delivery } = await this.#openOutput()
    await taking
    const digester = new RunDigester()
    const done = await this.#execute(writer, delivery, digester)
    this.#done = true
    void this.#release()
    digester.add(done)
    const { count, head } = writer.chain
    const result = digester.result(done)
    const manifest: ManifestEnvelope = {
      result,
      run: {
        v: 1,
        usage: done.usage,
        image: offer.image.digest,
        contentDigest: this.init.task.ask.contentDigest,
        runtime: this.init.runtime,
        isolation: this.init.isolation,
        cpuClass: this.init.task.ask.cpuClass,
        ...this.#path,
        envRead: [...new Set(done.envRead)].sort(),
        raw: digester.raw(this.init.task.taskKey),
        count,
        head
      },
      blind: this.components.primitives.random.bytes(32)
    }
    await writer.write({ events: [done], manifest }, true)
    await file.sync()
    await accepted
    record.finished = await this.#finished(writer, manifest, done)
    await this.components.store.put(record)
    await delivery.waitForStored(AbortSignal.timeout(STORED_WAIT_MS))
    const { stored } = delivery
    if (stored !== null && stored.count === record.finished.claim.count) record.finished.claim.stored = stored
    await this.components.committer.commit(record, offer.limits.wallMs, () => this.#view)
    this.#log.info({ task: toHex(offer.task), outcome: done.outcome, ledger: record.ledger }, 'task done')
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
    const { task } = this.init.task.offer
    const timer = setInterval(() => {
      if (this.#ended) return
      const chain = this.#writer?.chain ?? { count: 0, head: new Uint8Array(32) }
      this.components.lane
        .send({ kind: 'alive', task, attempt: this.init.attempt, ...chain, session: null })
        .catch((error: unknown) => this.#log.warn({ err: error, task: toHex(task) }, 'the lease could not be renewed'))
    }, ALIVE_INTERVAL_MS)
    this.#timers.add(timer)
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
    return { file, record, writer, delivery }
  }

  /** Runs the program and passes its output on, up to `done`. */
  async #execute(writer: FrameWriter, delivery: Delivery, digester: RunDigester): Promise<Done> {
    const sandbox = this.#sandbox
    if (sandbox === null) throw new PekkaError('SANDBOX_FAILED', { issue: 'there is none' })
    const { signal } = this.#abandon
    signal.throwIfAborted()
    const { outputBytes } = this.init.task.offer.limits
    const { wallMs } = this.#limits
    const { bundle } = this.init.task
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
    const batcher = new Batcher(events => writer.write({ events, manifest: null }))
    let received = 0
    let done: Done | null = null
    if (this.#view?.state === 'stopping') setImmediate(() => this.#cancel())
    for await (const said of sandbox.session.run(commandOf(this.init.task), signal, onPart)) {
      const event = returns.complete(said)
      if (event.type === 'done') {
        done = event
        break
      }
      received += sizeOf(event)
      if (received > outputBytes * 1.5 + OUTPUT_SLACK_BYTES) {
        this.#kill('output')
        if (isOutput(event)) continue
      }
      digester.add(event)
      await batcher.push(await takeOutLarge(event, value => writer.blob(value)))
      await delivery.waitUntilBehind(SPOOL_AHEAD_BYTES, signal)
    }
    signal.throwIfAborted()
    await batcher.flush()
    if (done === null) throw new PekkaError('RUNNER_LOST', { message: 'it ended without a word' })
    return this.#sayCap(await this.#settleDone(done, sandbox))
  }

  /** The run ends at the cap if that comes before the wall limit. */
  get #limits(): { wallMs: number; atCap: boolean } {
    const { wallMs } = this.init.task.offer.limits
    const paid = paidMs(this.init.task)
    return paid < wallMs ? { wallMs: paid, atCap: true } : { wallMs, atCap: false }
  }

  /** The runner knows one limit of time; which one it was is known here. */
  #sayCap(done: Done): Done {
    if (done.reason !== 'wall-limit' || !this.#limits.atCap) return done
    return { ...done, detail: { ...done.detail, atCap: true } }
  }

  /** Says what the host knows better than a runner that is gone, or that only saw its kernel killed. */
  async #settleDone(done: Done, { sandbox }: TakenSandbox): Promise<Done> {
    const killed = done.reason === 'kernel-died' && done.detail['signal'] === 'SIGKILL'
    if (done.reason !== 'runner-lost' && !killed) return done
    const { cpuMs, maxMemoryBytes, oomKills } = await sandbox.usage()
    if (killed)
      return oomKills > 0
        ? { ...done, outcome: 'limit', reason: 'out-of-memory', detail: this.#memoryDetail(done) }
        : done
    const usage = { ...done.usage, cpuMs: Math.round(cpuMs), maxMemoryBytes: Math.round(maxMemoryBytes) }
    if (this.#killed === 'wall') return { ...done, usage, outcome: 'limit', reason: 'wall-limit' }
    if (this.#killed === 'output') return { ...done, usage, outcome: 'limit', reason: 'output-limit' }
    if (this.#killed === 'cancel') return { ...done, usage, outcome: 'stopped', reason: 'cancelled' }
    if (oomKills > 0)
      return { ...done, usage, outcome: 'limit', reason: 'out-of-memory', detail: this.#memoryDetail(done) }
    return { ...done, usage }
  }

  #memoryDetail(done: Done): Done['detail'] {
    return { ...done.detail, limitBytes: this.init.task.offer.resources.memoryBytes }
  }

  async #finished(
    writer: FrameWriter,
    manifest: ManifestEnvelope,
    done: Done
  ): Promise<NonNullable<RunRecord['finished']>> {
    const { network, provider, attempt, task } = this.init
    const digest = resultDigest(task.taskKey, manifest.result)
    const { count, head } = writer.chain
    const { blind } = manifest
    const input = { network, task: task.offer.task, attempt, provider, digest, runHash: runHash(manifest.run), blind }
    const usage = { wallMs: Math.min(done.usage.wallMs, task.offer.limits.wallMs), cpuMs: done.usage.cpuMs }
    return {
      claim: {
        commitment: commitment(input),
        run: 1,
        count,
        head,
        usage,
        outcome: done.outcome,
        stored: null,
        session: null
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
    if (this.#done || this.#killed !== null) return
    const sandbox = this.#sandbox
    if (sandbox === null) return
    sandbox.session.cancel()
    this.#timers.add(setTimeout(() => this.#kill('cancel'), KILL_AFTER_MS))
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

/** Our own fault, with the reason that the ledger is told. */
class ProviderFault extends Error {
  constructor(readonly reason: FailReason) {
    super(reason)
  }
}

function faultOf(error: unknown): FailReason {
  if (error instanceof ProviderFault) return error.reason
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return 'resources'
  if (!isPekkaError(error)) return 'internal'
  const sandbox = ['SANDBOX_FAILED', 'SANDBOX_UNUSABLE', 'RUNNER_LOST', 'RUNNER_PROTOCOL', 'IMAGE_UNKNOWN']
  return sandbox.includes(error.code) ? 'sandbox' : 'internal'
}
