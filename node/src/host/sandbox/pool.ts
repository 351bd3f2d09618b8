/**
 * Sandboxes that wait with the runner up and its libraries imported, so that a task begins in milliseconds. Each
 * serves one task and is removed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { PekkaError } from '@pekka/node/protocol'
import { SANDBOX_EXTRAS } from './constants.js'
import type { Sandbox, SandboxImage, SandboxLimits, SandboxMount, SandboxRuntime } from './types.js'

/** First wait after a start has failed, ms; doubled each time. */
const BACK_OFF_MS = 500
/** Longest wait between tries: a broken image is noticed within a minute of being repaired, and costs next to nothing. */
const LONGEST_BACK_OFF_MS = 60_000
/** At most this many sandboxes are warmed at once: warming takes a CPU for seconds, and running tasks need it too. */
const WARMING_AT_ONCE = 1

/**
 * A sandbox that was taken is replaced so long after, ms: warming takes a core for seconds, and most cells end sooner than that
 * if they have it.
 */
const REFILL_AFTER_MS = 1_000

/** Makes a fresh sandbox ready for a task, e.g. waits for the runner's `ready`. What it returns is handed out with it. */
export interface Starter<Session> {
  (sandbox: Sandbox, signal: AbortSignal): Promise<Session>
}

/** The part of a logger that is used here; pino's fits. */
export interface PoolLog {
  info(data: object, text: string): void
  warn(data: object, text: string): void
}

/** A directory of a sandbox's own on this machine, seen read-only inside; filled when the task is known. */
export interface Extras {
  folder: string
  /** Removes it; the sandbox is gone. */
  remove(): Promise<void>
}

export interface SandboxPoolComponents<Session> {
  runtime: SandboxRuntime
  start: Starter<Session>
  /** Makes the extras of a new sandbox. Default: it has none. */
  extras?: () => Promise<Extras>
  log: PoolLog
  /** Default: a timer that keeps no process alive. */
  later?: (work: () => void, ms: number) => void
}

export interface WarmImage {
  image: SandboxImage
  /** How many wait. 0: none, each task starts its own. */
  size: number
}

export interface SandboxPoolInit {
  /** Program of every sandbox, the runner's. */
  argv: readonly [string, ...string[]]
  /** Limits while waiting. Disk and file limits are final; a task with others gets a sandbox of its own. */
  limits: SandboxLimits
  warm: readonly WarmImage[]
  /** Waiting sandboxes together may hold this much memory (by their limits while waiting), bytes. Default: no bound. */
  maxMemoryBytes?: number
  /** A start that takes longer has failed, ms. Default 60 s: a cold import of the scientific stack under load. */
  startTimeout?: number
}

export interface PooledSandbox<Session> {
  sandbox: Sandbox
  session: Session
  /** It had been waiting. */
  warm: boolean
  /** Folder on this machine that the sandbox sees at SANDBOX_EXTRAS; null where the pool makes none. */
  extras: string | null
  /** Removes the sandbox with all in it. To be called in any case, once the task has ended. */
  release(): Promise<void>
}

export interface SandboxPool<Session> {
  /**
   * A sandbox for one task: at once if one waits, else started now.
   * @throws PekkaError SANDBOX_FAILED; SANDBOX_UNUSABLE; the signal's reason
   */
  take(image: SandboxImage, limits: SandboxLimits, signal: AbortSignal): Promise<PooledSandbox<Session>>
  /** Changes what waits, e.g. when an image becomes popular. What is too much is removed. */
  setWarm(warm: readonly WarmImage[]): void
  /** Waiting sandboxes by image digest, for metrics. */
  waiting(): ReadonlyMap<string, number>
  /** No more sandboxes; what waits is removed, what serves a task goes on until it is released. Resolves with the last. */
  drain(): Promise<void>
  /** Removes everything now. */
  stop(): Promise<void>
}

export function createSandboxPool<Session>(
  components: SandboxPoolComponents<Session>,
  init: SandboxPoolInit
): SandboxPool<Session> {
  return new WarmPool(components, init)
}

interface Waiting<Session> {
  sandbox: Sandbox
  session: Session
  extras: string | null
}

