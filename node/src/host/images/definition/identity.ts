import { createHash } from 'node:crypto'
import { chmod, lstat, open, readdir, readFile, readlink } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { encodeCanonical, taggedHash, toHex } from '@pekka/node/protocol'
import { CACHE_PATH, HASH_CONCURRENCY } from '../constants.js'
import type { ImageDefinition } from './definition.js'

/** A file of the runner: its path below the runner's folder, and sha-256 of its bytes. */
export interface RunnerFile {
  path: string
  sha256: string
}

const NOT_RUNNER = new Set(['__pycache__', 'test', 'tests', 'README.md'])

/** The files of the runner that go into an image, sorted by path: no tests, no pages, no byte code, nothing hidden. */
export async function runnerFiles(folder: string): Promise<RunnerFile[]> {
  const found: RunnerFile[] = []
  const walk = async (at: string): Promise<void> => {
    for (const entry of await readdir(at, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || NOT_RUNNER.has(entry.name)) continue
      const path = join(at, entry.name)
      if (entry.isDirectory()) await walk(path)
      else if (entry.isFile()) {
        found.push({ path: relative(folder, path).split(sep).join('/'), sha256: sha256Hex(await readFile(path)) })
      }
    }
  }
  await walk(folder)
  return found.sort((a, b) => byText(a.path, b.path))
}

/**
 * The digest that names an image (DESIGN §7): over the definition, the Python lock, the Debian versions and the runner; known before
 * anything is built. Description and licence are words for people and stay out; so do comments and order in the lock.
 */
export function imageDigest(definition: ImageDefinition, runner: readonly RunnerFile[]): string {
  const { format, name, python, platform, debian, preload, environment, startup, warmup } = definition
  const identity = {
    definition: { format, name, python, platform, debian, preload, environment },
    ...(startup === undefined ? {} : { startup: sha256Hex(Buffer.from(startup)) }),
    ...(warmup === undefined ? {} : { warmup: sha256Hex(Buffer.from(warmup)) }),
    python: definition.locked
      .map(one => ({ name: one.name, version: one.version, hashes: one.hashes }))
      .sort((a, b) => byText(a.name, b.name)),
    debian: definition.debianLock.map(one => `${one.name}=${one.version}`).sort(byText),
    runner: runner.map(({ path, sha256 }) => ({ path, sha256 }))
  }
  return toHex(taggedHash('pekka/image/1', encodeCanonical(identity)))
}

/**
 * Digest of what a tree takes from registries: Python and Debian packages. Trees with equal ones differ only in the runner, start-up and
 * environment, so one is made from the other by hard links.
 */
export function packagesDigest({ python, platform, debian, locked, debianLock }: ImageDefinition): string {
  const identity = {
    ...{ python, platform, suite: debian.suite },
    packages: locked
      .map(({ name, version, hashes }) => ({ name, version, hashes }))
      .sort((a, b) => byText(a.name, b.name)),
    debian: debianLock.map(one => `${one.name}=${one.version}`).sort(byText)
  }
  return toHex(taggedHash('pekka/image-packages/1', encodeCanonical(identity)))
}

/**
 * Digest of what runs or is set before a program's own imports: whether packages can be imported is known again where it is equal. What a
 * warm sandbox imports beforehand is only the runner's.
 */
export function importDigest(
  { environment, startup = '' }: Pick<ImageDefinition, 'environment' | 'startup'>,
  runner: readonly RunnerFile[]
): string {
  const hooks = runner.filter(({ path }) => path.startsWith('site/')).map(({ path, sha256 }) => ({ path, sha256 }))
  const identity = { environment, startup: sha256Hex(Buffer.from(startup)), hooks }
  return toHex(taggedHash('pekka/image-imports/1', encodeCanonical(identity)))
}

/** An entry of a tree: sorted by path they make its content digest. */
interface TreeEntry {
  path: string
  kind: 'folder' | 'file' | 'link'
  executable: boolean
  size: number
}

export interface TreeContent {
  /** sha-256 in hex. */
  digest: string
  files: number
  bytes: number
}

