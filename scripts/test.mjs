/**
 * `npm test`: format, lint, types and every test but the long ones, on a machine that may be fresh. It sets up what it needs
 * through the same code as `npm start`, gives each suite a time limit, counts for itself and ends with `N passed, N failed`.
 *
 * --full also runs the long suites, and the others at length.
 *
 *   node scripts/test.mjs [--full] [--only NAME[,NAME…]]      NAME: start format lint types unit integration e2e system long images
 *
 * Plain JavaScript for Node 18: it is what installs the Node that the tests run on.
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findNode, installModules, modulesAreCurrent, withModules } from '../node/bin/setup/modules.mjs'
import { setUp } from '../node/bin/setup/index.mjs'
import { MAIN, ROOT, homeFrom, placesIn } from '../node/bin/setup/places.mjs'
import { labIn, labIsCurrent, uvIn, uvIsThere } from '../node/bin/setup/python.mjs'
import { StepError, Steps, seconds } from '../node/bin/setup/steps.mjs'
import { missingPackages } from '../node/bin/setup/system.mjs'
import { firstStart, offlineStart } from './first-start.mjs'
import { imageRoot, prepareMachine } from './test-machine.mjs'

const MINUTE = 60_000
/** Whether what is missing fails the tests (CI) or is listed as left out (a person's machine). */
const CI = Boolean(process.env.CI) && process.env.CI !== 'false'

/** With --full the same suites try chance more often: they have so many times their limit. */
const FULL_LIMIT = 3

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {string[]} [command] a check: passes with exit code 0 and counts as one
 * @property {string} [tests] the ending of a mocha suite's files; each test counts
 * @property {boolean} [coverage]
 * @property {boolean} [engine] a Docker Engine is started for it where it can be
 * @property {number} limit ms, after which it is killed and counts as failed
 * @property {boolean} [long] only with --full
 */

/**
 * Suites in lanes: what stands in one lane runs in order, the lanes of a stage beside each other. Two lanes for two cores, of about
 * the same length; much of the later suites is waiting: for a browser, for kernels, for processes that were killed.
 * @type {Suite[][][]}
 */
const STAGES = [
  [
    [
      { name: 'format', command: ['prettier', '--check', '.'], limit: 3 * MINUTE },
      { name: 'lint', command: ['npm', 'run', '--silent', 'lint'], limit: 5 * MINUTE },
      // also builds what the networks of system and e2e tests run
      { name: 'types', command: ['npm', 'run', '--silent', 'types'], limit: 5 * MINUTE },
      { name: 'system', tests: 'system.ts', engine: true, limit: 20 * MINUTE },
      { name: 'e2e', tests: 'e2e.ts', limit: 20 * MINUTE }
    ],
    [
      { name: 'unit', tests: 'spec.ts', coverage: true, limit: 8 * MINUTE },
      { name: 'integration', tests: 'integration.ts', engine: true, limit: 20 * MINUTE }
    ]
  ],
  [[{ name: 'long', tests: 'long.ts', engine: true, limit: 120 * MINUTE, long: true }]],
  // Downloads and builds every image: some 9 GB of disk in the home of the tests.
  [[{ name: 'images', tests: 'images.ts', engine: true, limit: 120 * MINUTE, long: true }]]
]

/** Folders that hold tests. */
const TEST_ROOTS = ['node/test', 'server/test', 'extension/test']

/** @param {string} folder @param {string} ending @returns {Promise<string[]>} */
async function filesIn(folder, ending) {
  const entries = await readdir(join(ROOT, folder), { withFileTypes: true }).catch(() => [])
  const found = await Promise.all(
    entries.map(entry => {
      const path = `${folder}/${entry.name}`
      return entry.isDirectory() ? filesIn(path, ending) : entry.name.endsWith(`.${ending}`) ? [path] : []
    })
  )
  return found.flat().sort()
}

/** @param {import('node:child_process').ChildProcess} child @param {NodeJS.Signals} signal */
function killGroup(child, signal) {
  try {
    if (child.pid) process.kill(-child.pid, signal)
  } catch {
    // the group has ended
  }
}

/** The folder of counts and compiled code of this run. @type {string | undefined} */
let scratch

/** What still ends may write into it once more; nothing of that may turn the run's result. */
function removeScratch() {
  if (!scratch) return
  try {
    rmSync(scratch, { recursive: true, force: true, maxRetries: 5 })
  } catch {
    console.error(`${scratch} could not be removed`)
  }
}

/** Suites under way, so that an interrupted run leaves none behind. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()

/**
 * Runs a command in a process group of its own until it ends or its limit does; then nothing of the group is left.
 * @param {string[]} command @param {NodeJS.ProcessEnv} env @param {number} limit
 */
