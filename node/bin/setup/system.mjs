/** What the machine itself must have: Linux, Python, some programs of the distribution, room on the disk. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdir, statfs } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { StepError } from './steps.mjs'
import { find } from './search.mjs'

/** Exit code for "the set-up isn't complete" (sysexits.h EX_CONFIG). */
export const EXIT_SETUP = 78

/**
 * Programs that come from the distribution, and why. docs/install.md lists the same.
 * @type {{ program: string, package: string, why: string }[]}
 */
export const SYSTEM_PROGRAMS = [{ program: 'bwrap', package: 'bubblewrap', why: 'the sandbox that tasks run in' }]

/** The oldest Python that JupyterLab's lock holds for. */
const OLDEST_PYTHON = [3, 10]

/** Room that a first start takes, bytes: measured, rounded up by a fifth. */
export const DISK = {
  /** npm's packages and what the build makes. */
  modules: 1.2e9,
  /** The base environment, its download cache (hard links to it), JupyterLab, logs and the first tasks. */
  home: 4.3e9
}

/** @type {{ path: string, version: string } | undefined} */
let foundPython

/** A distribution's Python that is new enough, or undefined. Asked once: starting a Python takes a tenth of a second. */
export function findPython() {
  return (foundPython ??= askForPython())
}

function askForPython() {
  for (const name of ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10']) {
    const path = find(name)
    if (!path) continue
    const asked = spawnSync(
      path,
      ['-c', 'import sys; print("%d.%d.%d" % sys.version_info[:3]); print(sys.executable)'],
      { encoding: 'utf8' }
    )
    const [version = '', executable = path] = (asked.stdout ?? '').trim().split('\n')
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (major === OLDEST_PYTHON[0] && minor >= (OLDEST_PYTHON[1] ?? 0)) return { path: executable || path, version }
  }
  return undefined
}

/** @param {string} python */
export function hasPip(python) {
  return spawnSync(python, ['-m', 'pip', '--version'], { stdio: 'ignore' }).status === 0
}

/**
 * Packages of the distribution that are missing.
 * @param {{ needUv: boolean, needPython: boolean }} need
 */
export function missingPackages({ needUv, needPython }) {
  const missing = SYSTEM_PROGRAMS.filter(({ program }) => !find(program)).map(({ package: name, why }) => ({
    name,
    why
  }))
  if (!needPython && !needUv) return missing
  const python = findPython()
  if (!python) missing.push({ name: 'python3', why: 'JupyterLab and the environments need Python 3.10 or newer' })
  if (needUv && !find('uv') && !(python && hasPip(python.path)))
    missing.push({ name: 'python3-pip', why: 'installs uv, which sets up the Python environments' })
  return missing
}

/** @param {string[]} names */
export const aptArguments = names => [
  '-o',
  'DPkg::Lock::Timeout=300',
  'install',
  '-y',
  '--no-install-recommends',
  ...names
]

/** The command a person types. @param {string[]} names */
export function installCommand(names) {
  const apt = `apt-get install -y --no-install-recommends ${names.join(' ')}`
  return process.getuid?.() === 0 ? `apt-get update && ${apt}` : `sudo apt-get update && sudo ${apt}`
}

/**
 * Everything that is wrong with the machine, at once, before anything was done; empty if nothing is.
 * @param {{ home: string, root: string, needsModules: boolean, needsHome: boolean }} what
 */
export async function problemsOf({ home, root, needsModules, needsHome }) {
  /** @type {string[]} */
  const problems = []
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    problems.push(`PEKKA runs on Linux on x86-64; this is ${process.platform} on ${process.arch}.`)
  }
  problems.push(...(await diskProblems({ home, root, needsModules, needsHome })))
  return problems
}

/** @param {number} bytes */
export const gigabytes = bytes => `${(bytes / 1e9).toFixed(1)} GB`

