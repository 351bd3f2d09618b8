import type { Logger } from 'pino'
import {
  PekkaError,
  asPekkaError,
  equalBytes,
  isPekkaError,
  storedMessage,
  toHex,
  verifyHead,
  verifyRunHeader,
  type Clock,
  type ErrorCode,
  type ProviderMessage,
  type RunHeader,
  type SignedHead,
  type Signer,
  type Stored,
  type Verifier
} from '@pekka/node/protocol'
import type { DiskSpace } from '../disk.js'
import { QUOTA_SLACK_BYTES, type EventLog, type RunState, type TaskLog } from '../eventlog/index.js'
import type { LedgerMirror } from '../ledger/index.js'
import type { Metrics } from '../metrics.js'
import { openCandidates } from '../queue/windows.js'
import type { BlobRefs, TaskRecord, TaskStore } from '../tasks/index.js'
import { ACK_BYTES, ACK_MS, CONFIRM_MS, INTAKE_BYTES } from './constants.js'
import { isAgent } from './hello.js'
import type { Link } from './link.js'
import type { ReaderGate } from './reader-gate.js'

export interface IntakeComponents {
  store: TaskStore
  refs: BlobRefs
  logs: EventLog
  mirror: LedgerMirror
  gate: ReaderGate
  verifier: Verifier
  /** The bridge's key: signs `stored` (R8). */
  signer: Signer
  clock: Clock
  metrics: Metrics
  disk: DiskSpace
  log: Logger
  network: Uint8Array
  /** w of R1, ms. */
  windowMs: () => number
}

type RunMessage = Extract<ProviderMessage, { kind: 'frames' }>
type Numbers = { task: Uint8Array; attempt: number; run: number }

/** A task whose log this link writes. */
interface Writing {
  record: TaskRecord
  log: TaskLog
  release: () => void
}

/**
 * Takes a link's runs into the event log. Everything is checked before it is written: whose the attempt is, signatures,
 * numbers, the chain under every signed head. Acknowledged is what is written; signed for is what is on the disk.
 */
export class Intake {
  readonly #writing = new Map<string, Writing>()
  /** Runs that this link may not write: what follows of them is passed over, so that the provider's others go on. */
  readonly #ignored = new Set<string>()
  /** Acknowledgements that wait for more frames. */
  readonly #due = new Map<string, { run: Numbers; count: number; bytes: number; timer: NodeJS.Timeout | null }>()
  #inFlight = 0
  #unpark: (() => void) | null = null
  #room: (() => void) | null = null

  constructor(
    private readonly components: IntakeComponents,
    private readonly link: Link
  ) {}

