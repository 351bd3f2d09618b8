import {
  ACK_WINDOW_BYTES,
  type ProviderMessage,
  type RunHeader,
  type SignedHead,
  type Stored
} from '@pekka/node/protocol'
import type { RunFile } from './run-file.js'

/** Bytes of frames in one message: a quarter of the window, so that acknowledgements come while the next ones travel. */
const MESSAGE_BYTES = ACK_WINDOW_BYTES / 4
const MESSAGE_FRAMES = 512

/** The way to the bridge, for as long as one link lives. */
export interface LinkSender {
  send(message: ProviderMessage): Promise<void>
  /** Hands a blob over; resolves when the bridge has stored it. */
  putBlob(task: Uint8Array, hash: Uint8Array, sealed: Uint8Array): Promise<void>
}

export interface DeliveryInit {
  /** Told of each acknowledgement. */
  onAcknowledged?: (count: number) => void
  /** Told of what goes wrong besides the link itself: reading the disk, handing over a blob. */
  onError?: (error: unknown) => void
}

/**
 * Brings one run's frames from disk to the bridge, at most ACK_WINDOW_BYTES ahead of its acknowledgements, over as many lives of the
 * link as it takes. Nothing is forgotten before it is acknowledged.
 */
export class Delivery {
  #link: LinkSender | null = null
  /** Frames below this have been given to this life of the link. */
  #sent = 0
  #acknowledged = 0
  #announced = false
  #pumping = false
  #changed = false
  #heads: SignedHead[] = []
  #lastHead: SignedHead | null = null
  /** Blobs that the bridge must have before it gets frame `before`. */
  #blobs: { hash: Uint8Array; before: number }[] = []
  #stored: Stored | null = null
  #waiters: (() => void)[] = []

  constructor(
    readonly file: RunFile,
    private readonly init: DeliveryInit = {}
  ) {}

  get header(): RunHeader {
    return this.file.header
  }

  /** Frames that the bridge has on its disk. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** The bridge's last signed word (R8). */
  get stored(): Stored | null {
    return this.#stored
  }

  get complete(): boolean {
    return this.#acknowledged >= this.file.count
  }

  /** Bytes on disk that the bridge hasn't acknowledged. */
  get behind(): number {
    return this.file.bytesFrom(this.#acknowledged)
  }

  /** A link has come up. It is told first how far the bridge is, by `acknowledge`, if the bridge knows the run. */
  attach(link: LinkSender, known: number): void {
    this.#link = link
    this.#sent = known
    this.#announced = false
    if (this.#lastHead !== null && this.#heads.at(-1) !== this.#lastHead) this.#heads.push(this.#lastHead)
    if (known > this.#acknowledged) this.acknowledge(known, null)
    void this.pump()
  }

  detach(link: LinkSender): void {
    if (this.#link === link) this.#link = null
  }

  head(head: SignedHead): void {
    this.#lastHead = head
    this.#heads.push(head)
    // While the link is away only the newest matter: they cover what the older ones do.
    if (this.#heads.length > 64) this.#heads.splice(0, this.#heads.length - 32)
    void this.pump()
  }

  blob(hash: Uint8Array, before: number): void {
    this.#blobs.push({ hash, before })
  }

  acknowledge(count: number, stored: Stored | null): void {
    // A bridge that acknowledges what it never got gets nothing from it: frames stay until the ledger has closed the task.
    const most = Math.min(count, this.file.count)
    if (stored !== null && (this.#stored === null || stored.count > this.#stored.count)) this.#stored = stored
    if (most > this.#acknowledged) {
      this.#acknowledged = most
      if (this.#sent < most) this.#sent = most
      this.init.onAcknowledged?.(most)
    }
    this.#wake()
    void this.pump()
  }

  /** Resolves when less than `bytes` are unacknowledged, or the signal is aborted. */
  async waitUntilBehind(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.behind >= bytes && !signal.aborted) await this.#change(signal)
  }

  /** Resolves with true when the bridge has signed for all frames, with false when the signal is aborted first. */
  async waitForStored(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (this.#stored !== null && this.#stored.count >= this.file.count) return true
      await this.#change(signal)
    }
    return false
  }

  /** Sends what may be sent. Called at every change; does nothing while it is under way. */
  async pump(): Promise<void> {
    this.#changed = true
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#changed) {
        // What changes while a step is under way is looked at by the next one.
        this.#changed = false
        while (await this.#step());
      }
    } catch (error) {
      this.init.onError?.(error)
    } finally {
      this.#pumping = false
    }
  }

  /** Sends one message, if there is one to send and room for it. */
  async #step(): Promise<boolean> {
    const link = this.#link
    if (link === null) return false
    try {
      if (!this.#announced) {
        this.#announced = true
        await link.send({ kind: 'run', header: this.header })
        return true
      }
      // A bridge signs for a head only where it stands exactly there: each goes right behind its last frame (R7, R8).
      while (this.#heads[0] !== undefined && this.#heads[0].count < this.#sent) this.#heads.shift()
      if (this.#heads[0]?.count === this.#sent) {
        const [head] = this.#heads.splice(0, 1)
        if (head !== undefined) await link.send({ kind: 'head', head })
        return true
      }
      return await this.#sendFrames(link)
    } catch (error) {
      // The link is gone; its successor attaches and is told everything again.
      this.detach(link)
      this.init.onError?.(error)
      return this.#link !== null
    }
  }

  async #sendFrames(link: LinkSender): Promise<boolean> {
    const from = this.#sent
    const room = ACK_WINDOW_BYTES - (this.file.bytesFrom(this.#acknowledged) - this.file.bytesFrom(from))
    if (from >= this.file.count || room <= 0) return false
    const gate = this.#blobs[0]
    if (gate !== undefined && gate.before <= from) {
      await link.putBlob(this.header.task, gate.hash, await this.file.readBlob(gate.hash))
      if (this.#blobs[0] === gate) this.#blobs.shift()
      return true
    }
    const until = Math.min(gate?.before ?? Infinity, this.#heads[0]?.count ?? Infinity)
    const most = Math.min(MESSAGE_FRAMES, until - from)
    const frames = await this.file.read(from, most, Math.min(room, MESSAGE_BYTES))
    // An acknowledgement or another link may have come meanwhile.
    if (this.#link !== link || this.#sent !== from) return true
    this.#sent = from + frames.length
    const { task, attempt, run } = this.header
    await link.send({ kind: 'frames', task, attempt, run, index: from, frames })
    return true
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        signal.removeEventListener('abort', done)
        resolve()
      }
      if (signal.aborted) return resolve()
      signal.addEventListener('abort', done, { once: true })
      this.#waiters.push(done)
    })
  }
}
