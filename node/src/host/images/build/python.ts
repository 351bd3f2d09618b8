import { readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ENVIRONMENT_PATH, INDEX_TIMEOUT_SECONDS } from '../constants.js'
import type { LockedPackage } from '../definition/definition.js'
import { packageSources, usualIndexOnly } from '../definition/package-sources.js'
import { PekkaError } from '@pekka/node/protocol'
import { CommandError, runCommand, type CommandOptions } from './process.js'

export interface PythonOptions extends CommandOptions {
  /** Path of uv. */
  uv: string
  uvEnvironment: NodeJS.ProcessEnv
  /** `<home>/cache`, on the tree's file system, so that files are shared by hard links. */
  cache: string
}

/**
 * Installs the locked packages as an environment for the interpreter of the tree, without that interpreter: the host's Python of any
 * version only serves uv to lay out a virtual environment; wheels are chosen for the definition's version and platform. So the packages
 * are fetched while the Debian part is still on its way. What the host's Python or uv leave of themselves is replaced, so that the
 * result is the same everywhere.
 *
 * Throws `CommandError`.
 *
 * Throws also IMAGE_SOURCE_MISSING, where a package of its own build (`+cpu`) can't be had from the sources that are set.
 *
 * @param environment the folder to make, in a folder for files of this step; its final place in the tree is `/opt/pekka/env`
 */
export async function installPython(what: PythonPackages, environment: string, options: PythonOptions): Promise<void> {
  const { uv, cache, signal, onLine } = options
  const work = join(environment, '..')
  const env = uvVariables(options.uvEnvironment, cache)
  const command: CommandOptions = { signal, onLine, cwd: work, env }
  await runCommand(uv, ['venv', '--quiet', '--no-project', '--python', '>=3.10', '--relocatable', environment], command)
  const install = async (packages: readonly LockedPackage[], from: string[], where = env): Promise<void> => {
    if (packages.length === 0) return
    const command: CommandOptions = { signal, onLine, cwd: work, env: where }
    const lock = join(work, 'requirements.txt')
    await writeFile(lock, lockText(packages))
    const args = [
      ...['pip', 'install', '--python', join(environment, 'bin/python')],
      ...['--python-version', what.python, '--python-platform', what.platform],
      ...['--require-hashes', '--no-deps', '--only-binary', ':all:', '--link-mode', 'hardlink'],
      ...['--requirements', lock, ...from]
    ]
    try {
      // What the cache holds is what the lock's hashes allow: the index needn't be asked again. Says no within a second.
      await runCommand(uv, [...args, '--offline', '--quiet'], command)
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      await runCommand(uv, args, command)
    }
  }
  // First, so that a source that is missing is said before gigabytes are fetched.
  await installLocalBuilds(what, env, install)
  const others = what.packages.filter(one => !isLocalBuild(one))
  const usual = usualIndexOnly(env)
  try {
    // What the locks state: a further index that has a package, but not the wheel for this platform, would be taken before the usual one.
    await install(others, [], usual)
  } catch (error) {
    if (!(error instanceof CommandError) || !packageSources(env).any) throw error
    onLine?.('not from the usual index alone; trying every place that is set')
    await install(others, [])
  }
  await normaliseEnvironment(environment, what.python)
}

/** What is to be installed. */
export interface PythonPackages {
  /** Name of the image, for errors. */
  name: string
  python: string
  platform: string
  packages: readonly LockedPackage[]
}

/** Whether the version says that it is a build of its own (`2.13.0+cpu`): the usual index has none of these (PEP 440). */
export const isLocalBuild = (one: { version: string }): boolean => one.version.includes('+')

async function installLocalBuilds(
  { name, packages }: PythonPackages,
  env: NodeJS.ProcessEnv,
  install: (packages: readonly LockedPackage[], from: string[]) => Promise<void>
): Promise<void> {
  const wanted = packages.filter(isLocalBuild)
  if (wanted.length === 0) return
  const sources = packageSources(env)
  const names = wanted.map(one => `${one.name} ${one.version}`).join(', ')
  if (!sources.any) throw new PekkaError('IMAGE_SOURCE_MISSING', { image: name, packages: names })
  try {
    await install(wanted, sources.args)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    throw new PekkaError('IMAGE_SOURCE_MISSING', { image: name, packages: names }, { cause: error })
  }
}