/**
 * Left out of the content digest: byte code and other caches, which follow from the rest, and the notes an installer leaves (order and
 * wording differ between its versions; nothing runs them).
 */
const isLeftOut = (path: string): boolean =>
  /(^|\/)__pycache__(\/|$)/.test(path) ||
  path === 'etc/ld.so.cache' ||
  path === CACHE_PATH ||
  /\.dist-info\/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_[a-z]+\.json)$/.test(path)

async function entries(root: string): Promise<TreeEntry[]> {
  const found: TreeEntry[] = []
  const walk = async (at: string): Promise<void> => {
    for (const entry of await readdir(join(root, at), { withFileTypes: true })) {
      const path = at === '' ? entry.name : `${at}/${entry.name}`
      if (isLeftOut(path)) continue
      const kind = entry.isDirectory()
        ? 'folder'
        : entry.isSymbolicLink()
          ? 'link'
          : entry.isFile()
            ? 'file'
            : undefined
      if (kind === undefined) throw new Error(`/${path} is neither file, folder nor link`)
      const status = kind === 'file' ? await lstat(join(root, path)) : undefined
      found.push({ path, kind, executable: ((status?.mode ?? 0) & 0o111) !== 0, size: status?.size ?? 0 })
      if (kind === 'folder') await walk(path)
    }
  }
  await walk('')
  return found
}

/**
 * Digest of what a tree holds: for each path in byte order its kind, whether it is executable, its link target or the sha-256 of its
 * bytes. Owners and times stay out: they differ between users and builds, and no sandbox shows the owners.
 */
export async function contentDigest(root: string, signal?: AbortSignal): Promise<TreeContent> {
  const tree = await entries(root)
  const lines = new Array<string>(tree.length)
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < tree.length; index = next++) {
      signal?.throwIfAborted()
      const entry = tree[index]
      if (entry === undefined) continue
      lines[index] = await line(root, entry)
    }
  }
  await Promise.all(Array.from({ length: HASH_CONCURRENCY }, worker))
  const hash = createHash('sha256').update('pekka/tree/1\n')
  for (const each of lines.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) hash.update(each)
  const files = tree.filter(entry => entry.kind === 'file')
  return { digest: hash.digest('hex'), files: files.length, bytes: files.reduce((sum, entry) => sum + entry.size, 0) }
}

/** JSON keeps a path with a line break or a quote apart from its neighbours. */
async function line(root: string, entry: TreeEntry): Promise<string> {
  const path = join(root, entry.path)
  const what =
    entry.kind === 'folder' ? '' : entry.kind === 'link' ? await readlink(path) : await fileSha256(path, entry.size)
  return `${JSON.stringify([entry.path, entry.kind, entry.executable, what])}\n`
}

/** Small files are read at once: a stream each for tens of thousands of them takes several times as long. */
const READ_AT_ONCE = 8 << 20

async function fileSha256(path: string, size: number): Promise<string> {
  if (size <= READ_AT_ONCE) return sha256Hex(await readFile(path))
  const hash = createHash('sha256')
  const file = await open(path)
  try {
    for await (const part of file.createReadStream({ highWaterMark: 1 << 20 })) hash.update(part)
  } finally {
    await file.close()
  }
  return hash.digest('hex')
}

/**
 * Gives every file of a tree one of two modes (755 or 644), every folder 755, so that the builder's umask leaves no trace, no setuid bit
 * stays and any user can read it.
 */
export async function normaliseModes(root: string): Promise<void> {
  await chmod(root, 0o755)
  const walk = async (at: string): Promise<void> => {
    for (const entry of await readdir(at, { withFileTypes: true })) {
      const path = join(at, entry.name)
      if (entry.isSymbolicLink()) continue
      const { mode } = await lstat(path)
      const wanted = entry.isDirectory() || (mode & 0o111) !== 0 ? 0o755 : 0o644
      if ((mode & 0o7777) !== wanted) await chmod(path, wanted)
      if (entry.isDirectory()) await walk(path)
    }
  }
  await walk(root)
}

const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Order by UTF-16 units: the same everywhere, unlike the order of a locale. */
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
