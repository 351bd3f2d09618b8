import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { CACHE_BYTES, CACHE_PATH, CACHE_TIMEOUT, ENVIRONMENT_PATH } from './constants.js'
import { treeSandboxArguments } from './verify.js'

/**
 * Lets matplotlib list its fonts and hands out what it has written below ~/.cache. numba's caches would be the next candidate, but no
 * package of ours compiles anything at import.
 */
const FILL = `
import glob, json, os, sys
try:
    import matplotlib.font_manager
except ImportError:
    pass
home = os.path.expanduser('~/.cache')
paths = (path for path in glob.glob(home + '/matplotlib/*.json') if os.path.isfile(path))
json.dump({os.path.relpath(path, home): open(path, encoding='utf-8').read() for path in paths}, sys.stdout)
`

/** Paths below ~/.cache. What a sandbox says must not lead out of the folder. */
const filesSchema = z.record(z.string().regex(/^[\w-]+\/[\w][\w.-]*$/), z.string())

const run = promisify(execFile)

/**
 * Fills the caches of a tree, in a sandbox of the tree: this is the only step that runs what was downloaded. Where bubblewrap can't be
 * used the tree has no caches, and each sandbox pays for them (0.2 s of CPU); nothing else differs, and the content digest leaves them out.
 *
 * Resolves with the number of files. Throws the signal's reason only.
 */
export async function bakeCaches(
  root: string,
  environment: Record<string, string>,
  options: { signal?: AbortSignal; onLine?: (line: string) => void }
): Promise<number> {
  const { signal, onLine } = options
  try {
    const sandbox = [...treeSandboxArguments(root, environment), `/${ENVIRONMENT_PATH}/bin/python`]
    const limits = { maxBuffer: CACHE_BYTES, timeout: CACHE_TIMEOUT, killSignal: 'SIGKILL', signal } as const
    const { stdout } = await run('bwrap', [...sandbox, '-I', '-c', FILL], limits)
    const files = Object.entries(filesSchema.parse(JSON.parse(stdout)))
    for (const [path, text] of files) {
      const place = join(root, CACHE_PATH, path)
      await mkdir(dirname(place), { recursive: true })
      await writeFile(place, text)
    }
    return files.length
  } catch (error) {
    signal?.throwIfAborted()
    onLine?.(`no caches: ${error instanceof Error ? error.message : String(error)}`)
    return 0
  }
}
