/**
 * Where things are. PEKKA's own state stands under PEKKA_HOME; what a checkout builds stands in the checkout.
 * Plain JavaScript: this room runs on whatever Node (18 or newer) the system has, before anything is installed.
 */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of this checkout. */
export const ROOT = resolve(fileURLToPath(new URL('../../..', import.meta.url)))

/** What npm installed. A bundle of the checkout and of nothing else, so it needs no version. */
export const MODULES = join(ROOT, 'node_modules')

/** The command line that the build makes; everything behind it may be TypeScript. */
export const MAIN = join(ROOT, 'node', 'dist', 'cli', 'main.js')

/**
 * PEKKA_HOME, or `pekka` in the user's data directory (XDG base directory specification: a relative XDG_DATA_HOME is ignored).
 * @param {NodeJS.ProcessEnv} env
 */
export function homeFrom(env) {
  if (env.PEKKA_HOME) return resolve(env.PEKKA_HOME)
  const data = env.XDG_DATA_HOME?.startsWith('/') ? env.XDG_DATA_HOME : join(homedir(), '.local', 'share')
  return join(data, 'pekka')
}

/**
 * The folders of one PEKKA_HOME.
 * @param {string} home
 */
export function placesIn(home) {
  return {
    home,
    /** uv, and whatever else set-up installs for itself. */
    tools: join(home, 'tools'),
    /** Python environments, each named by the hash of its lock. */
    python: join(home, 'python'),
    images: join(home, 'images'),
    setupLogs: join(home, 'logs', 'setup'),
    stamps: join(home, 'stamps')
  }
}

/**
 * A path as people write it: `~` for the home directory.
 * @param {string} path
 */
export function tilde(path) {
  const user = homedir()
  return path === user || path.startsWith(user + '/') ? '~' + path.slice(user.length) : path
}
