import { open } from 'node:fs/promises'

/** Makes new names of a directory durable; callers that come while one sync runs share the next. */
export class DirectorySync {
  #next: Promise<void> | null = null
  #running: Promise<unknown> = Promise.resolve()

  constructor(private readonly path: string) {}

  sync(): Promise<void> {
    if (this.#next !== null) return this.#next
    const next = this.#running.then(() => {
      this.#next = null
      return syncDirectory(this.path)
    })
    this.#next = next
    this.#running = next.catch(() => undefined)
    return next
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
