import type { KernelDoor } from './kernel.js'

/** Bytes of one piece towards the kernel: base64 in a request, which Jupyter's websocket takes up to 10 MB of. */
export const PIECE_BYTES = 4 << 20

/** Hands a value's bytes to the kernel, piece by piece: while it writes one, the next is opened and put into words. */
export class Delivery {
  #first = true
  #under: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly door: Pick<KernelDoor, 'call'>,
    private readonly id: string
  ) {}

  /** Resolves when the kernel has all but the last piece. @throws Error where the kernel fails */
  async add(part: Uint8Array): Promise<void> {
    for (let at = 0; at < part.length; at += PIECE_BYTES) {
      const next = this.door.call('returns.part', [this.id, part.subarray(at, at + PIECE_BYTES), this.#first])
      // Its failure is told by the next wait, also where an earlier one's comes first.
      next.catch(() => undefined)
      this.#first = false
      await this.#under
      this.#under = next
    }
  }

  /** Resolves when the kernel has all. @throws Error where the kernel fails */
  async end(): Promise<void> {
    await this.#under
  }
}
