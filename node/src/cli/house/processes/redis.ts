import { execFile } from 'node:child_process'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
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
  return { address: { path: socket }, child: redisChild(program, socket, places, env) }
}

/** @param program the server to run: Redis or Valkey */
export function redisChild(program: string, socket: string, places: HousePlaces, env: NodeJS.ProcessEnv): ChildSpec {
  const folder = folderOf(places, 'valkey')
  return {
    name: 'valkey',
    ours: false,
    log: logOf(places, 'valkey'),
    command: async () => {
      const own = await ownFolder(program)
      await mkdir(join(folder, own), { recursive: true, mode: 0o700 })
      for (const other of await readdir(folder))
        if (other !== own) await rm(join(folder, other), { recursive: true, force: true })
      const settings = {
        port: '0',
        unixsocket: socket,
        unixsocketperm: '700',
        dir: join(folder, own),
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

/**
 * The folder of a server's files, in the queue's. One server can't read what another or a newer one wrote (a distribution's Redis 7.0
 * the files of the Valkey 8 that served before it was installed), so each has its own, and what others left is of no use: the bridge
 * adds the jobs of open tasks again from its own disk.
 */
async function ownFolder(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version'])
  const [, name = 'server', version = ''] = /^(\w+) server v=(\d+\.\d+)/i.exec(stdout) ?? []
  return `${name.toLowerCase()}-${version}`
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
