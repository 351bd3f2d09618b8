import { createWriteStream, type WriteStream } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { basename, join } from 'node:path'
import { PekkaError } from '@pekka/node/protocol'
import { compileBytecode } from './bytecode.js'
import { bakeCaches } from './caches.js'
import { DIGEST_DIGITS, ENVIRONMENT_PATH, IMAGE_FORMAT, VERIFY_PROCESSES } from '../constants.js'
import { archivePrefix, compareWithLock, downloadDebian, type DebianDownload } from './debian.js'
import type { ImageDefinition, LockedPackage } from '../definition/definition.js'
import { linkTree, mergeInto } from './derive.js'
import { sandboxEnvironment } from './environment.js'
import { withFileLock } from '../store/file-lock.js'
import { contentDigest, importDigest, normaliseModes, packagesDigest, runnerFiles } from '../definition/identity.js'
import type { BuildProgress } from '../index.js'
import { removeStray, siteOf, sitePackages } from '../store/installed.js'
import { addDebian, copyPathFiles, copyRunner, unpackDebian, writeStartup } from './layout.js'
import { CommandError, type CommandOptions } from './process.js'
import { holdTree } from '../store/prune.js'
import { installPython } from './python.js'
import { leftoverPrefix, listTrees, readTree, treeFolder, type BuiltTree, type TreeRecord } from './tree.js'
import { checkImports } from './verify.js'

export interface TreeBuild {
  definition: ImageDefinition
  /** The tree of the image that the definition extends. */
  base?: BuiltTree
  /** Digest of definition, locks and runner. */
  digest: string
  /** `<home>/images`. */
  images: string
  /** Folder of the runner. */
  runner: string
  /** Text of verify.py, which imports packages in a sandbox. */
  verify: string
  /** Path of uv. */
  uv: string
  /** Environment of uv. */
  uvEnvironment: NodeJS.ProcessEnv
  /** Compilers at a time. */
  jobs: number
  /** Address of a Debian archive, instead of the host's. */
  mirror?: string
  signal?: AbortSignal
  onProgress: (progress: BuildProgress) => void
}

/**
 * Builds the tree of a definition, or gives the one that is there.
 *
 * All work happens in a folder `.building-…` beside the place it will have; the last step renames it. So a build that is interrupted
 * leaves nothing that counts as built, and the next build of that image removes what it left. Builds of one image wait for each other,
 * across processes.
 *
 * Throws DISK_FULL, IMAGE_DOWNLOAD_FAILED, IMAGE_BUILD_FAILED, and the signal's reason.
 */
export async function buildTree(build: TreeBuild): Promise<BuiltTree> {
  const { definition, digest, images, signal, onProgress } = build
  const place = join(images, treeFolder(definition.name, digest))
  await mkdir(images, { recursive: true })
  const onWait = (): void =>
    onProgress({ step: 'wait', text: `another process builds ${definition.name}; waiting for it`, fraction: null })
  return withFileLock(join(images, `.${definition.name}.lock`), { signal, onWait }, async () => {
    const present = await readTree(place)
    if (present?.digest === digest) return present
    await removeLeftovers(images, definition.name)
    await checkDisk(images, definition)
    const logPath = join(images, `${definition.name}.log`)
    const log = createWriteStream(logPath)
    await once(log, 'open')
    const work = await mkdtemp(join(images, `${leftoverPrefix(definition.name)}`))
    try {
      // mkdtemp makes it 700; a sandbox may run as another user.
      await chmod(work, 0o755)
      const record = await make(build, work, log)
      // All that counts is in `root`.
      for (const entry of await readdir(work))
        if (entry !== 'root') await rm(join(work, entry), { recursive: true, force: true })
      await writeFile(join(work, 'image.json'), `${JSON.stringify(record, null, 2)}\n`)
      // What stands there doesn't count as built (readTree above), but would be in the way.
      await rm(place, { recursive: true, force: true })
      await rename(work, place)
      return { ...record, root: join(place, 'root') }
    } catch (error) {
      await rm(work, { recursive: true, force: true })
      if (signal?.aborted || error instanceof PekkaError) throw error
      const issue =
        error instanceof CommandError ? describe(error) : error instanceof Error ? error.message : String(error)
      log.write(`${error instanceof Error ? (error.stack ?? issue) : issue}\n`)
      throw new PekkaError('IMAGE_BUILD_FAILED', { image: definition.name, issue, log: logPath }, { cause: error })
    } finally {
      log.end()
    }
  })
}

