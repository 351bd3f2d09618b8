import { open, type FileHandle } from 'node:fs/promises'

/** Makes new names of a directory durable; callers that come while one sync runs share the next. */
export class DirectorySync {
  #next: Promise<void> | null = null
  #running: Promise<unknown> = Promise.resolve()
  /** Stays open: opening and closing it cost as much as the sync. */
  #handle: Promise<FileHandle> | null = null

  constructor(private readonly path: string) {}

  sync(): Promise<void> {
    if (this.#next !== null) return this.#next
    const next = this.#running.then(() => {
      this.#next = null
      return this.#sync()
    })
    this.#next = next
    this.#running = next.catch(() => undefined)
    return next
  }

  /** Lets go of the directory; the next sync opens it again. */
  async close(): Promise<void> {
    await this.#running
    const handle = this.#handle
    this.#handle = null
    await (await handle)?.close()
  }

  async #sync(): Promise<void> {
    this.#handle ??= open(this.path, 'r')
    try {
      await (await this.#handle).sync()
    } catch (error) {
      const handle = await this.#handle.catch(() => null)
      this.#handle = null
      await handle?.close().catch(() => undefined)
      throw error
    }
  }
}

/** Waits until the names in a directory are on the disk. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
