import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface RoomInit {
  /** Bytes that may stay. */
  maxBytes: number
  /** What was used within this time stays anyway, ms. */
  inUseMs: number
  /** Bytes of an entry; default: those of the file. */
  bytesOf?: (path: string) => Promise<number>
}

/** Removes entries of a folder, those first whose time of change is the oldest, until the rest has room. */
export async function makeRoom(folder: string, { maxBytes, inUseMs, bytesOf }: RoomInit): Promise<void> {
  const kept = await Promise.all(
    (await readdir(folder)).map(async name => {
      const path = join(folder, name)
      const status = await stat(path).catch(() => null)
      return { path, used: status?.mtimeMs ?? 0, bytes: bytesOf ? await bytesOf(path) : (status?.size ?? 0) }
    })
  )
  let sum = kept.reduce((total, { bytes }) => total + bytes, 0)
  for (const { path, used, bytes } of kept.sort((a, b) => a.used - b.used)) {
    if (sum <= maxBytes || used > Date.now() - inUseMs) break
    await rm(path, { recursive: true, force: true })
    sum -= bytes
  }
}