async function make(build: TreeBuild, work: string, log: WriteStream): Promise<TreeRecord> {
  const { definition, jobs } = build
  const root = join(work, 'root')
  // One part that fails ends the other.
  const failed = new AbortController()
  const signal = build.signal === undefined ? failed.signal : AbortSignal.any([build.signal, failed.signal])
  const options: CommandOptions = { signal, onLine: line => log.write(`${line}\n`) }
  const part = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      failed.abort(error)
      throw error
    })
  const step: Step = (name, text) => {
    log.write(`[${new Date().toISOString()}] ${name}: ${text}\n`)
    build.onProgress({ step: name, text, fraction: null })
  }
  const both = async <A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> => {
    const parts = [part(first), part(second)] as const
    const ends = await Promise.allSettled(parts)
    // The reason of the one that failed first; the other was only told to stop.
    if (ends.some(end => end.status === 'rejected'))
      throw failed.signal.aborted ? failed.signal.reason : build.signal?.reason
    return Promise.all(parts)
  }
  const parts: Parts = { build, work, root, options, step, log: log.path.toString(), both }
  const source = await sourceOf(build)
  const debian = source === undefined ? await fromNothing(parts) : await fromTree(parts, source)
  for (const change of debian.changes) {
    step('debian', `${change.name}: locked ${change.locked ?? 'not at all'}, taken ${change.taken ?? 'none'}`)
  }

  const environment = sandboxEnvironment(definition)
  await copyRunner(root, build.runner)
  await copyPathFiles(sitePackages(root, definition.python), build.runner)
  await writeStartup(sitePackages(root, definition.python), definition.startup)
  step('compile', 'byte code and digest')
  const [, content] = await both(
    compileBytecode(root, definition.python, jobs, work, options),
    contentDigest(root, signal)
  )
  step('compile', definition.warmup === undefined ? 'caches' : 'caches, which takes a minute')
  // What was imported in the tree that this one is made of is the same here, where it starts and is set up in the same way.
  const under = importDigest(definition, await runnerFiles(build.runner))
  const known = source?.imported === true && source.imports?.under === under ? source.imports.packages : []
  const asked = new Set([...definition.requested, ...(source?.imports?.packages ?? [])])
  const packages = [...asked].filter(name => !known.includes(name))
  if (packages.length > 0) step('import', `${packages.length} packages, as a program would`)
  const checks = { script: build.verify, packages, processes: VERIFY_PROCESSES, signal }
  // Each sandbox of the imports begins with the caches, which a tree that is made of another one has from before: never both at once.
  await bakeCaches({ root, environment, warmup: definition.warmup, work, ...options })
  const imported = await checkImports({ root, environment }, checks)
  if (!imported) step('import', 'not tried: bubblewrap can’t be used here')
  await normaliseModes(root)
  step('done', `${content.files} files, ${Math.round(content.bytes / 1e6)} MB`)
  const interpreter = debian.packages.find(one => one.name === `python${definition.python}`)
  return {
    format: IMAGE_FORMAT,
    name: definition.name,
    digest: build.digest,
    contentDigest: content.digest,
    files: content.files,
    bytes: content.bytes,
    pythonVersion: /^[\d.]+/.exec(interpreter?.version ?? '')?.[0] ?? definition.python,
    packages: definition.locked.map(({ name, version }) => ({ name, version })),
    debian: debian.packages,
    debianChanges: debian.changes,
    preload: definition.preload,
    environment,
    packagesDigest: packagesDigest(definition),
    imported,
    imports: { under, packages: [...new Set([...known, ...packages])].sort() },
    ...(definition.extends === undefined ? {} : { extends: definition.extends }),
    builtAt: new Date().toISOString()
  }
}

type Step = (name: BuildProgress['step'], text: string) => void

/** What the steps of one build have in common. */
interface Parts {
  build: TreeBuild
  /** Folder of this build; the tree stands in `root` below it. */
  work: string
  root: string
  options: CommandOptions
  step: Step
  /** Path of the log, for errors. */
  log: string
  both: <A, B>(first: Promise<A>, second: Promise<B>) => Promise<[A, B]>
}

/** Debian packages of a tree, and how they differ from the lock. */
type DebianPart = Pick<DebianDownload, 'packages' | 'changes'>

/** A tree to start from: one with the same packages, or that of the image which the definition extends. */
async function sourceOf({ definition, images, base }: TreeBuild): Promise<BuiltTree | undefined> {
  const wanted = packagesDigest(definition)
  const same = (await listTrees(images)).find(tree => tree.packagesDigest === wanted)
  const source = same ?? base
  if (source !== undefined) holdTree(source)
  return source
}

/** Everything from the registries: Debian and Python packages at the same time. */
async function fromNothing(parts: Parts): Promise<DebianPart> {
  const { build, work, root, options, step, both } = parts
  await mkdir(root)
  const unpacked = async (): Promise<DebianDownload> => {
    const download = await downloadArchives(parts)
    step('unpack', `${download.archives.length} Debian packages`)
    await unpackDebian(root, download.archives, options)
    return download
  }
  const environment = join(work, 'python/environment')
  const [debian] = await both(unpacked(), installInto(parts, environment, build.definition.locked))
  await mkdir(join(root, ENVIRONMENT_PATH, '..'), { recursive: true })
  await rename(environment, join(root, ENVIRONMENT_PATH))
  return debian
}

