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

/**
 * The last lines of a log for people: of our processes' JSON lines the warnings and errors as text, other programs' lines as they are.
 */
export async function lastWords(path: string, count: number): Promise<string[]> {
  return (await lastLines(path, count * 5)).flatMap(plain).slice(-count)
}

/** pino's number for warnings. */
const WARN = 40

function plain(line: string): string[] {
  if (!line.startsWith('{')) return [line]
  try {
    const entry: { level?: unknown; msg?: unknown; err?: { message?: unknown } } = JSON.parse(line)
    if (Number(entry.level) < WARN) return []
    return [[entry.msg, entry.err?.message].filter(text => typeof text === 'string').join(': ')]
  } catch {
    return [line]
  }
}

/** The last lines of a log. */
export async function lastLines(path: string, count: number): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-count)
}
