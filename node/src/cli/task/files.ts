import { open, readdir, readFile, realpath, stat, type FileHandle } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { memorySource, size, type Travel, type TravelSource } from '../../core/client/index.js'
import { PekkaError, isPekkaError, isTravelPath, utf8 } from '../../core/protocol/index.js'
import { analyse, lacking, localModules, type CellFacts, type ModuleFolder } from '../../core/scan/index.js'

/** What the command line was told about files. */
export interface FileOptions {
  /** `--file`, as often as it was given. */
  file: readonly string[]
  /** `--with-files`: what the code opens by a literal name travels too. */
  withFiles: boolean
}

export interface FoundFiles {
  files: Travel['files']
  /** Lines for people: what travels, and what is left at home. */
  lines: string[]
  /** Modules that stand beside the program: they come from no package. */
  modules: string[]
  /** Files that the code writes, as it says literally. */
  writes: ReadonlySet<string>
  close: () => Promise<void>
}

/** The folder of a program on this disk. Nothing outside it is read. */
export const diskFolder = (root: string): ModuleFolder => ({
  text: async path => {
    try {
      return isTravelPath(path)
        ? new TextDecoder('utf-8', { fatal: true }).decode(await readFile(join(root, path)))
        : null
    } catch {
      return null
    }
  },
  list: async path => {
    const entries = await readdir(join(root, path), { withFileTypes: true }).catch(() => [])
    return entries.map(entry => ({ name: entry.name, folder: entry.isDirectory() }))
  }
})

/**
 * Finds what travels with a program: modules beside it, files that were named, and, where that was asked for, those that its
 * code opens by a literal name. Files are opened here and read when they are sent.
 *
 * @param folder where the program stands, and its modules
 * @param work where it would run at home, and what literal names are relative to
 * @throws PekkaError USAGE: a named file isn't below `work`; INPUT_FILE_UNREADABLE
 */
export async function findFiles(
  sources: readonly string[],
  { folder, work }: { folder: string; work: string },
  options: FileOptions
): Promise<FoundFiles> {
  const found = await localModules(sources, diskFolder(folder))
  const files: Travel['files'] = []
  const taken = new Set<string>()
  const lines: string[] = []
  const open: DiskSource[] = []
  const close = async (): Promise<void> => {
    for (const source of open) await source.close()
  }
  try {
    for (const { path, text } of found.files) {
      files.push({ path, executable: false, source: memorySource(utf8(text)) })
      taken.add(path)
    }
    if (found.files.length > 0) lines.push(`Travels along: ${listed(found.files.map(({ path }) => path))}`)
    if (found.more) lines.push('Not all modules beside it travel: there are too many. Name those it needs with --file.')
    const add = async (path: string, named: string): Promise<void> => {
      if (taken.has(path)) return
      taken.add(path)
      const source = await DiskSource.open(join(work, path), named)
      open.push(source)
      files.push({ path, executable: source.executable, source })
    }
    const named: string[] = []
    for (const one of options.file) {
      const path = await below(work, one)
      await add(path, one)
      named.push(path)
    }
    const { paths, writes, cells } = literalPaths(sources)
    const home: string[] = []
    const nowhere: string[] = []
    for (const path of paths) {
      if (taken.has(path)) continue
      const here = await whatIs(work, path)
      if (here.kind === 'none') nowhere.push(path)
      else if (here.kind === 'file' && options.withFiles) {
        await add(path, path)
        named.push(path)
      } else home.push(here.kind === 'file' ? `${path} (${size(here.size)})` : `${path} (${here.why})`)
    }
    if (named.length > 0) {
      const sizes = new Map(files.map(({ path, source }) => [path, source.size]))
      lines.push(`Travels along: ${listed(named.map(path => `${path} (${size(sizes.get(path) ?? 0)})`))}`)
    }
    if (home.length > 0)
      lines.push(`Left at home: ${listed(home)}. To send it: --file PATH, or --with-files for all that the code names.`)
    const absent = lacking(nowhere, cells)
    if (absent.length > 0)
      lines.push(`Not found: ${listed(absent)}. What the code does not make itself, it will not find there either.`)
    return { files, lines, modules: found.modules, writes, close }
  } catch (error) {
    await close()
    throw error
  }
}

