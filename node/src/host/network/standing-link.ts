import { RECONNECT_MAX_MS, RECONNECT_MIN_MS } from './constants.js'
import type { MessageChannel, NetworkHost, Startable } from './index.js'

export interface StandingLinkComponents {
  host: NetworkHost
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

export interface StandingLinkInit {
  /** Addresses of one and the same peer, or of peers of which any will do; tried in turn. */
  addresses: readonly string[]
  protocol: string
  maxMessageBytes?: number
  /** First and longest pause between two tries, ms. */
  minDelay?: number
  maxDelay?: number
  /**
   * Serves one life of the link; when it returns or throws, the link is made again. `established` says that it works, so
   * that the pauses start small again.
   */
  serve: (channel: MessageChannel, signal: AbortSignal, established: () => void) => Promise<void>
  /** A life of the link has ended by a failure, or none began. */
  onFailure?: (error: unknown) => void
}

/** How long a farewell may take when we stop, ms: a round trip on a bad line. */
const FAREWELL_MS = 500

/** Keeps a stream to another host open, for as long as it runs: dials, serves, dials again with growing, jittered pauses. */
export class StandingLink implements Startable {
  readonly #stopping = new AbortController()
  #running: Promise<void> | null = null
  /** Failures since the link last worked. */
  #failures = 0

  constructor(
    private readonly components: StandingLinkComponents,
    private readonly init: StandingLinkInit
  ) {}

  async start(): Promise<void> {
    this.#running ??= this.#run(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the link is stopped'))
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn++) {
      const address = this.init.addresses[turn % this.init.addresses.length]
      if (address === undefined) return
      try {
        await this.#live(address, signal)
      } catch (error) {
        if (signal.aborted) return
        const { protocol, onFailure } = this.init
        onFailure?.(error)
        // The first time in full; that it still doesn't answer needs no stack.
        if (this.#failures === 0) this.components.log.warn({ err: error, address, protocol }, 'link lost')
        else this.components.log.info({ reason: String(error), address, tries: this.#failures }, 'still no link')
      }
      await pause(this.#delay(), signal)
      this.#failures += 1
    }
  }

  async #live(address: string, signal: AbortSignal): Promise<void> {
    const { protocol, maxMessageBytes } = this.init
    const channel = await this.components.host.open(address, protocol, { signal, maxMessageBytes })
    // A farewell that the other side can tell from a lost link; it needn't be answered.
    const end = () => void channel.close(AbortSignal.timeout(FAREWELL_MS))
    signal.addEventListener('abort', end, { once: true })
    try {
      await this.init.serve(channel, signal, () => (this.#failures = 0))
    } finally {
      signal.removeEventListener('abort', end)
      if (signal.aborted) await channel.close(AbortSignal.timeout(FAREWELL_MS))
      else channel.abort(new Error('the link ended'))
    }
  }

  /** Doubles with each failure; a random half of it keeps many providers from coming back in the same moment. */
  #delay(): number {
    const { minDelay = RECONNECT_MIN_MS, maxDelay = RECONNECT_MAX_MS } = this.init
    const full = Math.min(maxDelay, minDelay * 2 ** Math.min(this.#failures, 16))
    return full * (0.5 + Math.random() / 2)
  }
}

/** Waits, or returns early when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