class WarmPool<Session> implements SandboxPool<Session> {
  private readonly shelves = new Map<string, Waiting<Session>[]>()
  /** Every sandbox that exists, so that stop() finds it in whatever state. */
  private readonly all = new Set<Sandbox>()
  private readonly ending = new AbortController()
  private readonly work = new Set<Promise<unknown>>()
  private warm: readonly WarmImage[]
  private warming = 0
  private failures = 0
  private pausedUntil = 0

  constructor(
    private readonly components: SandboxPoolComponents<Session>,
    private readonly init: SandboxPoolInit
  ) {
    this.warm = init.warm
    this.refill()
  }

  async take(image: SandboxImage, limits: SandboxLimits, signal: AbortSignal): Promise<PooledSandbox<Session>> {
    signal.throwIfAborted()
    this.refuseWhenEnding()
    const { limits: waiting } = this.init
    const same =
      limits.diskBytes === waiting.diskBytes && limits.files === waiting.files && limits.fileBytes === waiting.fileBytes
    for (let found = same ? this.shelves.get(image.digest)?.shift() : undefined; found !== undefined;) {
      this.refillLater()
      try {
        await found.sandbox.setLimits(limits)
        signal.throwIfAborted()
        return this.handOut(found, true)
      } catch (error) {
        // It died while it waited, or its limits can't be set: it serves nobody, the next one or a fresh one does.
        this.inBackground(this.discard(found.sandbox))
        signal.throwIfAborted()
        this.components.log.warn({ error }, 'a waiting sandbox could not be used')
        found = this.shelves.get(image.digest)?.shift()
      }
    }
    const fresh = this.start(image, limits, AbortSignal.any([signal, this.ending.signal]))
    return this.handOut(await this.inBackground(fresh), false)
  }

  private handOut({ sandbox, session, extras }: Waiting<Session>, warm: boolean): PooledSandbox<Session> {
    return { sandbox, session, extras, warm, release: () => this.discard(sandbox) }
  }

  setWarm(warm: readonly WarmImage[]): void {
    this.warm = warm
    for (const [digest, shelf] of this.shelves) {
      const wanted = warm.find(({ image }) => image.digest === digest)?.size ?? 0
      for (const { sandbox } of shelf.splice(wanted)) this.inBackground(this.discard(sandbox))
    }
    this.refill()
  }

  waiting(): ReadonlyMap<string, number> {
    return new Map([...this.shelves].map(([digest, shelf]) => [digest, shelf.length]))
  }

  async drain(): Promise<void> {
    this.ending.abort(ended())
    for (const shelf of this.shelves.values()) {
      for (const { sandbox } of shelf.splice(0)) this.inBackground(this.discard(sandbox))
    }
    while (this.work.size > 0) await Promise.allSettled(this.work)
    // What serves a task is removed by its release().
    while (this.all.size > 0) await Promise.race([...this.all].map(sandbox => this.removed(sandbox)))
  }

  async stop(): Promise<void> {
    this.ending.abort(ended())
    while (this.work.size > 0 || this.all.size > 0) {
      await Promise.allSettled([...this.work, ...[...this.all].map(sandbox => this.discard(sandbox))])
    }
  }

  private readonly removals = new Map<Sandbox, PromiseWithResolvers<void>>()
  private readonly extras = new Map<Sandbox, Extras>()

  private removed(sandbox: Sandbox): Promise<void> {
    const known = this.removals.get(sandbox) ?? Promise.withResolvers<void>()
    this.removals.set(sandbox, known)
    return known.promise
  }

  private async discard(sandbox: Sandbox): Promise<void> {
    try {
      await sandbox.remove()
    } finally {
      await this.removeExtras(this.extras.get(sandbox))
      this.extras.delete(sandbox)
      this.all.delete(sandbox)
      this.removals.get(sandbox)?.resolve()
      this.removals.delete(sandbox)
    }
  }

  /** Starts what is missing, one after the other, and goes on until nothing is. */
  private refill(): void {
    if (this.ending.signal.aborted || this.warming >= WARMING_AT_ONCE) return
    const missing = this.missing()
    if (missing === undefined) return
    this.warming++
    this.inBackground(this.warmOne(missing)).catch(() => {})
  }

  private refillLater(): void {
    const { later = (work, ms) => void setTimeout(work, ms).unref() } = this.components
    later(() => this.refill(), REFILL_AFTER_MS)
  }

