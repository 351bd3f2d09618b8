/**
 * Set-up: brings whatever a command needs from "a clone and nothing else" to "ready", and does nothing where all is there.
 *
 *   await setUp({ home: '/home/ada/.local/share/pekka', needs: { lab: true, network: true } })
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildExtension, buildNeeds, buildTypeScript, listingDigest } from './build.mjs'
import { hold } from './hold.mjs'
import { findNode, installModules, modulesAreCurrent, withModules } from './modules.mjs'
import { MAIN, ROOT, placesIn, tilde } from './places.mjs'
import { installLab, installUv, labIsCurrent, uvIsThere, withUv } from './python.mjs'
import { StepError, Steps } from './steps.mjs'
import { DISK, gigabytes, missingPackages, planPackages, problemsOf } from './system.mjs'

/** The image that every provider of an embedded network has. */
export const BASE_IMAGE = 'base'

/**
 * @typedef {object} Needs
 * @property {boolean} [network] a network on this machine: a sandbox, the base image, Valkey
 * @property {boolean} [lab] JupyterLab with the extension
 */

/** @param {string} home */
const imageStamp = home => join(placesIn(home).stamps, `image-${BASE_IMAGE}`)

/** The digest of the base image's sources if it must be built from them. @param {string} home */
export async function imageDigestIfNeeded(home) {
  const digest = await listingDigest(['sandbox-images', 'node/src/host/images'])
  return (await readFile(imageStamp(home), 'utf8').catch(() => '')) === digest ? undefined : digest
}

/**
 * Sets up; throws a StepError whose message is for people.
 * @param {{ home: string, needs: Needs, quiet?: boolean, signal?: AbortSignal, out?: { write(text: string): unknown, isTTY?: boolean, columns?: number } }} what
 */
export async function setUp({ home, needs, quiet, signal, out }) {
  const places = placesIn(home)
  const steps = new Steps({ logs: places.setupLogs, quiet, signal, out })
  const wanted = async () => ({
    modules: !(await modulesAreCurrent()),
    build: await buildNeeds({ extension: Boolean(needs.lab) }),
    uv: needs.network ? !(await uvIsThere(places)) : false,
    lab: needs.network ? !(await labIsCurrent(places)) : false,
    image: needs.network ? await imageDigestIfNeeded(home) : undefined
  })
  const before = await wanted()
  const missing = needs.network
    ? missingPackages({ needUv: before.uv, needPython: before.lab || Boolean(before.image) })
    : []
  const nothingToDo =
    missing.length === 0 &&
    !before.modules &&
    !before.build.typescript &&
    !before.build.extension &&
    !before.uv &&
    !before.lab &&
    !before.image
  if (nothingToDo) return { changed: false }

  // all that a person must see to is told before anything is done
  const problems = await problemsOf({
    home,
    root: ROOT,
    needsModules: before.modules,
    needsHome: Boolean(before.image)
  })
  if (problems.length > 0) throw new StepError({ step: 'Set-up', reason: problems.join('\n') })
  const packages = await planPackages(missing)
  const room = (before.modules ? DISK.modules : 0) + (before.image ? DISK.home : 0)
  if (room > 0) steps.say(`Setting up; takes up to ${gigabytes(room)} of disk, most of it in ${tilde(home)}`)

  await mkdir(home, { recursive: true, mode: 0o700 })
  const waiting = (/** @type {number} */ pid) => steps.say(`  waiting for process ${pid}, which is setting up the same`)
  const checkoutLock = await hold(join(ROOT, '.pekka-setup', 'lock'), { signal, waiting })
  try {
    const homeLock = await hold(join(home, 'setup.lock'), { signal, waiting })
    try {
      await runSteps(steps, places, packages, await wanted())
    } finally {
      await homeLock.release()
    }
  } finally {
    await checkoutLock.release()
  }
  return { changed: true }
}

/**
 * @param {Steps} steps
 * @param {ReturnType<typeof placesIn>} places
 * @param {((step: import('./steps.mjs').Step) => Promise<string>) | undefined} packages
 * @param {{ modules: boolean, build: { typescript?: string, extension?: string }, uv: boolean, lab: boolean, image?: string }} todo
 */
async function runSteps(steps, places, packages, todo) {
  // Two lanes for two cores: npm and the compiler; the system's packages and Python. The image waits for uv and the compiler.
  const uvReady = (async () => {
    if (packages) await steps.step('System packages', packages)
    if (todo.uv) await steps.step('uv', step => installUv(step, places))
  })()
  const python = uvReady.then(async () => {
    if (todo.lab) await steps.step('JupyterLab', step => installLab(step, places))
  })
  const compiled = (async () => {
    if (todo.modules) await steps.step('Packages', installModules)
    if (todo.build.typescript) await steps.step('PEKKA', step => buildTypeScript(step, todo.build.typescript))
  })()
  const extension = compiled.then(async () => {
    if (todo.build.extension) await steps.step('Extension', step => buildExtension(step, todo.build.extension))
  })
  const image = Promise.all([uvReady, compiled]).then(async () => {
    if (todo.image) await steps.step('Base environment', step => buildImage(step, places, todo.image ?? ''))
  })
  const ends = await Promise.allSettled([python, extension, image])
  const failed = ends.find(end => end.status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}

/**
 * @param {import('./steps.mjs').Step} step
 * @param {ReturnType<typeof placesIn>} places
 * @param {string} digest
 */
async function buildImage(step, places, digest) {
  const node = findNode()
  if (!node) throw new StepError({ step: 'Base environment', reason: 'no Node of 22.12 or newer is here' })
  let said = 'ready'
  // with the small image only, the next start tries the download again
  let complete = true
  await step.run(node.path, [join(MAIN, '..', 'setup', 'image.js'), BASE_IMAGE], {
    env: withModules({ ...withUv(places), PEKKA_HOME: places.home }),
    onLine: line => {
      const [, kind, text = ''] = /^(progress|done|fallback) (.*)$/.exec(line) ?? []
      const [, fraction = '', shown = ''] = /^(\S+) (.*)$/.exec(text) ?? []
      if (kind === 'progress') step.progress(shown, fraction === '-' ? undefined : Number(fraction))
      else if (kind) said = text
      if (kind === 'fallback') complete = false
    }
  })
  if (!complete) return said
  await mkdir(places.stamps, { recursive: true })
  await writeFile(imageStamp(places.home), digest)
  return said
}