async function runGroup([program = '', ...args], env, limit) {
  const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  running.add(child)
  /** @type {Buffer[]} */
  const output = []
  child.stdout.on('data', chunk => output.push(chunk))
  child.stderr.on('data', chunk => output.push(chunk))
  let overtime = false
  const timer = setTimeout(() => {
    overtime = true
    killGroup(child, 'SIGTERM')
    setTimeout(() => killGroup(child, 'SIGKILL'), 5000).unref()
  }, limit)
  // 'exit' and not 'close': something left behind may hold the pipes open for ever
  const code = await new Promise(resolve => {
    child.on('error', error => (output.push(Buffer.from(`${error.message}\n`)), resolve(127)))
    child.on('exit', (exitCode, signal) => resolve(exitCode ?? signal))
  })
  clearTimeout(timer)
  await new Promise(resolve => setTimeout(resolve, 100))
  killGroup(child, 'SIGKILL')
  running.delete(child)
  return { code, overtime, output: Buffer.concat(output).toString() }
}

/**
 * @typedef {{ title: string, file?: string, error: string }} Failure
 * @typedef {{ name: string, passed: number, failed: number, skipped: string[], failures: Failure[], took: number }} Result
 * @param {Suite} suite @param {NodeJS.ProcessEnv} env @param {string} folder
 * @returns {Promise<Result | undefined>}
 */
async function runSuite(suite, env, folder) {
  const counts = join(folder, `${suite.name}.json`)
  let command = suite.command
  if (suite.tests) {
    const files = (await Promise.all(TEST_ROOTS.map(root => filesIn(root, suite.tests ?? '')))).flat()
    if (files.length === 0) return undefined
    const coverage = suite.coverage
      ? ['c8', '--reporter=text-summary', '--reporter=lcovonly', '--src=node/src', '--src=server/src']
      : []
    const engine = suite.engine ? ['--require', 'scripts/mocha-engine.mjs'] : []
    command = [...coverage, 'mocha', '--reporter', 'scripts/count-reporter.cjs', ...engine, ...files]
  }
  if (!command) throw new Error(`${suite.name} has nothing to run`)
  const began = Date.now()
  // Hundreds of processes load the same code, those of each network from an empty home. Compiled beforehand it would be counted less well.
  const compiled = suite.coverage ? {} : { NODE_COMPILE_CACHE: join(folder, 'compiled') }
  const own = { ...env, ...compiled, PEKKA_TEST_COUNTS: counts }
  const { code, overtime, output } = await runGroup(command, own, suite.limit)
  const took = Date.now() - began
  const counted = suite.tests ? JSON.parse(await readFile(counts, 'utf8').catch(() => 'null')) : undefined
  // Also one that ends well without its counts: a test that ends the process would take the others with it.
  const broke = overtime || (suite.tests && !counted) || (code !== 0 && !(counted && counted.failed > 0))
  const result = {
    name: suite.name,
    passed: counted ? counted.passed : broke ? 0 : 1,
    failed: (counted ? counted.failed : 0) + (broke ? 1 : 0),
    skipped: counted ? counted.skipped : [],
    failures: [
      ...(counted ? counted.failures : []),
      ...(broke
        ? [{ title: overtime ? 'stopped at its limit' : `ended with ${code}`, error: output.trimEnd().slice(-3000) }]
        : [])
    ],
    took
  }
  const end = overtime ? `stopped at its limit of ${seconds(suite.limit)}` : broke ? `ended with ${code}` : ''
  const head = `${suite.name}: ${result.passed} passed, ${result.failed} failed, ${seconds(took)}`
  process.stdout.write(`\n── ${head}${end ? ` · ${end}` : ''}\n`)
  if (suite.tests || broke) process.stdout.write(output.trimEnd() + '\n')
  return result
}

/** Suites that need no more than npm's packages. */
const QUICK = ['format', 'lint', 'types', 'unit']

/** Starts of PEKKA as its users start it, beside the suites: under CI they are the set-up. */
const START = 'start'

/** @param {import('./first-start.mjs').Start[]} starts @returns {Result} */
function resultOf(starts) {
  const failures = starts.flatMap(({ title, error }) => (error === undefined ? [] : [{ title, error }]))
  for (const { title, error, took } of starts)
    process.stdout.write(`\n── ${START}: ${title}: ${error === undefined ? 'passed' : 'FAILED'}, ${seconds(took)}\n`)
  const took = starts.reduce((sum, start) => sum + start.took, 0)
  return { name: START, passed: starts.length - failures.length, failed: failures.length, skipped: [], failures, took }
}

/**
 * Installs what the chosen suites need; returns their environment and what had to be left out. Under CI it begins with a start as
 * a user's first one, which in a fresh clone sets up nearly all of it, and ends with one without a network.
 * @param {{ quick: boolean, start: boolean }} what
 * @returns {Promise<{ env: NodeJS.ProcessEnv, leftOut: string[], started?: Result }>}
 */
