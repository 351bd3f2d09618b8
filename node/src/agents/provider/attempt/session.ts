import {
  CellChain,
  MAX_BUNDLE_BYTES,
  MAX_SESSION_CELLS,
  PekkaError,
  chargeOf,
  checkInterrupt,
  decodeBundle,
  equalBytes,
  isPekkaError,
  openCell,
  padme,
  type Bundle,
  type Candidate,
  type Done,
  type EventOf,
  type Primitives,
  type RunBinding,
  type SessionCell,
  type SessionInterrupt,
  type SessionReport,
  type Usage
} from '@pekka/node/protocol'
import { nativeSha256 } from '../intake/travel.js'

/** What one cell may use: the offer's limit for a cell, or what is left of the cap. */
export interface CellLimits {
  wallMs: number
  /** It is the cap that ends it. */
  atCap: boolean
  outputBytes: number
}

export interface KeptSessionComponents {
  primitives: Pick<Primitives, 'aead' | 'agreement' | 'verifier'>
  /** Runs one program in the sandbox, passes its output on, and gives its `done`; `kept`: the kernel is still there. */
  run: (bundle: Bundle, limits: CellLimits) => Promise<{ done: Done; kept: boolean }>
  /** Says in the output that a cell has ended. */
  end: (event: EventOf<'session-cell-end'>) => Promise<void>
  /** SIGINT to the cell that runs. */
  interrupt: () => void
  /** Stops the cell that runs, with its kernel if need be. */
  stop: () => void
  /** Puts a fresh kernel in the place of the one there is, or was. */
  restart: () => Promise<void>
  /** Sealed bytes of a cell that didn't come along. */
  fetch: (sealed: { hash: Uint8Array; size: number }) => Promise<Uint8Array>
  /** Told when a cell has come or ended. */
  onChange: () => void
  /** Monotonic milliseconds. */
  now: () => number
}

export interface KeptSessionInit {
  binding: RunBinding
  /** Key of the delegate that sent the offer. */
  lane: Uint8Array
  /** Private half of the run's key: cells are sealed to it. */
  runPrivate: Uint8Array
  /** The bundle's own program, cell 0. */
  first: Bundle
  prices: Pick<Candidate, 'pricePerSecond' | 'holdPricePerSecond'>
  cap: bigint
  /** Of one cell, ms. */
  wallMs: number
  /** Of all, bytes. */
  outputBytes: number
}

/** Why a session ends, beside the end of its kernel. */
export type SessionEnding = 'close' | 'cancel' | 'cap' | 'shutdown' | 'lost'

interface Waiting {
  cell: SessionCell
  /** Opened as soon as it is here: it may stop what runs before it. */
  opened: Promise<Bundle | PekkaError>
}

/** Timers can't wait for longer, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** A sealed cell has an ephemeral key and a tag beside its padded bundle. */
const MAX_SEALED_CELL = padme(MAX_BUNDLE_BYTES + 4) + 48

/**
 * A kept machine (R33): runs cell 0, then each cell that comes, in one kernel, and counts what it ran and what it waited. It ends when it is
 * told to, when the cap is reached, or with its kernel.
 */
export class KeptSession {
  readonly #chain: CellChain
  readonly #waiting: Waiting[] = []
  #taking: Promise<unknown> = Promise.resolve()
  #ended = 0
  #cells = 0
  #usage: Usage = { wallMs: 0, cpuMs: 0, maxMemoryBytes: 0, outputBytes: 0 }
  readonly #read = new Set<string>()
  #heldMs = 0
  #runningSince: number | null = null
  #idleSince: number | null = null
  #ending: SessionEnding | null = null
  /** Place of the cell that runs, or ran last. */
  #index = 0
  /** Cells that are to stop, by their place. */
  readonly #interrupted = new Set<number>()
  /** Place of the last cell that begins with a fresh kernel; cells before it count no more. */
  #restartAt = 0
  #wake: () => void = () => undefined

  constructor(
    private readonly components: KeptSessionComponents,
    private readonly init: KeptSessionInit
  ) {
    this.#chain = new CellChain(init.binding, init.lane, components.primitives.verifier)
    const { program } = init.first
    this.#cells = program.kind === 'cells' ? program.cells.length : 1
  }

