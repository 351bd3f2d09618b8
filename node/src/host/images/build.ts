import { createWriteStream, type WriteStream } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { join } from 'node:path'
import { PekkaError } from '@pekka/node/protocol'
import { compileBytecode } from './bytecode.js'
import { bakeCaches } from './caches.js'
import { ENVIRONMENT_PATH, IMAGE_FORMAT } from './constants.js'
import { downloadDebian, type DebianDownload } from './debian.js'
import type { ImageDefinition } from './definition.js'
import { sandboxEnvironment } from './environment.js'
import { withFileLock } from './file-lock.js'
import { contentDigest, normaliseModes } from './identity.js'
import type { BuildProgress } from './index.js'
import { copyRunner, unpackDebian } from './layout.js'
import { CommandError, type CommandOptions } from './process.js'
import { installPython } from './python.js'
import { leftoverPrefix, readTree, treeFolder, type BuiltTree, type TreeRecord } from './tree.js'

export interface TreeBuild {
  definition: ImageDefinition
  /** Digest of definition, locks and runner. */
  digest: string
  /** `<home>/images`. */
  images: string
  /** Folder of the runner. */
  runner: string
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
  await mkdir(root)
  // One part that fails ends the other.
  const failed = new AbortController()
  const signal = build.signal === undefined ? failed.signal : AbortSignal.any([build.signal, failed.signal])
  const options: CommandOptions = { signal, onLine: line => log.write(`${line}\n`) }
  const part = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      failed.abort(error)
      throw error
    })
  const step = (name: BuildProgress['step'], text: string): void => {
    log.write(`[${new Date().toISOString()}] ${name}: ${text}\n`)
    build.onProgress({ step: name, text, fraction: null })
  }

  const environment = join(work, 'environment')
  const parts = await Promise.allSettled([
    part(debianPart(build, root, options, step, log.path.toString())),
    part(pythonPart(build, environment, options, step, log.path.toString()))
  ])
  const broken = parts.find(one => one.status === 'rejected')
  if (broken !== undefined) throw failed.signal.aborted ? failed.signal.reason : broken.reason
  const debian = parts[0].status === 'fulfilled' ? parts[0].value : undefined
  if (debian === undefined) throw new Error('unreachable: both parts are done')
  for (const change of debian.changes) {
    step('debian', `${change.name}: locked ${change.locked ?? 'not at all'}, taken ${change.taken ?? 'none'}`)
  }

  await mkdir(join(root, ENVIRONMENT_PATH, '..'), { recursive: true })
  await rename(environment, join(root, ENVIRONMENT_PATH))
  await copyRunner(root, build.runner)
  step('compile', 'byte code and digest')
  const compiled = [
    part(compileBytecode(root, definition.python, jobs, options)),
    part(contentDigest(root, signal))
  ] as const
  await Promise.allSettled(compiled)
  const [, content] = await Promise.all(compiled)
  await bakeCaches(root, sandboxEnvironment(definition), options)
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
    environment: sandboxEnvironment(definition),
    builtAt: new Date().toISOString()
  }
}

type Step = (name: BuildProgress['step'], text: string) => void

async function debianPart(
  build: TreeBuild,
  root: string,
  options: CommandOptions,
  step: Step,
  log: string
): Promise<DebianDownload> {
  const cache = join(build.images, '../cache/apt')
  await mkdir(cache, { recursive: true })
  // One apt at a time in the cache; other images are built meanwhile.
  const download = await downloaded(build, log, 'Debian packages', () =>
    withFileLock(join(cache, 'lock'), { signal: options.signal }, () =>
      downloadDebian(build.definition, {
        ...options,
        cache,
        mirror: build.mirror,
        onProgress: text => step('debian', text)
      })
    )
  )
  step('unpack', `${download.archives.length} Debian packages`)
  await unpackDebian(root, download.archives, options)
  return download
}

async function pythonPart(
  build: TreeBuild,
  environment: string,
  options: CommandOptions,
  step: Step,
  log: string
): Promise<void> {
  const cache = join(build.images, '../cache')
  const { definition, uv, uvEnvironment } = build
  step('python', `${definition.locked.length} Python packages`)
  const onLine = (line: string): void => {
    options.onLine?.(line)
    if (/^\s*(Download|Prepared|Installed)/.test(line))
      build.onProgress({ step: 'python', text: line.trim(), fraction: null })
  }
  await downloaded(build, log, 'Python packages', () =>
    installPython(definition, environment, { ...options, onLine, uv, uvEnvironment, cache })
  )
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
