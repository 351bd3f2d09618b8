/**
 * A start as a user does it: `npm start --silent -- run FILE` on a home, from whatever is there. In a fresh clone that is the first
 * start, which sets everything up; where all is there it is a second one.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemPath } from '../node/bin/setup/modules.mjs'
import { ROOT } from '../node/bin/setup/places.mjs'
import { find } from '../node/bin/setup/search.mjs'

const MINUTE = 60_000
/** A first start downloads 1.7 GB; docs/performance.md says how long that took where it was measured. */
const FIRST_LIMIT = 15 * MINUTE
const SECOND_LIMIT = 2 * MINUTE
/** Nothing listens there: whoever tries to download something is refused at once. */
const NOWHERE = 'http://127.0.0.1:9'

/** What a scientist might try first: a package of the environment, arguments, both outputs and an exit code of its own. */
const PROGRAM = `import sys
import numpy
print("sum", numpy.arange(10).sum(), sys.argv[1:])
print("on stderr", file=sys.stderr)
sys.exit(3)
`
const PRINTED = "sum 45 ['--json', 'a b']\n"

/**
 * @typedef {{ title: string, error?: string, took: number }} Start one that went wrong has an error
 * @param {{ env: NodeJS.ProcessEnv, home: string, running: Set<import('node:child_process').ChildProcess> }} init `running` is told
 * the child, so that an interrupted test run ends it
 * @returns {Promise<Start>}
 */
export function firstStart({ env, home, running }) {
  return start('npm start -- run', { env: userEnvironment(env, home), home, running, limit: FIRST_LIMIT })
}

/**
 * The same once more, without a network: in a network namespace with loopback alone where that may be made, else with addresses
 * of proxies and indexes where nothing listens.
 * @param {Parameters<typeof firstStart>[0]} init
 */
export function offlineStart({ env, home, running }) {
  const own = userEnvironment(env, home)
  const init = { home, running, limit: SECOND_LIMIT }
  const isolated = process.getuid?.() === 0 && find('unshare') && find('ip')
  if (isolated) {
    const wrap = ['unshare', '--net', '--', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
    return start('npm start -- run, without a network', { ...init, wrap, env: own })
  }
  const closed = {
    ...Object.fromEntries(['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].map(name => [name, NOWHERE])),
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
    npm_config_registry: NOWHERE,
    PIP_INDEX_URL: NOWHERE,
    UV_DEFAULT_INDEX: NOWHERE
  }
  return start('npm start -- run, without an index', { ...init, env: { ...own, ...closed } })
}

/** The environment of a shell: without what npm and a test run put into theirs. @param {NodeJS.ProcessEnv} env @param {string} home */
function userEnvironment(env, home) {
  const ours = /^(npm_(?!config_)|CI$|NODE_ENV$|NODE_OPTIONS$|INIT_CWD$|PEKKA_)/
  const kept = Object.entries(env).filter(([name]) => !ours.test(name))
  return { ...Object.fromEntries(kept), PATH: systemPath(), PEKKA_HOME: home }
}

/**
 * @param {string} title
 * @param {{ env: NodeJS.ProcessEnv, home: string, limit: number, wrap?: string[], running: Set<import('node:child_process').ChildProcess> }} init
 * @returns {Promise<Start>}
 */
async function start(title, { env, home, limit, wrap = [], running }) {
  // as in a path of the user's own
  const folder = await mkdtemp(join(tmpdir(), 'pekka first start ä '))
  const file = join(folder, 'first.py')
  await writeFile(file, PROGRAM)
  // a network that runs on this home already is used, and goes on
  const before = { processes: new Set(processesOf(home)), lock: existsSync(join(home, 'lock')) }
  const [program = '', ...args] = [...wrap, 'npm', 'start', '--silent', '--', 'run', file, '--json', 'a b']
  const began = Date.now()
  const said = { out: '', err: '' }
  const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  running.add(child)
  child.stdout.setEncoding('utf8').on('data', text => (said.out += text))
  // the steps of a set-up, as they are taken
  child.stderr.setEncoding('utf8').on('data', text => {
    said.err += text
    process.stderr.write(text)
  })
  let late = false
  const timer = setTimeout(() => {
    late = true
    kill(child)
  }, limit)
  const code = await new Promise(resolve => {
    child.on('error', error => ((said.err += error.message), resolve(127)))
    child.on('close', (exitCode, signal) => resolve(exitCode ?? signal))
  })
  clearTimeout(timer)
  const took = Date.now() - began
  const left = processesOf(home).filter(pid => !before.processes.has(pid))
  const wrong = [
    ...(late ? [`not done after ${limit / 1000} s`] : []),
    ...(code === 3 ? [] : [`ended with ${code}, not with the program's 3`]),
    ...(said.out === PRINTED ? [] : [`printed ${JSON.stringify(said.out)}, not ${JSON.stringify(PRINTED)}`]),
    ...(said.err.includes('on stderr\n') ? [] : ["the program's stderr is missing"]),
    ...left.map(pid => `left running: ${commandOf(pid)}`),
    ...(!before.lock && existsSync(join(home, 'lock')) ? ['left the lock of the home'] : [])
  ]
  kill(child)
  running.delete(child)
  await rm(folder, { recursive: true, force: true })
  return { title, took, ...(wrong.length > 0 && { error: `${wrong.join('\n')}\n${said.err.slice(-3000)}` }) }
}

/** @param {import('node:child_process').ChildProcess} child */
function kill(child) {
  try {
    if (child.pid) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // the group has ended
  }
}

/** Processes that live on a home: it stands in what they were started with. @param {string} home */
function processesOf(home) {
  return readdirSync('/proc').filter(
    pid =>
      /^\d+$/.test(pid) &&
      (read(pid, 'environ').includes(`PEKKA_HOME=${home}\0`) || read(pid, 'cmdline').includes(home))
  )
}

/** @param {string} pid */
const commandOf = pid => read(pid, 'cmdline').replaceAll('\0', ' ').trim()

/** @param {string} pid @param {string} what */
function read(pid, what) {
  try {
    return readFileSync(`/proc/${pid}/${what}`, 'utf8')
  } catch {
    return ''
  }
}
