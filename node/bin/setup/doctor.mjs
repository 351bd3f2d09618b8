/**
 * `pekka doctor`: each part with the version found, where it is, what is missing and how to get it. Plain JavaScript, so that it
 * also works where set-up failed half-way.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, readdir, statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { buildNeeds } from './build.mjs'
import { holderOf } from './hold.mjs'
import { BASE_IMAGE, imageDigestIfNeeded } from './index.mjs'
import { findNode, modulesAreCurrent, withModules } from './modules.mjs'
import { MAIN, MODULES, ROOT, placesIn, tilde } from './places.mjs'
import { bundledValkey, labIn, labIsCurrent, uvIn } from './python.mjs'
import { find } from './search.mjs'
import { DISK, findPython, gigabytes, hasPip, installCommand } from './system.mjs'

/**
 * @typedef {object} Finding
 * @property {'ok' | 'warn' | 'FAIL'} state
 * @property {string} part name and version
 * @property {string} detail where it is, or what is wrong
 * @property {string} [todo] how to get it right
 */

/** How long Docker Engine may take to answer, ms. It answers in a few; a hung one must not hang the doctor. */
const ENGINE_TIMEOUT = 2000

/** @param {string} program @param {string[]} args */
function versionOf(program, args = ['--version']) {
  const asked = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 })
  return /\d+(\.\d+)+/.exec(`${asked.stdout ?? ''}${asked.stderr ?? ''}`)?.[0] ?? ''
}

const SET_UP = 'npm start   sets up what is missing'

/** @param {ReturnType<typeof placesIn>} places @returns {Promise<Finding[]>} */
async function findings(places) {
  /** @type {Finding[]} */
  const found = []
  const ok = (/** @type {string} */ part, /** @type {string} */ detail) => found.push({ state: 'ok', part, detail })
  const warn = (/** @type {string} */ part, /** @type {string} */ detail, /** @type {string} */ todo) =>
    found.push({ state: 'warn', part, detail, todo })
  const fail = (/** @type {string} */ part, /** @type {string} */ detail, /** @type {string} */ todo) =>
    found.push({ state: 'FAIL', part, detail, todo })

  if (process.platform === 'linux' && process.arch === 'x64') ok('machine', 'Linux on x86-64')
  else fail('machine', `${process.platform} on ${process.arch}`, 'PEKKA runs on Linux on x86-64')

  const node = findNode()
  if (!node) fail('node', `${process.versions.node} is too old, and the pinned one isn't installed`, SET_UP)
  else ok(`node ${node.version}`, node.pinned ? node.path : `${node.path}   (the pinned package isn't installed)`)

  if (await modulesAreCurrent()) ok('npm packages', MODULES)
  else fail('npm packages', `${existsSync(MODULES) ? 'not those of the lock' : 'not installed'}   ${MODULES}`, SET_UP)

  const needs = await buildNeeds({ extension: true })
  if (needs.typescript) fail('pekka', `not built from the present sources   ${ROOT}`, SET_UP)
  else ok(`pekka ${JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')).version}`, ROOT)
  if (needs.extension) fail('extension', 'not built from the present sources', SET_UP)
  else ok('extension', join(ROOT, 'extension'))

  const python = findPython()
  if (python) ok(`python ${python.version}`, python.path)
  else fail('python', 'no Python 3.10 or newer', installCommand(['python3']))

  const uv = existsSync(uvIn(places.tools)) ? uvIn(places.tools) : find('uv')
  if (uv) ok(`uv ${versionOf(uv)}`, uv)
  else if (python && hasPip(python.path)) fail('uv', 'not installed', SET_UP)
  else fail('uv', 'not installed, and Python has no pip to install it', installCommand(['python3-pip']))

  if (await labIsCurrent(places)) ok(`jupyterlab ${await labVersion(places.python)}`, labIn(places.python))
  else fail('jupyterlab', 'not installed, or not as locked', SET_UP)

  await redis(places, ok, fail)

  const bwrap = find('bwrap')
  if (bwrap) ok(`bubblewrap ${versionOf(bwrap)}`, bwrap)
  else fail('bubblewrap', 'not installed: the sandbox that tasks run in', installCommand(['bubblewrap']))
  await docker(ok, warn)

  if (await imageDigestIfNeeded(places.home))
    fail(`environment ${BASE_IMAGE}`, 'not built, or from another definition', SET_UP)
  else ok(`environment ${BASE_IMAGE}`, places.images)

  if (statfs) {
    const disk = await statfs(existsSync(places.home) ? places.home : '/')
    const free = disk.bavail * disk.bsize
    if (free > DISK.home / 4) ok(`disk ${gigabytes(free)}`, `free for ${places.home}`)
    else warn(`disk ${gigabytes(free)}`, `free for ${places.home}`, 'tasks need room for their output: free some')
  }
  await sandbox(places, ok, fail)

  const running = await holderOf(join(places.home, 'lock'))
  ok(
    'network',
    running
      ? `runs: process ${running.pid}, ${running.address ?? 'starting'}`
      : 'not running   start it with: npm start'
  )
  return found
}

