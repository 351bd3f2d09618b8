import { PekkaError, toHex } from '@pekka/node/protocol'

export interface UploadsComponents {
  blobs: {
    size(owner: Uint8Array, hash: Uint8Array): Promise<number | null>
    /** All that is kept, of all owners. */
    all(): AsyncIterable<{ owner: string; hash: string; size: number }>
  }
  refs: { used(account: string, hash: string): Promise<boolean> }
}

export interface UploadsInit {
  /** Bytes that one account, and all together, may have here before a task names them. */
  perAccount: number
  total: number
}

/**
 * Bounds what is sent here ahead of tasks. Bytes that a task names are paid for in other ways (its offer locks money); bytes
 * that none names cost their sender nothing, so nobody may pile them up. What no task names within an hour is swept away.
 */
export class Uploads {
  /** Sizes by account and hash of what had no task when it was last looked at. */
  readonly #waiting = new Map<string, Map<string, number>>()
  /** Bytes that are being sent, by account. */
  readonly #coming = new Map<string, number>()
  #loading: Promise<void> | null = null

  constructor(
    private readonly components: UploadsComponents,
    private readonly init: UploadsInit
  ) {}

  /**
   * Takes a blob in, if there is room for it.
   * @param declared its size, where the sender says it
   * @param write stores it; told how large it may be at most. @returns its size
   * @throws PekkaError BLOB_QUOTA, BRIDGE_BUSY (all accounts together), and what `write` throws
   */
  async put(
    owner: Uint8Array,
    hash: Uint8Array,
    declared: number | undefined,
    max: number,
    write: (max: number) => Promise<number>
  ): Promise<void> {
    await (this.#loading ??= this.#load())
    const account = toHex(owner)
    const least = declared ?? 1
    if (least > this.#room(account)) await this.#forgetNamed()
    const room = this.#room(account)
    if (least > room) {
      const used = this.#used(account)
      if (used + least > this.init.perAccount) throw new PekkaError('BLOB_QUOTA', { used, max: this.init.perAccount })
      throw new PekkaError('BRIDGE_BUSY')
    }
    const reserved = Math.min(declared ?? max, max, room)
    this.#coming.set(account, (this.#coming.get(account) ?? 0) + reserved)
    try {
      const size = await write(reserved)
      const mine = this.#waiting.get(account) ?? new Map<string, number>()
      this.#waiting.set(account, mine.set(toHex(hash), size))
    } finally {
      this.#coming.set(account, (this.#coming.get(account) ?? 0) - reserved)
    }
  }

  #used(account: string): number {
    const waiting = [...(this.#waiting.get(account)?.values() ?? [])]
    return waiting.reduce((sum, size) => sum + size, this.#coming.get(account) ?? 0)
  }

  #room(account: string): number {
    const all = new Set([...this.#waiting.keys(), ...this.#coming.keys()])
    const together = [...all].reduce((sum, one) => sum + this.#used(one), 0)
    return Math.min(this.init.perAccount - this.#used(account), this.init.total - together)
  }

  /** What an earlier life took in. */
  async #load(): Promise<void> {
    for await (const { owner, hash, size } of this.components.blobs.all()) {
      if (await this.components.refs.used(owner, hash)) continue
      const theirs = this.#waiting.get(owner) ?? new Map<string, number>()
      this.#waiting.set(owner, theirs.set(hash, size))
    }
  }

  /** Looks again which have a task by now, or are gone. */
  async #forgetNamed(): Promise<void> {
    const { blobs, refs } = this.components
    for (const [account, hashes] of this.#waiting) {
      for (const hash of [...hashes.keys()]) {
        const gone = (await blobs.size(Buffer.from(account, 'hex'), Buffer.from(hash, 'hex'))) === null
        if (gone || (await refs.used(account, hash))) hashes.delete(hash)
      }
      if (hashes.size === 0) this.#waiting.delete(account)
    }
  }
}
