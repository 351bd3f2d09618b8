import { RunnerSession, type RunCommand } from '@pekka/node/host/runner'
import {
  IMAGE_PYTHON,
  createSandboxPool,
  type PoolLog,
  type PooledSandbox,
  type SandboxImage,
  type SandboxLimits,
  type SandboxPool,
  type SandboxRuntime
} from '@pekka/node/host/sandbox'
import { MAX_RETURN_BYTES, PekkaError, toHex, type Bundle, type OfferTask } from '@pekka/node/protocol'
import { WARM_BYTES } from '../constants.js'
import type { TaskExtras } from '../intake/extras.js'
import type { OpenedTask } from '../intake/intake.js'
import { Warmth } from './warmth.js'

export type TakenSandbox = PooledSandbox<RunnerSession>

/** Where sandboxes for tasks come from. */
export interface Workshop {
  /** @throws PekkaError IMAGE_UNKNOWN, SANDBOX_FAILED; the signal's reason */
  take(task: OpenedTask, signal: AbortSignal): Promise<TakenSandbox>
  /** Removes all sandboxes. */
  stop(): Promise<void>
}

export interface WorkshopComponents {
  runtime: SandboxRuntime
  extras: TaskExtras
  log: PoolLog
}

export interface WorkshopInit {
  /** Images this machine sells, and how many sandboxes of each wait. */
  images: readonly { image: SandboxImage; warm: number }[]
  /** Memory for sandboxes of images that are warm only because they were used, bytes. Default: none are. */
  poolMemoryBytes?: number
  /** Limits of the sandboxes that wait: those of the ask. */
  resources: { milliCpus: number; memoryBytes: number; diskBytes: number }
}

/** Program of every sandbox: the runner, isolated from the user's own modules. */
const RUNNER_ARGV: readonly [string, ...string[]] = [IMAGE_PYTHON, '-I', '-u', '/opt/pekka/runner/main.py']

/** Processes and threads of a task. numpy on 64 cores takes 64, multiprocessing some more; a fork bomb is stopped at once. */
const MAX_PIDS = 512
/** Open files of one process: what Debian gives. */
const MAX_FILES = 1024

/** Sandboxes for tasks: warm ones where they wait, with the task's limits set. */
export class WarmWorkshop implements Workshop {
  readonly #pool: SandboxPool<RunnerSession>
  readonly #images: ReadonlyMap<string, SandboxImage>
  readonly #warmth: Warmth

  constructor(
    private readonly components: WorkshopComponents,
    init: WorkshopInit
  ) {
    const { runtime, extras, log } = components
    this.#images = new Map(init.images.map(({ image }) => [image.digest, image]))
    const entries = init.images.map(({ image, warm }) => ({ digest: image.digest, fixed: warm }))
    this.#warmth = new Warmth(entries, init.poolMemoryBytes ?? 0, WARM_BYTES)
    this.#pool = createSandboxPool<RunnerSession>(
      {
        runtime,
        extras: () => extras.create(),
        log,
        start: async (sandbox, signal) => {
          const session = new RunnerSession(sandbox)
          // Kept only until the runner is ready: later they may hold the user's words, and must not block it.
          let words = ''
          const keep = (part: Buffer) => (words = `${words}${part.toString()}`.slice(-2000))
          sandbox.stderr.on('data', keep)
          try {
            await session.ready(signal)
          } catch (error) {
            if (words !== '') log.warn({ stderr: words }, 'a runner did not get ready')
            throw error
          }
          sandbox.stderr.off('data', keep).resume()
          return session
        }
      },
      {
        argv: RUNNER_ARGV,
        limits: limitsOf(init.resources),
        warm: this.#warm()
      }
    )
  }

  async take({ offer, extras }: OpenedTask, signal: AbortSignal): Promise<TakenSandbox> {
    const image = this.#images.get(toHex(offer.image.digest))
    if (image === undefined) throw new PekkaError('IMAGE_UNKNOWN', { image: offer.image.name, known: '' })
    const taken = await this.#pool.take(image, limitsOf(offer.resources), signal)
    // After this task, not beside its start: warming takes a CPU for seconds.
    if (this.#warmth.used(image.digest)) this.#pool.setWarm(this.#warm())
    try {
      if (extras !== null && taken.extras !== null) await this.components.extras.fill(taken.extras, extras)
      return taken
    } catch (cause) {
      await taken.release()
      throw new PekkaError('SANDBOX_FAILED', { issue: 'its packages could not be put in place' }, { cause })
    }
  }

  #warm(): { image: SandboxImage; size: number }[] {
    const sizes = this.#warmth.sizes()
    return [...this.#images.values()].map(image => ({ image, size: sizes.get(image.digest) ?? 0 }))
  }

  /** Sandboxes that wait, by image digest. */
  waiting(): ReadonlyMap<string, number> {
    return this.#pool.waiting()
  }

  async stop(): Promise<void> {
    await this.#pool.stop()
  }
}

function limitsOf({
  milliCpus,
  memoryBytes,
  diskBytes
}: WorkshopInit['resources'] | OfferTask['resources']): SandboxLimits {
  return {
    cpus: milliCpus / 1000,
    memoryBytes,
    diskBytes,
    fileBytes: diskBytes,
    pids: MAX_PIDS,
    files: MAX_FILES
  }
}

/**
 * How long the task's cap pays for, ms: nobody works for nothing, and nobody is billed more than they said. At the price that the offer
 * names us with, which after an auction is another than the ask's (R31).
 */
export function paidMs({ offer, candidate, ask }: Pick<OpenedTask, 'offer' | 'candidate' | 'ask'>): number {
  const { pricePerSecond } = offer.candidates[candidate] ?? ask
  return pricePerSecond === 0n ? Infinity : Number((offer.cap * 1000n) / pricePerSecond)
}

/** What the runner is told to do: the task's own program, or a cell of its session. */
export function commandOf(
  { offer }: Pick<OpenedTask, 'offer'>,
  { bundle, wallMs, outputBytes, keep }: { bundle: Bundle; wallMs: number; outputBytes: number; keep: boolean }
): RunCommand {
  const { memoryBytes, diskBytes } = offer.resources
  const { cpuMs } = offer.limits
  const limits = { wallMs, cpuMs, memoryBytes, diskBytes, outputBytes, cellTextBytes: bundle.cellTextBytes }
  const { program, seed, numeric } = bundle
  const cpus = Math.max(1, Math.ceil(offer.resources.milliCpus / 1000))
  const returns = { ...bundle.returns, totalBytes: MAX_RETURN_BYTES }
  const common = { limits, seed, numeric, cpus, returns }
  if (program.kind === 'script') {
    const { file, source, args } = program
    return { kind: 'script', file, args, source, ...common }
  }
  return { kind: 'cells', cells: program.cells, stopOnError: program.stopOnError, keep, ...common }
}
