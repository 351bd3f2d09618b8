import { PekkaError } from '@pekka/node/protocol'

export type WriteOperation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

/** What takes a batch: `level`. */
export interface BatchTarget {
  batch(operations: WriteOperation[], options: { sync: boolean }): Promise<void>
}

/**
 * Writes many small changes as few batches: what comes while one is written goes into the next, and a batch is forced to
 * the disk once for all in it that asked.
 */
export class GroupWriter {
  #pending = new Map<string, WriteOperation>()
  #durable = false
  #next: Promise<void> | null = null
  #running: Promise<unknown> = Promise.resolve()

  constructor(private readonly target: BatchTarget) {}

  /**
   * Resolves when the changes are written, and on the disk if `durable`. Changes of one call are written together or not at
   * all. @throws PekkaError DISK_FULL, INTERNAL
   */
  write(operations: WriteOperation[], durable: boolean): Promise<void> {
    for (const operation of operations) this.#pending.set(operation.key, operation)
    this.#durable ||= durable
    if (this.#next !== null) return this.#next
    const next = this.#running.then(() => this.#flush())
    this.#next = next
    this.#running = next.catch(() => undefined)
    return next
  }

  /** Resolves once all that was given is written. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #flush(): Promise<void> {
    const operations = [...this.#pending.values()]
    const sync = this.#durable
    this.#pending = new Map()
    this.#durable = false
    this.#next = null
    try {
      await this.target.batch(operations, { sync })
    } catch (cause) {
      throw new PekkaError('INTERNAL', { id: 'table-write' }, { cause })
    }
  }
}