async function prepare({ quick, start }) {
  const home = homeFrom(process.env)
  const init = { env: process.env, home, running }
  const first = start ? await firstStart(init) : undefined
  const steps = new Steps({ logs: placesIn(home).setupLogs, out: process.stdout })
  if (!(await modulesAreCurrent())) await steps.step('Packages', installModules)
  const node = findNode()
  if (!node) throw new StepError({ step: 'Node', reason: 'no Node of 22.12 or newer is here' })
  // no test may touch the user's own state by leaving PEKKA_HOME as it is
  const { PEKKA_HOME: _, ...inherited } = process.env
  const settings = { NODE_ENV: 'test', FORCE_COLOR: '0', PEKKA_LOG_LEVEL: inherited.PEKKA_LOG_LEVEL ?? 'warn' }
  const env = withModules({ ...inherited, ...settings })
  if (quick) return { env, leftOut: [] }
  const places = placesIn(home)
  // after a first start only the extension is left to be built: beside the downloads
  const rest = () => setUp({ home, needs: { network: true, lab: true }, out: process.stdout })
  const [machine] = await Promise.all([
    prepareMachine(steps, CI),
    first && first.error === undefined ? rest() : undefined
  ])
  // set-up installs packages of the system where nobody can be asked; for tests nobody has asked it to
  const mayInstall = CI || (process.stdin.isTTY && process.stderr.isTTY)
  const system = mayInstall
    ? []
    : missingPackages({ needUv: !(await uvIsThere(places)), needPython: !(await labIsCurrent(places)) })
  if (system.length > 0) {
    const names = system.map(({ name }) => name).join(', ')
    const left = `everything that needs a network: ${names} missing (npm start installs it, or says how)`
    return { env: { ...env, ...machine.env }, leftOut: [...machine.leftOut, left] }
  }
  // the tests' own networks live in homes of their own; what is large (environments, images) is that of this home
  await rest()
  const started = first && resultOf([first, await offlineStart(init)])
  const root = imageRoot(node.path, MAIN, { ...env, PEKKA_HOME: home })
  return {
    env: {
      ...env,
      ...machine.env,
      PEKKA_TEST_HOME: home,
      PEKKA_TEST_PYTHON: join(labIn(places.python), 'bin', 'python'),
      PEKKA_UV: uvIn(places.tools),
      ...(root && { PEKKA_TEST_IMAGE_ROOT: root })
    },
    leftOut: machine.leftOut,
    ...(started && { started })
  }
}

async function main() {
  const args = process.argv.slice(2)
  const full = args.includes('--full')
  const only = args.includes('--only') ? args[args.indexOf('--only') + 1]?.split(',') : undefined
  const began = Date.now()
  const chosen = (/** @type {Suite} */ suite) => (only ? only.includes(suite.name) : full || !suite.long)
  const quick = STAGES.flat(2).every(suite => !chosen(suite) || QUICK.includes(suite.name))
  const start = CI && (only ? only.includes(START) : true)
  const { env, leftOut, started } = await prepare({ quick: quick && !only?.includes(START), start })
  // see node/test/support/effort.ts
  if (full) env.PEKKA_TEST_FULL = '1'
  const folder = (scratch = await mkdtemp(join(tmpdir(), 'pekka-test-')))
  /** @type {Result[]} */
  const results = started ? [started] : []
  try {
    for (const stage of STAGES) {
      await Promise.all(
        stage.map(async lane => {
          for (const suite of lane) {
            if (!chosen(suite)) continue
            const limit = full ? FULL_LIMIT * suite.limit : suite.limit
            const result = await runSuite({ ...suite, limit }, env, folder)
            if (result) results.push(result)
          }
        })
      )
    }
  } finally {
    removeScratch()
  }
  return report(results, leftOut, Date.now() - began)
}

/** @param {string} text the first lines of it, indented */
const indent = text =>
  text
    .split('\n')
    .slice(0, 40)
    .map(line => `    ${line}`)
    .join('\n')

/** @param {Result[]} results @param {string[]} leftOut @param {number} took */
function report(results, leftOut, took) {
  const skipped = results.flatMap(result => result.skipped.map(title => `${result.name}: ${title}`))
  const notRun = [...leftOut, ...skipped]
  if (notRun.length > 0) console.log(`\nLeft out:\n${notRun.map(title => `  ${title}`).join('\n')}`)
  // Once more at the end, where whoever sees only the last lines finds them.
  for (const { name, failures } of results) {
    for (const { title, file, error } of failures)
      console.log(`\nFAILED ${name}: ${title}${file ? `\n  ${file}` : ''}\n${indent(error)}`)
  }
  const passed = results.reduce((sum, result) => sum + result.passed, 0)
  // under CI everything can be installed, so a test that skipped itself has failed
  const failed = results.reduce((sum, result) => sum + result.failed, 0) + (CI ? skipped.length : 0)
  console.log(
    `\n${results.map(result => `${result.name} ${seconds(result.took)}`).join(' · ')} · in all ${seconds(took)}`
  )
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0 ? 0 : 1
}

for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => {
    for (const child of running) killGroup(child, 'SIGKILL')
    removeScratch()
    console.log('\n0 passed, 1 failed')
    process.exit(130)
  })
}

main().then(
  code => process.exit(code),
  error => {
    console.error(error instanceof StepError ? error.message : error)
    console.log('\n0 passed, 1 failed')
    process.exit(1)
  }
)
