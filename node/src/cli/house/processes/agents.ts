import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../../../host/files/index.js'
import { ROOT } from '@pekka/node/setup/places'
import type { ChildSpec, Ready } from './child.js'
import { ENGINE_FLAGS } from './engine.js'
import { folderOf, logOf, type HousePlaces } from '../state/places.js'

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
 * @param before what it said when an earlier network of this home ran
 */
export function agentChild(
  places: HousePlaces,
  name: string,
  kind: keyof typeof ENTRY_POINTS,
  network: string,
  env: NodeJS.ProcessEnv,
  own: (before: Ready | undefined) => object | Promise<object>,
  before?: Ready
): ChildSpec {
  const folder = folderOf(places, name)
  const file = join(folder, 'settings.json')
  let last = before
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
      await replaceFile(file, JSON.stringify({ ...common, ...(await own(last)) }, null, 2), { flush: false })
      return {
        program: process.execPath,
        args: [...ENGINE_FLAGS, ENTRY_POINTS[kind], '--settings', file],
        env,
        cwd: folder
      }
    },
    ready: async said => {
      last = await said
      return last
    }
  }
}