/** @param {{ home: string, root: string, needsModules: boolean, needsHome: boolean }} what */
async function diskProblems({ home, root, needsModules, needsHome }) {
  try {
    await mkdir(home, { recursive: true, mode: 0o700 })
  } catch (error) {
    return [`PEKKA_HOME can't be made: ${/** @type {Error} */ (error).message}`]
  }
  // Node before 18.15 can't ask; there the step that runs out of room says so
  if (!statfs) return []
  const [homeDisk, rootDisk] = await Promise.all([statfs(home), statfs(root)])
  const free = (/** @type {import('node:fs').StatsFs} */ disk) => disk.bavail * disk.bsize
  return shortOfRoom(
    { path: home, free: free(homeDisk), needs: needsHome ? DISK.home : 0 },
    { path: root, free: free(rootDisk), needs: needsModules ? DISK.modules : 0 },
    homeDisk.blocks === rootDisk.blocks && free(homeDisk) === free(rootDisk)
  )
}

/**
 * What is said where a disk has too little room; both folders' needs count together where they are on one.
 * @typedef {{ path: string, free: number, needs: number }} Room bytes
 * @param {Room} home @param {Room} checkout @param {boolean} oneDisk
 * @returns {string[]}
 */
export function shortOfRoom(home, checkout, oneDisk) {
  const rooms = oneDisk ? [{ ...home, needs: home.needs + checkout.needs }] : [home, checkout]
  return rooms
    .filter(({ free, needs }) => free < needs)
    .map(({ path, free, needs }) => `The disk of ${path} has ${gigabytes(free)} free; ${gigabytes(needs)} are needed.`)
}

/** @param {string} question */
async function agreed(question) {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^(y|yes|)$/i.test((await terminal.question(question)).trim())
  } finally {
    terminal.close()
  }
}

/** Runs a command on the user's terminal. @param {string} command @param {string[]} args */
const onTerminal = (command, args) =>
  new Promise(resolve =>
    spawn(command, args, { stdio: 'inherit' })
      .on('exit', resolve)
      .on('error', () => resolve(127))
  )

/**
 * Decides, before anything is done, how missing packages come: asked for on a terminal, by root alone without one, else told.
 * Returns a step's work, or undefined where nothing is left to do.
 * @param {{ name: string, why: string }[]} missing
 * @returns {Promise<((step: import('./steps.mjs').Step) => Promise<string>) | undefined>}
 */
export async function planPackages(missing) {
  if (missing.length === 0) return undefined
  const names = missing.map(({ name }) => name)
  const list = missing.map(({ name, why }) => `  ${name.padEnd(14)} ${why}`).join('\n')
  const command = installCommand(names)
  const root = process.getuid?.() === 0
  const apt = find('apt-get')
  const terminal = process.stdin.isTTY && process.stderr.isTTY
  const told = new StepError({
    step: 'Set-up',
    reason: `packages of the system are missing, and only an administrator can install them:\n${list}\nInstall them, then start again:\n  ${command}`
  })
  if (!apt) {
    told.message = `Set-up needs programs that this system lacks (its package manager isn't apt, so the names may differ):\n${list}`
    throw told
  }
  if (root && !terminal) return aptInstall(apt, names)
  if (!terminal || (!root && !find('sudo'))) throw told
  process.stderr.write(`Packages of the system are missing:\n${list}\n`)
  if (!(await agreed(`Install them now with "${command}"? [Y/n] `))) throw told
  if (root) return aptInstall(apt, names)
  const code =
    (await onTerminal('sudo', ['apt-get', 'update'])) || (await onTerminal('sudo', ['apt-get', ...aptArguments(names)]))
  if (code !== 0) throw told
  return undefined
}

/** @param {string} apt @param {string[]} names */
function aptInstall(apt, names) {
  return async (/** @type {import('./steps.mjs').Step} */ step) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await step.run(apt, ['-o', 'DPkg::Lock::Timeout=300', 'update'], { env })
    await step.run(apt, aptArguments(names), { env })
    return names.join(', ')
  }
}
