import { existsSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Every file below a folder, with its bytes. Processes go on writing there: what one of them has replaced or renamed between the
 * listing and the reading is looked for again, wherever it stands now.
 */
export async function contentsUnder(folder: string): Promise<[path: string, bytes: Buffer][]> {
  for (;;) {
    try {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true })
      const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
      return await Promise.all(paths.map(async (path): Promise<[string, Buffer]> => [path, await readFile(path)]))
    } catch (error) {
      const gone = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!gone || !existsSync(folder)) throw error
    }
  }
}
