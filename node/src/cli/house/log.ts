import { mkdir, open, readFile, rename, stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LOG_BYTES } from './constants.js'

/** Opens a log for appending, so that it stays readable whatever happens to the writer; one that has grown large is put aside. */
export async function openLog(path: string): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true })
  const size = await stat(path).then(
    found => found.size,
    () => 0
  )
  if (size > LOG_BYTES) await rename(path, `${path}.1`)
  return open(path, 'a', 0o600)
}

/** The last lines of a log. */
export async function lastLines(path: string, count: number): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-count)
}