  /** How far it is, as `alive` and claims say it. */
  get report(): SessionReport {
    return { in: this.#chain.state, cells: this.#ended }
  }

  /** Time that cells ran, and time that the machine waited for one, ms. */
  get times(): { wallMs: number; heldMs: number } {
    const now = this.components.now()
    const since = (start: number | null): number => (start === null ? 0 : Math.max(0, Math.floor(now - start)))
    return {
      wallMs: this.#usage.wallMs + since(this.#runningSince),
      heldMs: this.#heldMs + since(this.#waiting.length > 0 ? null : this.#idleSince)
    }
  }

  /** Usage so far, the running cell's not counted, and what the program read of the machine. */
  get totals(): { usage: Usage; envRead: string[] } {
    return { usage: this.#usage, envRead: [...this.#read] }
  }

  /**
   * Takes a cell that the bridge hands over; one that is there already changes nothing.
   * @returns how many there are now
   * @throws PekkaError CELL_REFUSED: of another session, key or place, or after a gap
   */
  take(cell: SessionCell, sealed: Uint8Array | null): Promise<number> {
    const taken = this.#taking.then(async () => {
      if (cell.index > MAX_SESSION_CELLS) throw new PekkaError('CELL_REFUSED', { issue: 'the session is full' })
      if (await this.#chain.add(cell)) {
        this.#hold()
        const opened = this.#open(cell, sealed)
        this.#waiting.push({ cell, opened })
        void opened.then(bundle => this.#look(cell.index, bundle)).catch(() => undefined)
        this.#wake()
        this.components.onChange()
      }
      return this.#chain.state.count
    })
    this.#taking = taken.catch(() => undefined)
    return taken
  }

  /** Stops a cell, whether it runs or waits; one that has ended stays. @throws PekkaError CELL_REFUSED */
  async interrupt(said: SessionInterrupt): Promise<void> {
    await checkInterrupt(said, this.init.binding, this.init.lane, this.components.primitives.verifier)
    const { index } = said
    // Said again by a bridge whose link is new, or too early to be of use.
    if (index < this.#ended || index > this.#chain.state.count || this.#interrupted.has(index)) return
    this.#interrupted.add(index)
    if (this.#runningSince !== null && this.#index === index) this.components.interrupt()
  }

  /** A cell's program starts: what was said of it while its values were put there would be lost. */
  begun(): void {
    if (this.#runningSince !== null && this.#interrupted.has(this.#index)) this.components.interrupt()
  }

  /** A cell that begins anew stops what runs before it. */
  #look(index: number, bundle: Bundle | PekkaError): void {
    if (bundle instanceof PekkaError || bundle.restart !== true || index <= this.#restartAt) return
    this.#restartAt = index
    if (this.#runningSince !== null && this.#index < index) this.components.stop()
  }

  /** No more cells. A cell that runs is stopped, unless the machine only shuts down. */
  finish(why: SessionEnding): void {
    if (this.#ending !== null) return
    // The kernel is about to be another one.
    if (why === 'lost' && this.#restartAt > this.#index) return
    this.#ending = why
    if (this.#runningSince !== null && why !== 'shutdown') this.components.stop()
    this.#wake()
  }

  /** @returns the session's `done`. @throws the signal's reason, and what running throws */
  async run(signal: AbortSignal): Promise<Done> {
    let program: Bundle | PekkaError = this.init.first
    for (let index = 0; ; index++) {
      // It ended before its first cell, or while the next was opened.
      if (this.#ending === 'close' || this.#ending === 'cancel') return this.#total(STOPPED)
      const { done, kept } = await this.#cell(index, program)
      // What is to begin anew doesn't need the kernel.
      const anew = this.#restartAt > index && this.#ending === null
      if ((!kept || done.outcome === 'stopped') && !anew) return this.#total(done)
      const next = await this.#next(signal)
      if (next === null) return this.#total(this.#ending === 'lost' ? LOST : this.#ending === 'cap' ? AT_CAP : CLOSED)
      program = await next.opened
    }
  }

  async #cell(index: number, program: Bundle | PekkaError): Promise<{ done: Done; kept: boolean }> {
    this.#index = index
    this.#runningSince = this.components.now()
    const run = await this.#execute(index, program)
    const { usage } = run.done
    this.#usage = {
      wallMs: this.#usage.wallMs + usage.wallMs,
      cpuMs: this.#usage.cpuMs + usage.cpuMs,
      maxMemoryBytes: Math.max(this.#usage.maxMemoryBytes, usage.maxMemoryBytes),
      outputBytes: this.#usage.outputBytes + usage.outputBytes
    }
    for (const read of run.done.envRead ?? []) this.#read.add(read)
    this.#runningSince = null
    await this.components.end({ ...run.done, type: 'session-cell-end', index })
    this.#ended = index + 1
    if (this.#waiting.length === 0) this.#idleSince = this.components.now()
    this.components.onChange()
    return run
  }

  async #execute(index: number, program: Bundle | PekkaError): Promise<{ done: Done; kept: boolean }> {
    if (program instanceof PekkaError) return { done: refused(program), kept: true }
    if (this.#restartAt > index) return { done: { ...INTERRUPTED, detail: RESTARTED }, kept: true }
    // Also where it is interrupted: the kernel before it was stopped for it.
    if (program.restart === true && index > 0) await this.components.restart()
    if (this.#interrupted.has(index)) return { done: INTERRUPTED, kept: true }
    // Let go of while the kernel was made anew.
    if (this.#ending === 'close' || this.#ending === 'cancel') return { done: STOPPED, kept: false }
    const running = this.components.run(program, this.#limits())
    // Said while the kernel was made anew.
    if (this.#interrupted.has(index)) this.components.interrupt()
    const { done, kept } = await running
    const stopped = this.#restartAt > index ? RESTARTED : this.#interrupted.has(index) ? STOPPED_BY_USER : null
    return { done: stopped === null ? done : { ...done, detail: { ...done.detail, ...stopped } }, kept }
  }

  /** The time that was waited up to now counts as held. */
  #hold(): void {
    if (this.#idleSince === null) return
    this.#heldMs += Math.max(0, Math.floor(this.components.now() - this.#idleSince))
    this.#idleSince = null
  }

  /** The next cell, as soon as it is there; null: the session is over. */
  async #next(signal: AbortSignal): Promise<Waiting | null> {
    const left = this.#left(this.init.prices.holdPricePerSecond ?? 0n)
    const timer = left > MAX_TIMER_MS ? undefined : setTimeout(() => this.finish('cap'), left)
    try {
      for (;;) {
        signal.throwIfAborted()
        if (this.#ending !== null) return null
        if (this.#left(this.init.prices.pricePerSecond) < 1) this.#ending = 'cap'
        else {
          const next = this.#waiting.shift()
          if (next !== undefined) return next
          await this.#change(signal)
        }
      }
    } finally {
      clearTimeout(timer)
      this.#hold()
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const end = (): void => {
        signal.removeEventListener('abort', end)
        resolve()
      }
      signal.addEventListener('abort', end, { once: true })
      this.#wake = end
    })
  }

  /** What the user's own cells may be wrong in ends the cell, never the session. */
  async #open(cell: SessionCell, inline: Uint8Array | null): Promise<Bundle | PekkaError> {
    const { binding, runPrivate, first } = this.init
    const refuse = (issue: string): PekkaError => new PekkaError('CELL_REFUSED', { issue })
    try {
      if (cell.size > MAX_SEALED_CELL) return refuse('it is too large')
      const sealed = inline ?? (await this.components.fetch({ hash: cell.hash, size: cell.size }))
      if (sealed.length !== cell.size || !equalBytes(nativeSha256(sealed), cell.hash))
        return refuse('its bytes have another hash')
      const place = { ...binding, index: cell.index, previous: cell.previous }
      const bundle = decodeBundle(await openCell(this.components.primitives, runPrivate, place, sealed))
      const { program, layer, inputs, numeric } = bundle
      if (program.kind !== 'cells') return refuse('a session runs cells')
      if (this.#cells + program.cells.length > MAX_SESSION_CELLS) return refuse('the session is full')
      if (layer !== null || inputs.length > 0 || numeric !== first.numeric)
        return refuse('packages, inputs and the numeric path are those of the first cell')
      this.#cells += program.cells.length
      return bundle
    } catch (error) {
      if (!isPekkaError(error)) throw error
      return error
    }
  }

  #limits(): CellLimits {
    const left = Math.max(1, this.#left(this.init.prices.pricePerSecond))
    const { wallMs } = this.init
    const outputBytes = Math.max(1, this.init.outputBytes - this.#usage.outputBytes)
    return left < wallMs ? { wallMs: left, atCap: true, outputBytes } : { wallMs, atCap: false, outputBytes }
  }

  /** What the cap still pays for at a price, ms. */
  #left(price: bigint): number {
    if (price === 0n) return Infinity
    const { prices, cap } = this.init
    return Number(((cap - chargeOf(prices, this.times, cap)) * 1000n) / price)
  }

  #total(done: Done): Done {
    return { ...done, ...this.totals, t: this.#usage.wallMs + this.#heldMs }
  }
}

const NONE: Usage = { wallMs: 0, cpuMs: 0, maxMemoryBytes: 0, outputBytes: 0 }

const CLOSED: Done = { type: 'done', outcome: 'ok', reason: 'completed', detail: {}, exitCode: 0, usage: NONE, t: 0 }

const AT_CAP: Done = { ...CLOSED, outcome: 'limit', reason: 'wall-limit', detail: { atCap: true }, exitCode: null }

/** A cell that was to run didn't. */
const STOPPED: Done = { ...CLOSED, outcome: 'stopped', reason: 'cancelled', exitCode: null }

/** The sandbox ended while it waited: what was in it did that. */
const LOST: Done = { ...CLOSED, outcome: 'user', reason: 'runner-lost', detail: { cell: null }, exitCode: null }

const STOPPED_BY_USER = { ename: 'KeyboardInterrupt', interrupted: true }
const RESTARTED = { ename: 'KeyboardInterrupt', interrupted: true, restarted: true }

/** It was stopped before its turn. */
const INTERRUPTED: Done = {
  ...CLOSED,
  outcome: 'user',
  reason: 'exception',
  detail: { ...STOPPED_BY_USER, notRun: true },
  exitCode: 1
}

const refused = ({ code, message }: PekkaError): Done => ({
  ...CLOSED,
  outcome: 'user',
  reason: 'exception',
  detail: { ename: code, evalue: message.slice(0, 1000), refused: true },
  exitCode: 1
})