/** The text of a lock for uv. */
export const lockText = (packages: readonly LockedPackage[]): string =>
  packages
    .map(
      ({ name, version, hashes }) =>
        `${[`${name}==${version}`, ...hashes.map(hash => `--hash=sha256:${hash}`)].join(' ')}\n`
    )
    .join('')

/** The environment uv runs in. An active environment of the user's must not be taken for the target. */
export const uvVariables = (given: NodeJS.ProcessEnv, cache: string): NodeJS.ProcessEnv => ({
  UV_CACHE_DIR: join(cache, 'uv'),
  UV_HTTP_TIMEOUT: String(INDEX_TIMEOUT_SECONDS),
  ...given,
  UV_NO_PROGRESS: '1',
  VIRTUAL_ENV: undefined,
  CONDA_PREFIX: undefined
})

async function normaliseEnvironment(environment: string, python: string): Promise<void> {
  const lib = join(environment, 'lib')
  // Packages may put their own libraries beside it.
  const made = (await readdir(lib)).find(name => /^python3\.\d+$/.test(name))
  if (made !== undefined && made !== `python${python}`) await rename(join(lib, made), join(lib, `python${python}`))
  const site = join(lib, `python${python}/site-packages`)
  await Promise.all(
    ['CACHEDIR.TAG', '.lock', '.gitignore', 'lib64'].map(name =>
      rm(join(environment, name), { recursive: true, force: true })
    )
  )
  await Promise.all(
    ['_virtualenv.py', '_virtualenv.pth', '__pycache__'].map(name =>
      rm(join(site, name), { recursive: true, force: true })
    )
  )
  await writeFile(
    join(environment, 'pyvenv.cfg'),
    `home = /usr/bin\ninclude-system-site-packages = false\nversion = ${python}\nexecutable = /usr/bin/python${python}\n`
  )
  await writeScripts(join(environment, 'bin'), site)
  await rm(join(environment, 'bin/python'), { force: true })
  await symlink(`/usr/bin/python${python}`, join(environment, 'bin/python'))
  await symlink('python', join(environment, 'bin/python3'))
  await symlink('python', join(environment, `bin/python${python}`))
}

const SHEBANG = `#!/${ENVIRONMENT_PATH}/bin/python\n`

/** Writes the commands of all packages anew; uv's own wording differs between its versions. Scripts a package brings keep their text. */
async function writeScripts(bin: string, site: string): Promise<void> {
  const commands = new Map<string, string>()
  for (const info of (await readdir(site)).filter(name => name.endsWith('.dist-info')).sort()) {
    const text = await readFile(join(site, info, 'entry_points.txt'), 'utf8').catch(() => '')
    for (const [name, script] of consoleScripts(text)) commands.set(name, script)
  }
  for (const entry of await readdir(bin, { withFileTypes: true })) {
    const path = join(bin, entry.name)
    if (commands.has(entry.name)) continue
    const text = entry.isFile() ? await readFile(path, 'latin1') : ''
    const body = /^#!\/bin\/sh\n'''exec' .*\n' '''\n([^]*)$/.exec(text)?.[1]
    const isActivation = /^(de)?activate|^pydoc\.bat$/.test(entry.name)
    if (!entry.isFile() || isActivation) await rm(path)
    else if (body !== undefined) {
      // Removed first: the file may share its bytes with uv's cache.
      await rm(path)
      await writeFile(path, SHEBANG + body, { encoding: 'latin1', mode: 0o755 })
    }
  }
  for (const [name, script] of commands) {
    await rm(join(bin, name), { force: true })
    await writeFile(join(bin, name), script, { mode: 0o755 })
  }
}

/** Commands of the section `[console_scripts]` of an entry_points.txt, with the text of their script. */
export function consoleScripts(text: string): [name: string, script: string][] {
  const section = /^\[console_scripts\]\s*\n([^[]*)/m.exec(text)?.[1] ?? ''
  return section.split('\n').flatMap((line): [string, string][] => {
    const [, name, module, attribute] = /^\s*([\w.-]+)\s*=\s*([\w.]+)\s*:\s*([\w.]+)/.exec(line) ?? []
    if (name === undefined || module === undefined || attribute === undefined) return []
    const [first = attribute] = attribute.split('.')
    return [[name, `${SHEBANG}import sys\nfrom ${module} import ${first}\nsys.exit(${attribute}())\n`]]
  })
}
