/** Compiles the checkout once. A later start compares a listing of the sources and compiles nothing. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findNode, withModules } from './modules.mjs'
import { MODULES, ROOT } from './places.mjs'
import { StepError } from './steps.mjs'

const TYPESCRIPT = [
  'tsconfig.base.json',
  'tsconfig.json',
  'package-lock.json',
  'node/src',
  'node/package.json',
  'server/src',
  'server/package.json'
]
const EXTENSION = [
  'extension/src',
  'extension/style',
  'extension/schema',
  'extension/package.json',
  'extension/tsconfig.json'
]

/** What the extension's build makes, and its record of what it was made from. */
export const LABEXTENSION = join(ROOT, 'extension', 'pekka_jupyterlab', 'labextension')
const STAMPS = {
  typescript: join(ROOT, 'node', 'dist', '.pekka-build'),
  extension: join(ROOT, 'extension', 'lib', '.pekka-build')
}

/**
 * A digest of the names, sizes and times of all files below some paths of the checkout. Contents aren't read: this runs at each start.
 * @param {string[]} paths
 */
export async function listingDigest(paths) {
  /** @type {string[]} */
  const lines = []
  const walk = async (/** @type {string} */ path) => {
    const entry = await stat(join(ROOT, path)).catch(() => undefined)
    if (!entry) return
    if (!entry.isDirectory()) {
      lines.push(`${path} ${entry.size} ${entry.mtimeMs}`)
      return
    }
    const names = await readdir(join(ROOT, path))
    await Promise.all(
      names.filter(name => name !== 'node_modules' && name !== '__pycache__').map(name => walk(join(path, name)))
    )
  }
  await Promise.all(paths.map(walk))
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex')
}

/** @param {string} stamp @param {string} digest */
const isCurrent = async (stamp, digest) => (await readFile(stamp, 'utf8').catch(() => '')) === digest

/**
 * What must be built: nothing, the TypeScript of all workspaces, the extension.
 * @param {{ extension: boolean }} wanted
 */
export async function buildNeeds({ extension }) {
  const [typescript, bundle] = await Promise.all([
    listingDigest([...TYPESCRIPT, ...EXTENSION]),
    listingDigest([...EXTENSION, 'node/src/core'])
  ])
  const hasExtension = existsSync(join(ROOT, 'extension', 'src', 'index.ts'))
  return {
    typescript: (await isCurrent(STAMPS.typescript, typescript)) ? undefined : typescript,
    extension: !extension || !hasExtension || (await isCurrent(STAMPS.extension, bundle)) ? undefined : bundle
  }
}

/**
 * @param {import('./steps.mjs').Step} step
 * @param {string | undefined} digest of the sources, if they must be compiled
 */
export async function buildTypeScript(step, digest) {
  if (!digest) return undefined
  const node = nodeOrFail()
  // --noCheck: types are checked by `npm test`; a start only needs the JavaScript
  await step.run(node, [join(MODULES, 'typescript', 'bin', 'tsc'), '-b', '--noCheck'], {
    cwd: ROOT,
    env: withModules(process.env)
  })
  await writeFile(STAMPS.typescript, digest)
  return 'built'
}

/**
 * @param {import('./steps.mjs').Step} step
 * @param {string | undefined} digest of the sources, if the extension must be bundled
 */
export async function buildExtension(step, digest) {
  if (!digest) return undefined
  const builder = join(MODULES, '@jupyter', 'builder', 'lib', 'build-labextension.js')
  const core = join(MODULES, '@jupyterlab', 'core-meta', 'core.package.json')
  await step.run(nodeOrFail(), [builder, '--core-package-file', core, '.'], {
    cwd: join(ROOT, 'extension'),
    env: withModules(process.env)
  })
  await writeFile(STAMPS.extension, digest)
  return 'built'
}

function nodeOrFail() {
  const node = findNode()
  if (!node)
    throw new StepError({
      step: 'Node',
      reason: `no Node of 22.12 or newer: the pinned package isn't installed and this is ${process.versions.node}`
    })
  return node.path
}
