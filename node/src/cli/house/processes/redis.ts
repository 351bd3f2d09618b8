import { connect } from 'node:net'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { bundledValkey } from '@pekka/node/setup/python'
import { find } from '@pekka/node/setup/search'
import type { ChildSpec, Ready } from './child.js'
import { folderOf, logOf, type HousePlaces } from '../state/places.js'

/** Where the bridge finds its Redis: the user's own, or a child's socket. */
export type RedisAddress = { url: string } | { path: string }

export interface Redis {
  address: RedisAddress
  /** The server to run; undefined where the user named one. */
  child?: ChildSpec
}

/**
 * The Redis of this house: REDIS_URL, else `redis-server` or `valkey-server` on PATH, else the Valkey in the Python package; undefined
 * if there is none. A child listens on a unix socket only, writes what it is told to disk each second, and refuses rather than forgets.
 */
export async function chooseRedis(
  places: HousePlaces,
  python: string,
  env: NodeJS.ProcessEnv
): Promise<Redis | undefined> {
  if (env.REDIS_URL !== undefined && env.REDIS_URL !== '') return { address: { url: env.REDIS_URL } }
  const program = find('redis-server') ?? find('valkey-server') ?? (await bundledValkey(python))
  if (program === undefined) return undefined
  const socket = join(places.sockets, 'valkey')
  return { address: { path: socket }, child: valkeyChild(program, socket, places, env) }
}

function valkeyChild(program: string, socket: string, places: HousePlaces, env: NodeJS.ProcessEnv): ChildSpec {
  const folder = folderOf(places, 'valkey')
  return {
    name: 'valkey',
    ours: false,
    log: logOf(places, 'valkey'),
    command: async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const settings = {
        port: '0',
        unixsocket: socket,
        unixsocketperm: '700',
        dir: folder,
        appendonly: 'yes',
        appendfsync: 'everysec',
        save: '',
        'maxmemory-policy': 'noeviction',
        daemonize: 'no'
      }
      return {
        program,
        args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
        env,
        cwd: folder
      }
    },
    ready: async (_, signal) => {
      while (!(await answers(socket))) {
        signal.throwIfAborted()
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      return { path: socket } satisfies Ready
    }
  }
}

/** Whether the server answers a PING; while it loads its file it says LOADING. */
const answers = (path: string): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(path, () => socket.write('PING\r\n'))
    socket.once('data', data => {
      resolve(data.toString().startsWith('+PONG'))
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
    socket.setTimeout(1000, () => {
      resolve(false)
      socket.destroy()
    })
  })
