import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { PekkaError, equalBytes, toHex } from '@pekka/node/protocol'
import { isFull } from '../disk.js'
import { syncDirectory } from './directory.js'

/**
 * Sealed blobs by hash, per owner: files that are there only whole. Who may read one is the caller's matter; that owners
 * share no directory keeps one from deleting what another also sent.
 */
export class BlobStore {
  private constructor(private readonly directory: string) {}

  static async open(directory: string): Promise<BlobStore> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const drafts = join(directory, 'drafts')
    await rm(drafts, { recursive: true, force: true })
    await mkdir(drafts, { mode: 0o700 })
    return new BlobStore(directory)
  }

  /**
   * Takes a blob in. It is on the disk when this resolves; the same blob again costs nothing but the reading.
   * @throws PekkaError BLOB_MISMATCH (not this hash), BLOB_TOO_LARGE, BRIDGE_FULL
   */
  async put(owner: Uint8Array, hash: Uint8Array, bytes: AsyncIterable<Uint8Array>, max: number): Promise<number> {
    const draft = join(this.directory, 'drafts', randomBytes(12).toString('hex'))
    const hasher = createHash('sha256')
    let size = 0
    try {
      const handle = await open(draft, 'wx', 0o600)
      try {
        for await (const chunk of bytes) {
          size += chunk.length
          if (size > max) throw new PekkaError('BLOB_TOO_LARGE', { max })
          hasher.update(chunk)
          await handle.writeFile(chunk)
        }
        if (!equalBytes(hasher.digest(), hash)) throw new PekkaError('BLOB_MISMATCH')
        await handle.sync()
      } finally {
        await handle.close()
      }
      const folder = this.#folder(owner)
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await rename(draft, this.#path(owner, hash))
      await syncDirectory(folder)
      await syncDirectory(this.directory)
      return size
    } catch (cause) {
      await rm(draft, { force: true })
      if (isFull(cause)) throw new PekkaError('BRIDGE_FULL', {}, { cause })
      throw cause
    }
  }

  /** Whether the blob is here; if so, it counts as new again, so that nobody sweeps it away before it is used. */
  async touch(owner: Uint8Array, hash: Uint8Array): Promise<boolean> {
    const now = new Date()
    return await utimes(this.#path(owner, hash), now, now).then(
      () => true,
      () => false
    )
  }

  /** Bytes of a blob, or null where it isn't here. */
  async size(owner: Uint8Array, hash: Uint8Array): Promise<number | null> {
    try {
      return (await stat(this.#path(owner, hash))).size
    } catch {
      return null
    }
  }

  read(owner: Uint8Array, hash: Uint8Array, chunk = 256 << 10): Readable {
    return createReadStream(this.#path(owner, hash), { highWaterMark: chunk })
  }

  async remove(owner: Uint8Array, hash: Uint8Array): Promise<void> {
    await rm(this.#path(owner, hash), { force: true })
  }

  /** All blobs that are older than `before` (ms since 1970; default: all), for the sweeper: those nobody came to use. */
  async *all(before = Infinity): AsyncGenerator<{ owner: string; hash: string; size: number }> {
    for (const owner of await readdir(this.directory)) {
      if (owner === 'drafts') continue
      for (const hash of await readdir(join(this.directory, owner))) {
        const found = await stat(join(this.directory, owner, hash)).catch(() => null)
        if (found !== null && found.mtimeMs < before) yield { owner, hash, size: found.size }
      }
    }
  }

  #folder(owner: Uint8Array): string {
    return join(this.directory, toHex(owner))
  }

  #path(owner: Uint8Array, hash: Uint8Array): string {
    return join(this.#folder(owner), toHex(hash))
  }
}
