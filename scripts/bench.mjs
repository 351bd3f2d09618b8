/**
 * `npm run bench -- NAME [--json] […]`: sets up what a benchmark needs and runs it.
 * A benchmark is `server/bench/NAME.ts` or `node/bench/NAME.ts`; its last line is one JSON object (docs/performance.md).
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { findNode, withModules } from '../node/bin/setup/modules.mjs'
import { setUp } from '../node/bin/setup/index.mjs'
import { MAIN, ROOT, homeFrom, placesIn } from '../node/bin/setup/places.mjs'
import { labIn, uvIn } from '../node/bin/setup/python.mjs'
import { find } from '../node/bin/setup/search.mjs'
import { StepError } from '../node/bin/setup/steps.mjs'
import { imageRoot } from './test-machine.mjs'

const FOLDERS = ['server/bench', 'node/bench']

/** Files that begin with a comment, which says what they measure; what else stands beside them are parts of theirs. */
function benchmarks() {
  const folders = FOLDERS.map(folder => join(ROOT, folder)).filter(existsSync)
  const files = folders.flatMap(folder => readdirSync(folder).map(file => join(folder, file)))
  return files.filter(file => file.endsWith('.ts') && readFileSync(file, 'utf8').startsWith('/**'))
}

async function main() {
  const [name, ...args] = process.argv.slice(2)
  const files = benchmarks()
  const file = files.find(path => basename(path, '.ts') === name)
  if (!file) {
    console.error(`Usage: npm run bench -- NAME [--json]\nNAME: ${files.map(path => basename(path, '.ts')).join(', ')}`)
    return 64
  }
  const home = homeFrom(process.env)
  await setUp({ home, needs: { network: true, lab: true } })
  const node = findNode()
  if (!node) throw new StepError({ step: 'Node', reason: 'no Node of 22.12 or newer is here' })
  const places = placesIn(home)
  const { PEKKA_HOME: _, ...inherited } = process.env
  const root = imageRoot(node.path, MAIN, { ...process.env, PEKKA_HOME: home })
  const chromium = find('chromium')
  const env = {
    ...withModules(inherited),
    PEKKA_TEST_HOME: home,
    PEKKA_TEST_PYTHON: join(labIn(places.python), 'bin', 'python'),
    PEKKA_UV: uvIn(places.tools),
    ...(root && { PEKKA_TEST_IMAGE_ROOT: root }),
    ...(chromium && { PEKKA_TEST_CHROMIUM: chromium })
  }
  // As our processes run (node/src/cli/house/processes/engine.ts): a bench is provider and client in one.
  const engine = ['--max-semi-space-size=4']
  const child = spawn(node.path, [...engine, '--conditions=pekka-source', '--import=tsx', file, ...args], {
    cwd: ROOT,
    env,
    stdio: 'inherit'
  })
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => child.kill(signal))
  return new Promise(resolve => child.on('exit', code => resolve(code ?? 70)))
}

main().then(
  code => process.exit(Number(code)),
  error => {
    console.error(error instanceof StepError ? error.message : error)
    process.exit(78)
  }
)