/** A copy of another tree by hard links, and in it what that one lacks. */
async function fromTree(parts: Parts, source: BuiltTree): Promise<DebianPart> {
  const { build, work, root, options, step, both } = parts
  const { definition } = build
  step('unpack', `on top of ${source.name} ${source.digest.slice(0, DIGEST_DIGITS)}`)
  const have = new Set(source.packages.map(one => one.name))
  const added = definition.locked.filter(one => !have.has(one.name))
  const environment = join(work, 'python/environment')
  const [debian] = await both(
    linkTree(source.root, root, options).then(() => addMissing(parts, source)),
    added.length === 0 ? Promise.resolve() : installInto(parts, environment, added)
  )
  if (added.length > 0) {
    const left = await mergeInto(environment, join(root, ENVIRONMENT_PATH))
    for (const path of left) options.onLine?.(`left out, ${source.name} has it: ${path}`)
  }
  return debian
}

/** Debian packages that the definition has beyond those of the tree it starts from. */
async function addMissing(parts: Parts, { debian: have }: BuiltTree): Promise<DebianPart> {
  const { build, root, options, step } = parts
  const { debianLock } = build.definition
  const names = new Set(have.map(one => one.name))
  if (debianLock.every(one => names.has(one.name)))
    return { packages: have, changes: compareWithLock(debianLock, have) }
  const download = await downloadArchives(parts)
  const added = download.packages.filter(one => !names.has(one.name))
  const archives = download.archives.filter(path => added.some(one => basename(path).startsWith(archivePrefix(one))))
  step('unpack', `${archives.length} Debian packages`)
  await addDebian(root, archives, options)
  const packages = [...have, ...added].sort((a, b) => (a.name < b.name ? -1 : 1))
  return { packages, changes: compareWithLock(debianLock, packages) }
}

async function downloadArchives({ build, options, step, log }: Parts): Promise<DebianDownload> {
  const cache = join(build.images, '../cache/apt')
  await mkdir(cache, { recursive: true })
  // One apt at a time in the cache; other images are built meanwhile.
  return downloaded(build, log, 'Debian packages', () =>
    withFileLock(join(cache, 'lock'), { signal: options.signal }, () =>
      downloadDebian(build.definition, {
        ...options,
        cache,
        mirror: build.mirror,
        onProgress: text => step('debian', text)
      })
    )
  )
}

async function installInto(
  { build, options, step, log }: Parts,
  environment: string,
  packages: readonly LockedPackage[]
): Promise<void> {
  const cache = join(build.images, '../cache')
  const { definition, uv, uvEnvironment } = build
  step('python', `${packages.length} Python packages`)
  const onLine = (line: string): void => {
    options.onLine?.(line)
    if (/^\s*(Download|Prepared|Installed)/.test(line))
      build.onProgress({ step: 'python', text: line.trim(), fraction: null })
  }
  await mkdir(join(environment, '..'), { recursive: true })
  await downloaded(build, log, 'Python packages', () =>
    installPython({ ...definition, packages }, environment, { ...options, onLine, uv, uvEnvironment, cache })
  )
  await removeStray(siteOf(environment, definition.python))
}

async function downloaded<T>(build: TreeBuild, log: string, what: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    throw new PekkaError(
      'IMAGE_DOWNLOAD_FAILED',
      { image: build.definition.name, what, issue: describe(error), log },
      { cause: error }
    )
  }
}

/** Command and last words in one line: the log has the rest. */
const describe = ({ command, lastLines }: CommandError): string => {
  const words = lastLines.map(line => line.trim()).filter(line => line !== '')
  return `${command}: ${words.slice(-8).join(' ')}`.slice(0, 800)
}

async function removeLeftovers(images: string, name: string): Promise<void> {
  const left = (await readdir(images)).filter(entry => entry.startsWith(leftoverPrefix(name)))
  // A compiler that outlived its killed parent may still write for some seconds; once its folders are gone it can't.
  const patience = { maxRetries: 10, retryDelay: 200 }
  await Promise.all(left.map(entry => rm(join(images, entry), { recursive: true, force: true, ...patience })))
}

async function checkDisk(images: string, definition: ImageDefinition): Promise<void> {
  const { bavail, bsize } = await statfs(images)
  const have = bavail * bsize
  if (have < definition.buildBytes)
    throw new PekkaError('DISK_FULL', { need: definition.buildBytes, have, path: images })
}
