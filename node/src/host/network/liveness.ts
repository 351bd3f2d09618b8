import { PekkaError } from '@pekka/node/protocol'
import { PING_INTERVAL_MS, SILENCE_LIMIT_MS } from './constants.js'
import type { MessageChannel } from './index.js'

export interface LivenessInit {
  /** Sends something small; called when nothing was sent for a while. A side that only answers leaves it out. */
  ping?: () => Promise<void>
  pingInterval?: number
  silenceLimit?: number
}

/**
 * Watches a standing link: pings when we were quiet, resets the stream when the other side was. Half-open connections (a
 * cable pulled, a laptop asleep) give no other sign.
 */
export class Liveness {
  #sentAt = performance.now()
  #heardAt = performance.now()
  readonly #timer: NodeJS.Timeout

  constructor(channel: MessageChannel, init: LivenessInit) {
    const interval = init.pingInterval ?? PING_INTERVAL_MS
    const limit = init.silenceLimit ?? SILENCE_LIMIT_MS
    this.#timer = setInterval(
      () => {
        const now = performance.now()
        if (now - this.#heardAt > limit) {
          this.stop()
          channel.abort(new PekkaError('LINK_TIMEOUT', { seconds: limit / 1000 }))
        } else if (init.ping !== undefined && now - this.#sentAt >= interval) {
          this.#sentAt = now
          // A failed ping is a lost link, which its reader finds out.
          init.ping().catch(() => {})
        }
      },
      Math.min(interval, limit) / 4
    )
    this.#timer.unref()
    void channel.closed.then(() => this.stop())
  }

  /** Call after each message sent. */
  sent(): void {
    this.#sentAt = performance.now()
  }

  /** Call for each message received, and when a message has been dealt with: a busy reader isn't a silent peer. */
  heard(): void {
    this.#heardAt = performance.now()
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
