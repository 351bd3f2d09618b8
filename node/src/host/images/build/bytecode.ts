import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ENVIRONMENT_PATH, RUNNER_PATH } from '../constants.js'
import { CommandError, runCommand, type CommandOptions } from './process.js'

/** Folders of tests inside packages: a quarter of all source, imported by nobody's notebook. Without byte code they still run. */
const LEFT_OUT = '/tests?/'

/** Files for other Pythons that are let pass: a share of all, and so many in any case. Seen: 3 of torch's 5,000. */
const FOREIGN_SHARE = 0.01
const FOREIGN_FILES = 5

/**
 * Compiles the standard library, the environment and the runner of a tree; files that have byte code already keep it. The byte code is
 * bound to nothing but the source's hash and isn't checked at import: times change when an engine imports the tree, and a read-only root
 * couldn't repair it (5.6 s instead of 2.4 s of CPU per start).
 *
 * The tree's interpreter is started through the tree's own loader, so this needs neither a sandbox nor a Python of the same version.
 * Nothing of the packages is executed. Throws `CommandError`.
 *
 * @param lists a folder for lists of files, outside the tree
 */
export async function compileBytecode(
  root: string,
  python: string,
  jobs: number,
  lists: string,
  options: CommandOptions
): Promise<void> {
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu')
  const folders = [`usr/lib/python${python}`, `${ENVIRONMENT_PATH}/lib/python${python}/site-packages`, RUNNER_PATH]
  const missing = async (): Promise<string[]> =>
    (await Promise.all(folders.map(folder => uncompiled(join(root, folder), python)))).flat().sort()
  const sources = await missing()
  const failures: CommandError[] = []
  await Promise.all(
    Array.from({ length: jobs }, async (_, job) => {
      const share = sources.filter((_, index) => index % jobs === job)
      if (share.length === 0) return
      const list = join(lists, `sources-${job}`)
      await writeFile(list, share.map(path => `${path}\n`).join(''))
      await runCommand(
        join(libraries, 'ld-linux-x86-64.so.2'),
        [
          ...['--library-path', `${libraries}:${join(root, 'usr/lib')}`, join(root, `usr/bin/python${python}`)],
          ...['-s', '-m', 'compileall', '-q', '--invalidation-mode', 'unchecked-hash'],
          // The paths that tracebacks show are those inside the sandbox.
          ...['-s', root, '-p', '/', '-i', list]
        ],
        { ...options, env: { PYTHONHOME: join(root, 'usr'), LC_ALL: 'C.UTF-8' } }
      ).catch((error: unknown) => {
        // Says 1 where a file is written for another Python, as some packages have them; looked at below.
        if (!(error instanceof CommandError) || error.exitCode !== 1) throw error
        failures.push(error)
      })
    })
  )
  const [failure] = failures
  if (failure !== undefined && (await missing()).length > sources.length * FOREIGN_SHARE + FOREIGN_FILES) throw failure
}

/** Sources below a folder that have no byte code, without those of tests. */
async function uncompiled(folder: string, python: string): Promise<string[]> {
  const suffix = `.cpython-${python.replace('.', '')}.pyc`
  const leftOut = new RegExp(LEFT_OUT)
  const found: string[] = []
  const walk = async (at: string): Promise<void> => {
    const entries = await readdir(at, { withFileTypes: true })
    const hasCache = entries.some(entry => entry.name === '__pycache__')
    const compiled = new Set(hasCache ? await readdir(join(at, '__pycache__')) : [])
    for (const entry of entries) {
      const { name } = entry
      const path = join(at, name)
      if (entry.isDirectory() && name !== '__pycache__') await walk(path)
      else if (entry.isFile() && name.endsWith('.py') && !leftOut.test(path.slice(folder.length))) {
        if (!compiled.has(`${name.slice(0, -'.py'.length)}${suffix}`)) found.push(path)
      }
    }
  }
  await walk(folder)
  return found
}
