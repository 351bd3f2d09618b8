import { join } from 'node:path'
import { ENVIRONMENT_PATH, RUNNER_PATH } from './constants.js'
import { runCommand, type CommandOptions } from './process.js'

/** Folders of tests inside packages: a quarter of all source, imported by nobody's notebook. Without byte code they still run. */
const LEFT_OUT = '/tests?/'

/**
 * Compiles the standard library, the environment and the runner of a tree. The byte code is bound to nothing but the source's hash and
 * isn't checked at import: times change when an engine imports the tree, and a read-only root couldn't repair it (5.6 s instead of
 * 2.4 s of CPU per start).
 *
 * The tree's interpreter is started through the tree's own loader, so this needs neither a sandbox nor a Python of the same version.
 * Nothing of the packages is executed. Throws `CommandError`.
 */
export async function compileBytecode(
  root: string,
  python: string,
  jobs: number,
  options: CommandOptions
): Promise<void> {
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu')
  await runCommand(
    join(libraries, 'ld-linux-x86-64.so.2'),
    [
      ...['--library-path', `${libraries}:${join(root, 'usr/lib')}`, join(root, `usr/bin/python${python}`)],
      ...['-s', '-m', 'compileall', '-q', '-j', String(jobs), '-x', LEFT_OUT, '--invalidation-mode', 'unchecked-hash'],
      // The paths that tracebacks show are those inside the sandbox.
      ...['-s', root, '-p', '/'],
      ...[`usr/lib/python${python}`, `${ENVIRONMENT_PATH}/lib/python${python}/site-packages`, RUNNER_PATH].map(path =>
        join(root, path)
      )
    ],
    { ...options, env: { PYTHONHOME: join(root, 'usr'), LC_ALL: 'C.UTF-8' } }
  )
}
