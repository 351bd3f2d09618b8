import { mkdir, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'
import type { ChildSpec, Ready } from './child.js'
import { folderOf, logOf, type HousePlaces } from './places.js'

/** Where our processes begin. They are started by path, never imported: parts are put together by starting them. */
export const ENTRY_POINTS = {
  witness: join(ROOT, 'node', 'dist', 'agents', 'witness', 'main.js'),
  provider: join(ROOT, 'node', 'dist', 'agents', 'provider', 'main.js'),
  wallet: join(ROOT, 'node', 'dist', 'agents', 'wallet', 'main.js'),
  bridge: join(ROOT, 'server', 'dist', 'main.js')
} as const

/** What the settings of each process hold besides its own. */
export interface CommonSettings {
  home: string
  /** Id of the network, hex. */
  network: string
  logLevel: string
  /** Where the process writes `{ pid, ...addresses }` once it serves. */
  readyFile: string
}

/**
 * One of our processes: its settings go into a file, made anew at each start.
 *
 * @param own gives the settings of its own; `before` is what it said when it served last, so that it can keep its ports
 */
export function agentChild(
  places: HousePlaces,
  name: string,
  kind: keyof typeof ENTRY_POINTS,
  network: string,
  env: NodeJS.ProcessEnv,
  own: (before: Ready | undefined) => object
): ChildSpec {
  const folder = folderOf(places, name)
  const file = join(folder, 'settings.json')
  let before: Ready | undefined
  return {
    name,
    ours: true,
    log: logOf(places, name),
    command: async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const common: CommonSettings = {
        home: places.home,
        network,
        logLevel: env.PEKKA_LOG_LEVEL ?? 'info',
        readyFile: join(folder, 'ready.json')
      }
      await writeFile(`${file}.new`, JSON.stringify({ ...common, ...own(before) }, null, 2), { mode: 0o600 })
      await rename(`${file}.new`, file)
      return {
        program: process.execPath,
        args: [ENTRY_POINTS[kind], '--settings', file],
        env,
        cwd: folder
      }
    },
    ready: async said => {
      before = await said
      return before
    }
  }
}

/** A field of what a process said, as text. Throws if it didn't say it: the two sides then disagree on what "ready" means. */
export function textOf(ready: Ready, field: string): string {
  const value = ready[field]
  if (typeof value !== 'string') throw new Error(`said no ${field} when it was ready`)
  return value
}

/** The multiaddresses that a process said. */
export function addressesOf(ready: Ready): string[] {
  const { addresses } = ready
  if (!Array.isArray(addresses) || addresses.length === 0) throw new Error('said no addresses when it was ready')
  return addresses.map(String)
}

/** Where to listen: the same ports as before, so that others find a restarted process again; any free ones at first. */
export const listenAgain = (before: Ready | undefined, more?: string): string[] =>
  before === undefined
    ? ['/ip4/127.0.0.1/tcp/0', ...(more === undefined ? [] : [`/ip${isIP(more)}/${more}/tcp/0`])]
    : addressesOf(before).map(address => address.replace(/\/p2p\/.*$/, ''))

/** The port of an http address that a process said before; 0 lets the system choose. */
export const portAgain = (before: Ready | undefined): number =>
  before === undefined ? 0 : Number(new URL(textOf(before, 'url')).port)
