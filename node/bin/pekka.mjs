#!/usr/bin/env node
/**
 * The launcher: plain JavaScript for Node 18 and newer. Sets up what the command needs, then runs the real command line
 * (node/dist/cli/main.js) on the pinned Node 24. `npm start` is `pekka up`; `npm start -- run FILE` is `pekka run FILE`.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import * as modules from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { commandOf, ownArguments } from './setup/arguments.mjs'
import { doctor } from './setup/doctor.mjs'
import { setUp } from './setup/index.mjs'
import { findNode, withModules } from './setup/modules.mjs'
import { MAIN, ROOT, homeFrom, tilde } from './setup/places.mjs'
import { StepError } from './setup/steps.mjs'
import { EXIT_SETUP } from './setup/system.mjs'

/**
 * What a command needs set up. All others need what they are made of, and nothing of the machine.
 * @type {Record<string, import('./setup/index.mjs').Needs>}
 */
const NEEDS = { up: { network: true, lab: true }, run: { network: true }, provider: { network: true } }

/**
 * Runs the command line on `node` and ends as it does. Signals are passed on; if this process is killed, the channel closes and
 * the other one stops by itself.
 * @param {string} node @param {string[]} args @param {string} home
 */
async function handOver(node, args, home) {
  // what was compiled once is kept: a sixth of the time until our processes serve; they inherit it
  const env = { ...withModules(process.env), NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? compiledIn(home) }
  if (realpathSync(node) === realpathSync(process.execPath)) {
    process.argv = [process.execPath, MAIN, ...args]
    Object.assign(process.env, env)
    modules.enableCompileCache?.(env.NODE_COMPILE_CACHE)
    await import(pathToFileURL(MAIN).href)
    return
  }
  const child = spawn(node, [MAIN, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env
  })
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 70)
    if (child.connected) child.disconnect()
  })
}

/** @param {string} home */
const compiledIn = home => join(home, 'cache', 'node')

const version = () => JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version

async function main() {
  if (Number(process.versions.node.split('.')[0]) < 18)
    throw new StepError({ step: 'Node', reason: `18 or newer is needed; this is ${process.versions.node}` })
  // npm runs scripts in the checkout; files are meant relative to where the user stands
  if (process.env.npm_lifecycle_event === 'start' && process.env.INIT_CWD) process.chdir(process.env.INIT_CWD)
  const args = commandOf(process.argv.slice(2))
  const home = homeFrom(process.env)
  process.env.PEKKA_HOME = home
  const [command = 'help'] = args
  if (command === 'doctor') {
    process.exitCode = await doctor({ home, json: args.includes('--json') })
    return
  }
  const own = ownArguments(args)
  const needs = own.includes('--help') || own.includes('-h') ? {} : (NEEDS[command] ?? {})
  const quiet = own.includes('--quiet') || own.includes('-q')
  if (command === 'up' && needs.network && !quiet)
    process.stderr.write(`PEKKA ${version()}   state in ${tilde(home)}\n`)
  const stop = new AbortController()
  const giveUp = (/** @type {NodeJS.Signals} */ signal) =>
    stop.abort(new StepError({ step: 'Set-up', reason: `ended by ${signal}` }))
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, giveUp)
  try {
    await setUp({ home, needs, quiet, signal: stop.signal })
  } catch (error) {
    if (!stop.signal.aborted) throw error
    process.exitCode = 130
    return
  }
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.off(signal, giveUp)
  const node = findNode()
  if (!node || !existsSync(MAIN)) throw new StepError({ step: 'Set-up', reason: `nothing was built at ${MAIN}` })
  await handOver(node.path, args, home)
}

main().catch(error => {
  process.stderr.write(`${error instanceof StepError ? error.message : (error?.stack ?? error)}\n`)
  process.exit(EXIT_SETUP)
})
