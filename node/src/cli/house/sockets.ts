import { lstat, mkdir, rm } from 'node:fs/promises'

/** Makes the folder of the sockets, for this user alone. In a folder that others can write to, one that isn't ours is refused. */
export async function makeSocketFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
    const found = await lstat(path)
    const own = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
    if (!own) throw new Error(`${path} belongs to somebody else or is open to others; remove it or set XDG_RUNTIME_DIR`)
  })
}

export const removeSocketFolder = (path: string): Promise<void> => rm(path, { recursive: true, force: true })