/** @param {string} python */
async function labVersion(python) {
  for (const version of await readdir(join(labIn(python), 'lib')).catch(() => [])) {
    const packages = await readdir(join(labIn(python), 'lib', version, 'site-packages')).catch(() => [])
    for (const name of packages) {
      const [, found] = /^jupyterlab-(\d[\w.]*)\.dist-info$/.exec(name) ?? []
      if (found) return found
    }
  }
  return ''
}

/**
 * In the order in which `pekka up` chooses.
 * @param {ReturnType<typeof placesIn>} places
 * @param {(part: string, detail: string) => void} ok
 * @param {(part: string, detail: string, todo: string) => void} fail
 */
async function redis(places, ok, fail) {
  if (process.env.REDIS_URL) return ok('redis', 'from REDIS_URL')
  for (const program of ['redis-server', 'valkey-server']) {
    const path = find(program)
    if (path) return ok(`${program.split('-')[0]} ${versionOf(path)}`, path)
  }
  const bundled = await bundledValkey(places.python)
  if (bundled) return ok(`valkey ${versionOf(bundled)}`, 'from the Python package')
  fail('valkey', 'not installed', SET_UP)
}

/**
 * @param {(part: string, detail: string) => void} ok
 * @param {(part: string, detail: string, todo: string) => void} warn
 */
async function docker(ok, warn) {
  const path = (process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace(/^unix:\/\//, '')
  if (!path.startsWith('/')) return ok('docker', process.env.DOCKER_HOST ?? '')
  const trouble = await new Promise(resolve => {
    const socket = connect(path, () => resolve(undefined))
    socket.setTimeout(ENGINE_TIMEOUT, () => resolve('ETIMEDOUT'))
    socket.on('error', error => resolve(/** @type {NodeJS.ErrnoException} */ (error).code))
    socket.on('close', () => resolve('closed'))
    setTimeout(() => socket.destroy(), ENGINE_TIMEOUT).unref()
  })
  if (!trouble) ok('docker', path)
  else if (trouble === 'EACCES') {
    warn(
      'docker',
      'installed, but you may not use it: bubblewrap is used',
      `sudo usermod -aG docker ${userInfo().username}   then sign in again`
    )
  } else
    warn('docker', 'no Docker Engine answers: bubblewrap is used', 'nothing needed; Docker would raise the isolation')
}

/**
 * What the built part says of itself: whether a sandbox works here, and how strong it is.
 * @param {ReturnType<typeof placesIn>} places
 * @param {(part: string, detail: string) => void} ok
 * @param {(part: string, detail: string, todo: string) => void} fail
 */
async function sandbox(places, ok, fail) {
  const probe = join(MAIN, '..', 'setup', 'sandbox.js')
  const node = findNode()
  if (!node || !existsSync(probe)) return
  const env = withModules({ ...process.env, PEKKA_HOME: places.home })
  const asked = spawnSync(node.path, [probe], { encoding: 'utf8', timeout: 60_000, env })
  try {
    const { isolation, runtime, why, remedy } = JSON.parse(asked.stdout)
    if (isolation) ok('sandbox', `${runtime}, isolation ${isolation} of 4`)
    else fail('sandbox', why, remedy ?? 'docs/install.md says what a sandbox needs')
  } catch {
    fail('sandbox', `could not be tried: ${(asked.stderr ?? '').trim().split('\n').at(-1) ?? ''}`, SET_UP)
  }
}

/** Parts without which tasks run all the same. */
const FOR_NOTEBOOKS = ['extension', 'jupyterlab']

/**
 * The last line: what is to be fixed, and whether tasks run now.
 * @param {readonly Finding[]} found
 */
export function summary(found) {
  const failed = found.filter(({ state }) => state === 'FAIL')
  const isolation = found
    .filter(({ state, part }) => state === 'ok' && part === 'sandbox')
    .map(({ detail }) => /isolation \d of \d/.exec(detail)?.[0])[0]
  const blocked = failed.some(({ part }) => !FOR_NOTEBOOKS.includes(part.split(' ')[0] ?? ''))
  const tasks = isolation && !blocked ? `Tasks run now, with ${isolation}.` : "Tasks can't run yet."
  return `${failed.length > 0 ? `${failed.length} to fix.` : 'All is there.'} ${tasks}`
}

/**
 * Prints the findings; returns the exit code: 0 if nothing fails.
 * @param {{ home: string, json: boolean }} what
 */
export async function doctor({ home, json }) {
  const found = await findings(placesIn(home))
  const failed = found.filter(({ state }) => state === 'FAIL').length
  if (json) {
    process.stdout.write(`${JSON.stringify({ home, findings: found, failed })}\n`)
    return failed ? 78 : 0
  }
  for (const { state, part, detail, todo } of found) {
    process.stdout.write(`${state.padEnd(5)} ${part.padEnd(18)} ${tilde(detail)}\n`)
    if (todo) process.stdout.write(`      do: ${todo}\n`)
  }
  process.stdout.write(`${summary(found)}\n`)
  return failed ? 78 : 0
}