  /** Says where a run that the provider still holds goes on. */
  async resume(run: Numbers): Promise<void> {
    const log = (await this.#find(run.task))?.log
    const state = log?.run(run)
    if (log === undefined || state === undefined || !this.#isOurs(state)) {
      this.link.tell({ kind: 'ack', ...numbers(run), count: 0, stored: null })
      return
    }
    await log.sync()
    const stored = state.signed === null ? null : await this.#sign(state.signed)
    this.link.tell({ kind: 'ack', ...numbers(run), count: state.count, stored })
  }

  async run(header: RunHeader): Promise<void> {
    if (this.parked()) return
    const { network, verifier, clock } = this.components
    const writing = await this.#find(header.task)
    if (writing === null) return this.#ignore(header, 'TASK_UNKNOWN')
    const known = writing.log.run(header)
    if (known !== undefined && this.#isOurs(known)) return
    if (!equalBytes(header.network, network)) throw new PekkaError('NETWORK_MISMATCH')
    if (!equalBytes(header.provider, this.link.provider) || !isAgent(this.link.account, header.key, clock.now()))
      throw new PekkaError('PEER_NOT_VOUCHED')
    if (!(await verifyRunHeader(header, verifier))) throw new PekkaError('SIGNATURE_INVALID')
    if (!(await this.#mayRun(header, known !== undefined))) return this.#ignore(header, 'CANDIDATE_NOT_NAMED')
    // Its place in the log is taken at once; it is written together with the first frames.
    void writing.log.appendRun(header).catch(error => this.#broken(error))
  }

  /** Returns when the next message may be read, not when the frames are written. */
  async frames(message: RunMessage): Promise<void> {
    const { task, attempt, run, index, frames } = message
    if (this.parked() || this.#ignored.has(nameOf(message))) return
    const writing = await this.#find(task)
    const state = writing?.log.run(message)
    if (writing === null || state === undefined || !this.#isOurs(state)) return this.#ignore(message, 'TASK_UNKNOWN')
    const { log, record } = writing
    // Messages of a link don't get lost or overtake one another: a gap is a broken provider.
    if (index > state.count) throw new PekkaError('FRAME_GAP')
    const size = frames.reduce((sum, frame) => sum + frame.length, 0)
    const quota = 2 * record.outputBytes * record.candidates.length + QUOTA_SLACK_BYTES
    if (log.bytes + this.#inFlight + size > quota) return this.#ignore(message, 'BLOB_TOO_LARGE')
    this.components.metrics.frames.inc(frames.length)
    this.components.metrics.frameBytes.inc(size)
    await this.#reserve(size)
    const count = index + frames.length
    void log
      .appendFrames(message, index, frames)
      .finally(() => this.#release(size))
      .then(() => this.#acknowledge({ task, attempt, run }, count, size))
      .catch(error => this.#broken(error))
  }

  /** Acknowledges what is written, at intervals, and not while a reader is too far behind (ReaderGate). */
  #acknowledge(run: Numbers, count: number, size: number): void {
    const name = nameOf(run)
    const due = this.#due.get(name) ?? { run, count: 0, bytes: 0, timer: null }
    due.count = Math.max(due.count, count)
    due.bytes += size
    this.#due.set(name, due)
    if (due.bytes >= ACK_BYTES) this.#tellAck(name)
    else due.timer ??= setTimeout(() => this.#tellAck(name), ACK_MS)
  }

  #tellAck(name: string): void {
    const due = this.#due.get(name)
    if (due === undefined) return
    this.#due.delete(name)
    if (due.timer !== null) clearTimeout(due.timer)
    const { run, count } = due
    void this.components.gate
      .clear(run.task)
      .then(() => this.link.tell({ kind: 'ack', ...numbers(run), count, stored: null }))
  }

  /** A signed head: the chain must agree; then all before it is made durable and signed for. */
  async head(head: SignedHead): Promise<void> {
    const { verifier, network, gate } = this.components
    if (this.parked() || this.#ignored.has(nameOf(head))) return
    const log = (await this.#find(head.task))?.log
    const state = log?.run(head)
    if (log === undefined || state === undefined || !this.#isOurs(state)) return this.#ignore(head, 'TASK_UNKNOWN')
    if (!equalBytes(head.key, state.header.key)) throw new PekkaError('PEER_NOT_VOUCHED')
    if (!(await verifyHead(network, head, verifier))) throw new PekkaError('SIGNATURE_INVALID')
    // One of before a reconnection: what came after it is there already.
    if (head.count < state.count) return
    if (head.count > state.count) throw new PekkaError('FRAME_GAP')
    // Two signed heads over one chain, or one over another: the run proves a fork (R7), nothing of it is taken any more.
    if (!equalBytes(head.head, state.head)) return this.#ignore(head, 'HEAD_MISMATCH')
    void log
      .appendHead(head)
      .then(() => log.sync())
      .then(() => gate.clear(head.task))
      .then(async () => {
        const due = this.#due.get(nameOf(head))
        if (due !== undefined && due.count <= head.count) this.#forgetDue(nameOf(head))
        const stored = await this.#sign(head)
        this.link.tell({ kind: 'ack', ...numbers(head), count: head.count, stored })
      })
      .catch(error => this.#broken(error))
  }

  #forgetDue(name: string): void {
    const timer = this.#due.get(name)?.timer ?? null
    if (timer !== null) clearTimeout(timer)
    this.#due.delete(name)
  }

  /** The link is over; the logs it wrote may be closed. */
  end(): void {
    this.#unpark?.()
    for (const name of [...this.#due.keys()]) this.#forgetDue(name)
    for (const { release } of this.#writing.values()) release()
    this.#writing.clear()
  }

  /** The task is over: its log needn't stay open for this link. */
  done(task: Uint8Array): void {
    const name = toHex(task)
    this.#writing.get(name)?.release()
    this.#writing.delete(name)
  }

  /** The log of a task that this provider is a candidate of, open as long as the link needs it; else null. */
  async #find(task: Uint8Array): Promise<Writing | null> {
    const name = toHex(task)
    const known = this.#writing.get(name)
    if (known !== undefined && known.log.failed === null) return known
    known?.release()
    this.#writing.delete(name)
    const record = this.components.store.live(task) ?? (await this.components.store.get(task))
    if (record === null || !record.candidates.some(candidate => equalBytes(candidate, this.link.provider))) return null
    const writing = { record, ...(await this.components.logs.acquire(task)) }
    this.#writing.set(name, writing)
    return writing
  }

  #isOurs(state: RunState): boolean {
    return equalBytes(state.header.provider, this.link.provider)
  }

  /**
   * Whose an attempt is, the ledger says. Before it does (a provider doesn't wait for its `accept`, R1) the one whose window
   * is open may begin, but not where another has begun.
   */
  async #mayRun(header: RunHeader, taken: boolean): Promise<boolean> {
    const answer = this.#owns(header, taken)
    return answer === 'unknown' ? this.#confirmed(header, taken) : answer === 'yes'
  }

  #owns(header: RunHeader, taken: boolean): 'yes' | 'no' | 'unknown' {
    const record = this.components.store.live(header.task) ?? this.#writing.get(toHex(header.task))?.record
    const view = record?.view ?? null
    const attempt = view?.attempts[header.attempt - 1]
    if (attempt !== undefined) return equalBytes(attempt.provider, this.link.provider) ? 'yes' : 'no'
    if (header.attempt !== (view?.attempts.length ?? 0) + 1) return 'no'
    if (taken || record === undefined) return 'unknown'
    const open =
      view === null ? [0] : openCandidates(view, this.components.mirror.now.contractTime, this.components.windowMs())
    return open.some(k => equalBytes(record.candidates[k] ?? new Uint8Array(), this.link.provider)) ? 'yes' : 'unknown'
  }

  #confirmed(header: RunHeader, taken: boolean): Promise<boolean> {
    return new Promise(resolve => {
      const end = (answer: boolean): void => {
        clearTimeout(timer)
        stop()
        resolve(answer)
      }
      const timer = setTimeout(() => end(false), CONFIRM_MS)
      const stop = this.components.mirror.on('commit', () => {
        const answer = this.#owns(header, taken)
        if (answer !== 'unknown') end(answer === 'yes')
      })
    })
  }

  async #sign(head: Numbers & { count: number; head: Uint8Array }): Promise<Stored> {
    const { signer, network } = this.components
    const signature = await signer.sign(storedMessage(network, head))
    return { key: signer.publicKey, count: head.count, head: head.head, signature }
  }

  async #reserve(size: number): Promise<void> {
    while (this.#inFlight > 0 && this.#inFlight + size > INTAKE_BYTES)
      await new Promise<void>(resolve => (this.#room = resolve))
    this.#inFlight += size
  }

  #release(size: number): void {
    this.#inFlight -= size
    this.#room?.()
    this.#room = null
  }

  #ignore(run: Numbers, code: ErrorCode): void {
    const name = nameOf(run)
    if (this.#ignored.has(name)) return
    this.#ignored.add(name)
    this.components.metrics.linkRefusals.inc({ code })
    const provider = toHex(this.link.provider)
    this.components.log.warn({ provider, run: name, code }, 'a run of a provider is not taken')
  }

  /**
   * A full disk: what comes is passed over. The provider holds what isn't acknowledged and, when there is room and it is made to
   * come back, goes on from there.
   */
  parked(): boolean {
    if (this.#unpark !== null) return true
    if (this.components.disk.has('output')) return false
    this.#unpark = this.components.disk.onRoom(() => this.link.end(new PekkaError('BRIDGE_FULL')))
    this.components.log.warn({ provider: toHex(this.link.provider) }, 'output waits at the provider: the disk is full')
    return true
  }

  /** The disk is full or failing: the provider holds its frames and comes back. */
  #broken(error: unknown): void {
    if (isPekkaError(error) && error.code === 'BRIDGE_FULL') {
      this.components.disk.ranOut()
      this.parked()
      return
    }
    this.components.log.error({ err: error, provider: toHex(this.link.provider) }, 'frames could not be written')
    this.link.end(asPekkaError(error))
  }
}

/** A run among those of one link. */
const nameOf = ({ task, attempt, run }: Numbers): string => `${toHex(task)}/${attempt}/${run}`

const numbers = ({ task, attempt, run }: Numbers): Numbers => ({ task, attempt, run })
