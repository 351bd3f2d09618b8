import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'

/** Which text of an example was last copied: a file that still has it is ours to renew, any other is the user's. */
type Copied = Record<string, string>

/**
 * Copies the examples into the user's folder. A file that the user has changed, moved or deleted stays as it is.
 *
 * @param record where is kept what was copied
 */
export async function copyExamples(
  work: string,
  record: string,
  source: string = join(ROOT, 'notebooks')
): Promise<void> {
  await mkdir(work, { recursive: true })
  const copied: Copied = await readFile(record, 'utf8').then(JSON.parse, () => ({}))
  const files = await readdir(source, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const file of files.filter(entry => entry.isFile() && !entry.name.startsWith('.'))) {
    const from = join(file.parentPath, file.name)
    const name = from.slice(source.length + 1)
    const text = await readFile(from)
    const to = join(work, name)
    const there = await readFile(to).catch(() => undefined)
    const isUsers = there === undefined ? name in copied : digest(there) !== copied[name]
    if (isUsers || (there !== undefined && there.equals(text))) continue
    await mkdir(dirname(to), { recursive: true })
    await writeFile(to, text)
    copied[name] = digest(text)
  }
  await writeFile(record, JSON.stringify(copied))
}

/**
 * The same for a folder that the user named: a new or empty one gets the examples, one that holds the user's own work is left alone.
 *
 * @param records folder where is kept what was copied where
 */
export async function offerExamples(folder: string, records: string, source?: string): Promise<void> {
  const record = join(records, `${digest(Buffer.from(folder)).slice(0, 16)}.json`)
  const there = await readdir(folder).catch(() => [])
  if (there.length > 0 && !existsSync(record)) return
  await mkdir(records, { recursive: true })
  await copyExamples(folder, record, source)
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
