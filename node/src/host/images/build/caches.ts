import { execFile } from 'node:child_process'
import { cp, lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CACHE_BYTES, CACHE_PATH, CACHE_TIMEOUT, ENVIRONMENT_PATH, SANDBOX_USER } from '../constants.js'
import { treeSandboxArguments } from './verify.js'

/** Lets matplotlib list its fonts, as every image has it. A definition's warmup.py runs after it. */
const FILL = `
try:
    import matplotlib.font_manager
except ImportError:
    pass
`

/** Ends of names of files that are worth keeping: lists in JSON, and numba's index and machine code. */
const KEPT = /\.(json|nbi|nbc)$/

const run = promisify(execFile)

export interface CacheJob {
  root: string
  environment: Record<string, string>
  /** Text of the definition's warmup.py. */
  warmup: string | undefined
  /** A folder for what is made on the way, outside the tree. */
  work: string
  signal?: AbortSignal
  onLine?: (line: string) => void
}

/**
 * Fills the caches of a tree, in a sandbox of the tree: this is the only step that runs what was downloaded. Where bubblewrap can't be
 * used the tree has no caches, and each sandbox pays for them (0.2 s of CPU, or the minute that numba takes to compile); nothing else
 * differs, and the content digest leaves them out. numba's are bound to the kind of CPU that the image's
 * environment names, not to this machine's, and to the hash of their source.
 *
 * Resolves with the number of files. Throws the signal's reason only.
 */
export async function bakeCaches({ root, environment, warmup, work, signal, onLine }: CacheJob): Promise<number> {
  const place = join(root, CACHE_PATH)
  await rm(place, { recursive: true, force: true })
  const folder = await mkdtemp(join(work, 'cache-'))
  try {
    const sandbox = [
      ...treeSandboxArguments(root, environment),
      ...['--bind', folder, `${SANDBOX_USER.home}/.cache`, `/${ENVIRONMENT_PATH}/bin/python`]
    ]
    const limits = { maxBuffer: 1 << 20, timeout: CACHE_TIMEOUT, killSignal: 'SIGKILL', signal } as const
    await run('bwrap', [...sandbox, '-I', '-c', `${FILL}\n${warmup ?? ''}`], limits)
    return await keepCaches(folder, place)
  } catch (error) {
    signal?.throwIfAborted()
    onLine?.(`no caches: ${error instanceof Error ? error.message : String(error)}`)
    await rm(place, { recursive: true, force: true })
    return 0
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Copies what is worth keeping: plain files only, for a link that a package made could lead anywhere. Resolves with their number. */
async function keepCaches(from: string, to: string): Promise<number> {
  let bytes = 0
  let files = 0
  const walk = async (source: string, target: string): Promise<void> => {
    for (const entry of await readdir(source, { withFileTypes: true })) {
      const [path, place] = [join(source, entry.name), join(target, entry.name)]
      if (entry.isDirectory()) await walk(path, place)
      if (!entry.isFile() || !KEPT.test(entry.name)) continue
      bytes += (await lstat(path)).size
      if (bytes > CACHE_BYTES) throw new Error(`the caches hold more than ${CACHE_BYTES} bytes`)
      await mkdir(target, { recursive: true })
      await cp(path, place)
      files += 1
    }
  }
  await walk(from, to)
  return files
}
