import { PekkaError, type TaskEvent } from '@pekka/node/protocol'
import type { Readable, Writable } from 'node:stream'
import { encodeRecord, RecordDecoder, type RawRecord } from './codec.js'
import { encodeRun, lostDone, parseEvent, parseReady, type RunCommand, type RunnerReady } from './records.js'
import { encodePuts, parseParts, type Put, type ReturnedPart } from './travel.js'

/** The two ends of a runner process that a runtime hands out. */
export interface RunnerStreams {
  stdin: Writable
  stdout: Readable
}

/** See {@link RunnerSession.run}. */
interface Progress {
  open: string | null
  ended: Set<string>
  t: number
  outputBytes: number
}

/**
 * One runner from its start to its `done`; a runner that is told to keep its kernel takes one run after another (R33). Whoever owns the sandbox ends it afterwards; a session never kills anything.
 *
 * Records are read only as fast as they are taken: who stops taking them stops the user's code in the end.
 */
export class RunnerSession {
  readonly #streams: RunnerStreams
  readonly #records: AsyncGenerator<RawRecord, void>
  #ready: Promise<RunnerReady> | undefined
  /** A run has begun, and no other may follow. */
  #running = false
  #kept = false
  /** The cell that runs. */
  #open: string | null = null
  /** To be interrupted as soon as a cell runs. */
  #interrupt = false

  constructor(streams: RunnerStreams) {
    this.#streams = streams
    // A runner that is gone is noticed where we read; a failed write says nothing more.
    streams.stdin.on('error', () => {})
    this.#records = readRecords(streams.stdout)
  }

  /**
   * Waits until the runner is warm.
   *
   * @throws PekkaError RUNNER_LOST: it ended, or reported a fault of its own; RUNNER_PROTOCOL; the reason of `signal`
   */
  async ready(signal?: AbortSignal): Promise<RunnerReady> {
    this.#ready ??= this.#first()
    return await abortable(this.#ready, signal)
  }

  async #first(): Promise<RunnerReady> {
    const next = await this.#records.next()
    if (next.done) throw new PekkaError('RUNNER_LOST', { message: 'it ended before it was ready' })
    return parseReady(next.value)
  }

  /**
   * Puts files and values where the run will find them, in their order. Takes the next piece only when the last one is on its way.
   *
   * @throws PekkaError TASK_STATE: the run has begun; what the pieces throw; the reason of `signal`
   */
  async put(what: Iterable<Put>, signal?: AbortSignal): Promise<void> {
    if (this.#running) throw new PekkaError('TASK_STATE', { state: 'running', body: 'put' })
    const { runner } = await this.ready(signal)
    const { stdin } = this.#streams
    for await (const record of encodePuts(what, runner)) {
      signal?.throwIfAborted()
      // A runner that is gone takes nothing, and then reading ends.
      if (stdin.writable && !stdin.write(record)) await drained(stdin, signal)
    }
  }

  /** The last run was told to keep the kernel, and did: another may follow. */
  get kept(): boolean {
    return this.#kept
  }

  /**
   * Runs the task of this runner, or the next cell of its session, and yields what it reports, `done` last. If the runner ends without it, cells that
   * were open or to come are closed and a `done` with reason `runner-lost` is made here, so that every run ends alike.
   *
   * @throws PekkaError RUNNER_PROTOCOL: it sent something that is no record; RUNNER_LOST: it ended before it was ready, or
   *   reports a fault of its own; TASK_STATE: it runs, or has had its last run; the reason of `signal`, after which the runner
   *   can only be ended
   */
  async *run(
    command: RunCommand,
    signal?: AbortSignal,
    /** Takes what comes back; the next record is read when it resolves. */
    onPart?: (part: ReturnedPart) => Promise<void>
  ): AsyncGenerator<TaskEvent, void> {
    if (this.#running) throw new PekkaError('TASK_STATE', { state: 'running', body: 'run' })
    this.#running = true
    this.#kept = false
    this.#open = null
    this.#interrupt = false
    await this.ready(signal)
    // Not awaited: a runner that is gone takes nothing, and then reading ends.
    this.#streams.stdin.write(encodeRun(command))
    const progress: Progress = { open: null, ended: new Set(), t: 0, outputBytes: 0 }
    while (true) {
      const next = await abortable(this.#records.next(), signal)
      if (next.done) {
        yield* endOfLost(command, progress)
        return
      }
      if (next.value.header['type'] === 'part') {
        for (const part of parseParts(next.value)) await onPart?.(part)
        continue
      }
      const event = parseEvent(next.value)
      follow(progress, event, next.value.payload.length)
      this.#open = progress.open
      if (event.type === 'cell-start' && this.#interrupt) this.interrupt()
      if (event.type === 'done' && command.keep === true && next.value.header['kept'] === true) {
        this.#running = false
        this.#kept = true
      }
      yield event
      if (event.type === 'done') return
    }
  }

  /**
   * SIGINT to the cell that runs, or to the next one of this run. A kernel that waits for its next run takes none: the runner would
   * not know what it is told.
   */
  interrupt(): void {
    this.#interrupt = this.#open === null
    if (!this.#interrupt) this.#send({ op: 'interrupt' })
  }

  /** Interrupt, two seconds of grace, then kill; the run ends with outcome `stopped`. */
  cancel(): void {
    this.#send({ op: 'cancel' })
  }

  #send(header: object): void {
    if (this.#running && this.#streams.stdin.writable) this.#streams.stdin.write(encodeRecord(header))
  }
}

async function* readRecords(stdout: Readable): AsyncGenerator<RawRecord, void> {
  const decoder = new RecordDecoder()
  try {
    for await (const chunk of stdout) {
      // A stream without an encoding yields buffers.
      yield* decoder.push(chunk as Buffer)
    }
  } catch (error) {
    // A stream that is torn down in the middle (a killed sandbox) is an end like any other.
    if (error instanceof PekkaError) throw error
  }
}

/** Resolves when the stream takes more, or never will. */
function drained(stream: Writable, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      for (const name of ['drain', 'close', 'error'] as const) stream.off(name, end)
      signal?.removeEventListener('abort', end)
      if (signal?.aborted === true) reject(signal.reason)
      else resolve()
    }
    for (const name of ['drain', 'close', 'error'] as const) stream.once(name, end)
    signal?.addEventListener('abort', end, { once: true })
  })
}

/** Keeps what is needed to end the run properly if the runner doesn't. */
function follow(progress: Progress, event: TaskEvent, payload: number): void {
  progress.t = event.t
  progress.outputBytes += event.type === 'stream' && typeof event.text === 'string' ? event.text.length : payload
  if (event.type === 'cell-start') progress.open = event.cell
  if (event.type === 'cell-end') {
    progress.open = null
    progress.ended.add(event.cell)
  }
}

function* endOfLost(command: RunCommand, { open, ended, t, outputBytes }: Progress): Generator<TaskEvent> {
  for (const { id } of command.kind === 'cells' ? command.cells : []) {
    if (ended.has(id)) continue
    yield { type: 'cell-end', cell: id, status: id === open ? 'error' : 'not-run', executionCount: null, t }
  }
  yield lostDone({ t, outputBytes, cell: open })
}

/** `promise`, or the reason of `signal` as soon as it is aborted. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise
  signal.throwIfAborted()
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
  })
  // If the abort wins, nobody waits for this any more.
  promise.catch(() => {})
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