function literalPaths(sources: readonly string[]): { paths: string[]; writes: Set<string>; cells: CellFacts[] } {
  const cells = sources.map(source => analyse(source))
  const writes = new Set<string>()
  const paths = new Set<string>()
  for (const facts of cells) {
    for (const { path } of facts.paths) if (!writes.has(path)) paths.add(path.replace(/^\.\//, ''))
    for (const path of facts.writes) writes.add(path.replace(/^\.\//, ''))
  }
  return { paths: [...paths], writes, cells }
}

async function whatIs(
  work: string,
  path: string
): Promise<{ kind: 'file'; size: number } | { kind: 'other'; why: string } | { kind: 'none' }> {
  const info = await stat(resolve(work, path)).catch(() => null)
  if (info === null) return { kind: 'none' }
  if (!isTravelPath(path)) return { kind: 'other', why: 'outside this folder: it would be elsewhere there' }
  if (!info.isFile()) return { kind: 'other', why: 'a folder: name its files' }
  return { kind: 'file', size: info.size }
}

/** The path of a named file relative to `work`. @throws PekkaError USAGE, INPUT_FILE_UNREADABLE */
async function below(work: string, named: string): Promise<string> {
  const root = await realpath(work)
  let file: string
  try {
    // The folder's own links are followed, the file's too: the user has named it.
    file = join(await realpath(join(resolve(work, named), '..')), named.split(sep).at(-1) ?? '')
  } catch (cause) {
    throw unreadable(named, 'there is no such file', cause)
  }
  const path = relative(root, file).split(sep).join('/')
  if (isTravelPath(path)) return path
  const issue = `--file ${named} is outside the folder you are in, so the code would not find it there. Go to its folder, or copy it.`
  throw new PekkaError('USAGE', { issue })
}

/** A file on this disk, held open from its discovery to its sending. */
class DiskSource implements TravelSource {
  private constructor(
    private readonly handle: FileHandle,
    private readonly name: string,
    readonly size: number,
    readonly executable: boolean,
    private readonly stamp: string
  ) {}

  static async open(path: string, name: string): Promise<DiskSource> {
    let handle: FileHandle
    try {
      const before = await stat(path)
      // Opening a pipe would wait for somebody who writes into it.
      if (!before.isFile()) throw unreadable(name, 'it is no regular file')
      handle = await open(path, 'r')
    } catch (error) {
      if (isPekkaError(error)) throw error
      throw unreadable(name, reasonOf(error), error)
    }
    const info = await handle.stat({ bigint: true })
    return new DiskSource(handle, name, Number(info.size), (info.mode & 0o100n) !== 0n, stampOf(info))
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    let have = 0
    try {
      while (have < length) {
        const { bytesRead } = await this.handle.read(bytes, have, length - have, offset + have)
        if (bytesRead === 0) break
        have += bytesRead
      }
    } catch (cause) {
      throw unreadable(this.name, reasonOf(cause), cause)
    }
    const now = stampOf(await this.handle.stat({ bigint: true }))
    if (have < length || now !== this.stamp) throw new PekkaError('INPUT_FILE_CHANGED', { path: this.name })
    return bytes
  }

  async close(): Promise<void> {
    await this.handle.close()
  }
}

const stampOf = (info: { size: bigint; mtimeNs: bigint; ino: bigint }): string =>
  `${info.size} ${info.mtimeNs} ${info.ino}`

const unreadable = (path: string, issue: string, cause?: unknown): PekkaError =>
  new PekkaError('INPUT_FILE_UNREADABLE', { path, issue }, { cause })

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const known: Record<string, string> = {
    ENOENT: 'there is no such file.',
    EACCES: 'you may not read it.',
    EPERM: 'you may not read it.',
    EBUSY: 'another program has locked it.',
    EIO: 'the disk does not give it.'
  }
  return known[code] ?? `${code || 'it can’t be opened'}.`
}

const LISTED = 8
const listed = (items: readonly string[]): string =>
  items.slice(0, LISTED).join(', ') + (items.length > LISTED ? ` and ${items.length - LISTED} more` : '')
