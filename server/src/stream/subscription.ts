import { ACK_WINDOW_BYTES } from '@pekka/node/protocol'
import { PAGE_BYTES, type RawEntry, type TaskLog } from '../eventlog/index.js'
import { STALL_LIMIT_MS, type ReaderGate } from '../links/index.js'

export interface SubscriptionComponents {
  log: TaskLog
  /** Lets go of the log. */
  release: () => void
  gate: ReaderGate
  /** Sends a page; what the socket buffers is bounded by the window. */
  send: (entries: RawEntry[]) => void
  /** The reader has kept a provider waiting for too long. */
  stalled: () => void
  /** Reading failed. */
  failed: (error: unknown) => void
}

/**
 * One reader of one task: what is in the log first, then what comes, at most a window unacknowledged. What doesn't fit the
 * window stays on the disk.
 */
export class Subscription {
  #next: number
  /** Sent and not acknowledged: the number after each page's last entry, and its bytes. */
  #open: { end: number; bytes: number }[] = []
  #openBytes = 0
  #pumping = false
  #ended = false
  #stallTimer: NodeJS.Timeout | null = null
  readonly #unlisten: () => void

  constructor(
    private readonly task: Uint8Array,
    after: number,
    private readonly components: SubscriptionComponents
  ) {
    this.#next = Math.min(after + 1, components.log.end)
    this.#unlisten = components.log.onAppend(() => this.#pump())
    this.#pump()
  }

  /** Entries up to `n` are taken. */
  acknowledge(n: number): void {
    let first = this.#open[0]
    while (first !== undefined && first.end <= n + 1) {
      this.#openBytes -= first.bytes
      this.#open.shift()
      first = this.#open[0]
    }
    this.#watch(true)
    this.#pump()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#unlisten()
    if (this.#stallTimer !== null) clearTimeout(this.#stallTimer)
    this.components.gate.leave(this.task, this)
    this.components.release()
  }

  /** Sends as much as the window takes. From memory at once; from the disk page by page. */
  #pump(): void {
    if (this.#pumping || this.#ended) return
    const { log } = this.components
    if (log.failed !== null) return this.components.failed(log.failed)
    while (this.#next < log.end && this.#openBytes < ACK_WINDOW_BYTES) {
      const entries = log.readTail(this.#next, this.#room())
      if (entries === null) {
        this.#pumping = true
        log
          .read(this.#next, this.#room())
          .then(read => {
            this.#pumping = false
            if (this.#ended) return
            this.#send(read)
            this.#pump()
          })
          .catch(error => this.components.failed(error))
        return
      }
      if (entries.length === 0) break
      this.#send(entries)
    }
    this.#watch(false)
  }

  #room(): number {
    return Math.min(PAGE_BYTES, ACK_WINDOW_BYTES - this.#openBytes)
  }

  #send(entries: RawEntry[]): void {
    const last = entries.at(-1)
    if (last === undefined) return
    const bytes = entries.reduce((sum, entry) => sum + entry.size, 0)
    this.#next = last.n + 1
    this.#open.push({ end: last.n + 1, bytes })
    this.#openBytes += bytes
    this.components.send(entries)
  }

  /** Says how far behind the reader is, and begins or ends to wait for it. */
  #watch(progressed: boolean): void {
    const { log, gate } = this.components
    const full = this.#openBytes >= ACK_WINDOW_BYTES && this.#next < log.end
    gate.report(this.task, this, full ? log.bytesAfter(this.#next) : 0, full)
    const held = gate.isHeld(this.task) && full
    if (this.#stallTimer !== null && (progressed || !held)) {
      clearTimeout(this.#stallTimer)
      this.#stallTimer = null
    }
    if (held && this.#stallTimer === null) {
      this.#stallTimer = setTimeout(() => this.components.stalled(), STALL_LIMIT_MS)
      this.#stallTimer.unref()
    }
  }
}
