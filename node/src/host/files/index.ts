/**
 * Files that others read while they are written: they hold the old text or the new, never a part.
 *
 * @packageDocumentation
 */
import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'

export interface ReplaceOptions {
  /** Permission bits of the new file; what only its owner may read by default. */
  mode?: number
  /** Whether the text must be on disk before the file changes: a key or a state yes, an announcement no. Default: yes. */
  flush?: boolean
}

/**
 * Writes a file whole, in a draft beside it that takes its place at once. A crash leaves the old file, and perhaps a draft
 * (`<path>.<uuid>.new`); of two writers at once the later one's text stays.
 * @throws the file system's error; the old file is whole then, and the draft is gone
 */
export async function replaceFile(
  path: string,
  data: string | Uint8Array,
  { mode = 0o600, flush = true }: ReplaceOptions = {}
): Promise<void> {
  const draft = `${path}.${randomUUID()}.new`
  try {
    await writeFile(draft, data, { mode, flush })
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw error
  }
}
