import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where the processes of one PEKKA_HOME keep what. */
export interface HousePlaces {
  home: string
  /** Names the process that runs the network; see `@pekka/node/setup/hold`. */
  lock: string
  /** Which version of PEKKA wrote the state. */
  version: string
  /** State of the embedded network: can be thrown away with `pekka reset`. */
  devnet: string
  /** Keys and accounts of the user: survive everything but `pekka reset --all`. */
  wallet: string
  logs: string
  /** The children under way, so that the next start finds what a killed one left. */
  children: string
  /** What JupyterLab would otherwise keep in the user's own folders. */
  jupyter: string
  /** JupyterLab's root by default: the examples, and whatever the user makes there. */
  work: string
  /** Folder of the unix sockets. Short, because such a path may have 107 bytes and PEKKA_HOME any length. */
  sockets: string
}

export function housePlaces(home: string, env: NodeJS.ProcessEnv): HousePlaces {
  return {
    home,
    lock: join(home, 'lock'),
    version: join(home, 'version.json'),
    devnet: join(home, 'devnet'),
    wallet: join(home, 'wallet'),
    logs: join(home, 'logs'),
    children: join(home, 'devnet', 'children.json'),
    jupyter: join(home, 'jupyter'),
    work: join(home, 'work'),
    sockets: socketFolder(home, env)
  }
}

/** The user's runtime directory if the system made one (it goes at logout), else the system's temporary one. */
function socketFolder(home: string, env: NodeJS.ProcessEnv): string {
  const name = createHash('sha256').update(home).digest('hex').slice(0, 10)
  const runtime = env.XDG_RUNTIME_DIR
  if (runtime !== undefined && runtime.length < 40 && existsSync(runtime)) return join(runtime, `pekka-${name}`)
  const temporary = tmpdir()
  return join(temporary.length < 60 ? temporary : '/tmp', `pekka-${process.getuid?.() ?? 0}-${name}`)
}

/** Folder of one process, with its settings.json and what else it keeps. */
export const folderOf = (places: HousePlaces, process: string): string => join(places.devnet, process)

/** The house's own socket, over which `pekka run` and `pekka down` speak to it. */
export const controlSocket = (places: HousePlaces): string => join(places.sockets, 'house')

export const logOf = (places: HousePlaces, process: string): string => join(places.logs, `${process}.log`)