  private missing(): WarmImage | undefined {
    const held = [...this.shelves.values()].reduce((sum, shelf) => sum + shelf.length, 0)
    const { maxMemoryBytes = Infinity, limits } = this.init
    if ((held + 1) * limits.memoryBytes > maxMemoryBytes) return undefined
    return this.warm.find(({ image, size }) => (this.shelves.get(image.digest)?.length ?? 0) < size)
  }

  private async warmOne({ image }: WarmImage): Promise<void> {
    const { log } = this.components
    try {
      const pause = this.pausedUntil - Date.now()
      if (pause > 0) await delay(pause, undefined, { signal: this.ending.signal })
      const started = await this.start(image, this.init.limits, this.ending.signal)
      this.failures = 0
      if (this.ending.signal.aborted || !this.wanted(image)) return await this.discard(started.sandbox)
      this.shelve(image.digest, started)
      log.info({ image: image.digest }, 'a sandbox is warm')
    } catch (error) {
      if (this.ending.signal.aborted) return
      this.failures++
      // Half of it by chance, so that providers which failed together don't try again together.
      const longest = Math.min(LONGEST_BACK_OFF_MS, BACK_OFF_MS * 2 ** (this.failures - 1))
      this.pausedUntil = Date.now() + longest * (0.5 + Math.random() / 2)
      log.warn({ image: image.digest, failures: this.failures, error }, 'a sandbox could not be warmed')
    } finally {
      this.warming--
      this.refill()
    }
  }

  private wanted(image: SandboxImage): boolean {
    const size = this.warm.find(entry => entry.image.digest === image.digest)?.size ?? 0
    return (this.shelves.get(image.digest)?.length ?? 0) < size
  }

  private shelve(digest: string, waiting: Waiting<Session>): void {
    const shelf = this.shelves.get(digest) ?? []
    this.shelves.set(digest, shelf)
    shelf.push(waiting)
    // One that dies while it waits (killed for want of memory, say) is replaced at once, not found out by a task.
    void waiting.sandbox.exited.then(() => {
      const place = shelf.indexOf(waiting)
      if (place === -1) return
      shelf.splice(place, 1)
      this.inBackground(this.discard(waiting.sandbox)).catch(() => {})
      this.refill()
    })
  }

  private async start(image: SandboxImage, limits: SandboxLimits, signal: AbortSignal): Promise<Waiting<Session>> {
    const { runtime, start } = this.components
    const timeout = AbortSignal.timeout(this.init.startTimeout ?? 60_000)
    const either = AbortSignal.any([signal, timeout])
    const extras = await this.components.extras?.()
    const mounts: SandboxMount[] = extras === undefined ? [] : [{ source: extras.folder, target: SANDBOX_EXTRAS }]
    let sandbox: Sandbox
    try {
      sandbox = await runtime.create({ image, argv: this.init.argv, mounts, limits }, either)
    } catch (error) {
      await this.removeExtras(extras)
      throw error
    }
    this.all.add(sandbox)
    if (extras !== undefined) this.extras.set(sandbox, extras)
    try {
      const died = sandbox.exited.then(({ code }) => {
        throw new PekkaError('SANDBOX_FAILED', { issue: `the runner ended with ${code} before it was ready` })
      })
      died.catch(() => {})
      const session = await Promise.race([start(sandbox, either), died, aborted(either)])
      return { sandbox, session, extras: extras?.folder ?? null }
    } catch (error) {
      await this.discard(sandbox)
      signal.throwIfAborted()
      if (timeout.aborted) throw new PekkaError('SANDBOX_FAILED', { issue: 'the runner was not ready in time' })
      throw error
    }
  }

  private async removeExtras(extras: Extras | undefined): Promise<void> {
    try {
      await extras?.remove()
    } catch (error) {
      this.components.log.warn({ error }, 'the extras of a sandbox could not be removed')
    }
  }

  private inBackground<T>(work: Promise<T>): Promise<T> {
    const tracked = work.catch(() => {}).finally(() => this.work.delete(tracked))
    this.work.add(tracked)
    return work
  }

  private refuseWhenEnding(): void {
    if (this.ending.signal.aborted) throw ended()
  }
}

const ended = () => new PekkaError('SANDBOX_FAILED', { issue: 'this provider is stopping' })

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
