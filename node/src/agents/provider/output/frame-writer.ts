import { createHash } from 'node:crypto'
import {
  chainHead,
  encodeCbor,
  encodeFrames,
  firstHead,
  sealBlob,
  sealFrame,
  signHead,
  type Aead,
  type BlobRef,
  type FrameContent,
  type RunBinding,
  type RunHeader,
  type RunKeys,
  type SignedHead,
  type Signer
} from '@pekka/node/protocol'
import { HEAD_INTERVAL_MS } from '../constants.js'
import type { RunFile } from './run-file.js'

export interface FrameWriterComponents {
  aead: Aead
  /** The agent's key. */
  signer: Signer
  file: RunFile
  /** Told of each signed head; heads come in order. */
  onHead: (head: SignedHead) => void
  /** Told when frames up to `count` are on disk. */
  onWritten: (count: number) => void
  /** Told of a sealed blob that the frame with number `before` and those after it refer to. */
  onBlob: (hash: Uint8Array, before: number) => void
}

/**
 * Seals a run's output under the run's own keys, numbers and chains the frames, signs the chain's head (R5, R7) and puts them on
 * disk. The counter lives in this object and is never resumed: a restart is a new run with a new key.
 */
export class FrameWriter {
  #head: Uint8Array
  #count = 0
  #blobs = 0
  #signedAt = -Infinity
  #tail: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly components: FrameWriterComponents,
    private readonly header: RunHeader,
    private readonly keys: RunKeys,
    /** Monotonic milliseconds. */
    private readonly now: () => number = () => performance.now()
  ) {
    this.#head = firstHead(header)
  }

  /** The chain so far. */
  get chain(): { count: number; head: Uint8Array } {
    return { count: this.#count, head: this.#head }
  }

  /**
   * Seals a batch and appends it; resolves with the chain behind it when it is on disk. Calls keep their order. `last` signs the head in
   * any case. A batch that names the chain before it is made when its turn comes.
   */
  write(
    content: FrameContent | ((before: { count: number; head: Uint8Array }) => FrameContent),
    last = false
  ): Promise<{ count: number; head: Uint8Array }> {
    return this.#inOrder(async () => {
      const sealed: Uint8Array[] = []
      for (const plaintext of encodeFrames(typeof content === 'function' ? content(this.chain) : content)) {
        const index = this.#count
        const frame = await sealFrame(this.components.aead, this.keys.frame, this.#binding(), index, plaintext)
        this.#head = chainHead(this.#head, index, nativeHash(frame))
        this.#count = index + 1
        sealed.push(frame)
      }
      const { count, head } = this.chain
      await this.components.file.append(sealed)
      const due = this.now() - this.#signedAt >= HEAD_INTERVAL_MS
      if (last || due) {
        this.#signedAt = this.now()
        const { network, task, attempt, run } = this.header
        this.components.onHead(await signHead(network, { task, attempt, run, count, head }, this.components.signer))
      }
      this.components.onWritten(count)
      return { count, head }
    })
  }

  /** Seals a value that is too large for a frame under a key of its own and returns what stands for it. */
  blob(value: unknown): Promise<BlobRef> {
    return this.#inOrder(async () => {
      const n = this.#blobs++
      const sealed = await sealBlob(this.components.aead, this.keys.blob(n), this.#binding(), n, encodeCbor(value))
      const hash = nativeHash(sealed)
      await this.components.file.putBlob(hash, sealed)
      this.components.onBlob(hash, this.#count)
      return { blob: n, hash, size: sealed.length }
    })
  }

  #binding(): RunBinding {
    const { network, task, attempt, run } = this.header
    return { network, task, attempt, run }
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work)
    this.#tail = result.catch(() => {})
    return result
  }
}

/** SHA-256 by the system: on full frames ten times as fast as the portable one. */
const nativeHash = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())
