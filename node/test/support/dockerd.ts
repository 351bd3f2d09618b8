/**
 * A Docker Engine of the tests' own: own socket, own data, no bridge, no firewall rules, so that it neither needs nor
 * touches one that may be running on the machine. Needs root and `dockerd` (Debian: `docker.io`).
 *
 * @example
 * const engine = await startDockerd({ directory: '/tmp/tests/docker' })
 * process.env.DOCKER_HOST = engine.host
 * …
 * await engine.stop()
 */
import { spawn } from 'node:child_process'
import { accessSync, constants, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface TestEngine {
  /** For `DOCKER_HOST`: `unix:///…`. */
  host: string
  socket: string
  pid: number
  /** Where the engine's own words go. */
  log: string
  /** Stops the engine and everything that runs in it, and removes its data. */
  stop(): Promise<void>
}

export interface StartDockerdOptions {
  /** For data and log; removed at stop. Default: a new temporary directory. */
  directory?: string
  /** How long the engine may take to answer, ms. It takes 1.6 s on a quiet machine. */
  timeout?: number
  signal?: AbortSignal
}

/** The longest path a unix socket may have is 107 bytes, so a deep `directory` needs its socket elsewhere. */
const LONGEST_SOCKET_PATH = 100

/** Debian puts dockerd into /usr/sbin, which an ordinary user's PATH often lacks. */
export function findDockerd(): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return directories
    .filter(directory => directory !== '')
    .map(directory => join(directory, 'dockerd'))
    .find(file => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** True where {@link startDockerd} can work at all: root, and the engine is installed. */
export function canStartDockerd(): boolean {
  return process.getuid?.() === 0 && findDockerd() !== undefined
}

export async function startDockerd(options: StartDockerdOptions = {}): Promise<TestEngine> {
  const binary = findDockerd()
  if (binary === undefined)
    throw new Error('dockerd is not installed: apt-get install --no-install-recommends docker.io')
  if (process.getuid?.() !== 0) throw new Error('starting dockerd needs root')

  if (options.directory !== undefined) await mkdir(options.directory, { recursive: true })
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'pekka-docker-')))
  const sockets =
    join(directory, 'docker.sock').length <= LONGEST_SOCKET_PATH ? directory : await mkdtemp(join(tmpdir(), 'pekka-'))
  const socket = join(sockets, 'docker.sock')
  const log = join(directory, 'dockerd.log')

  // The machine's own /etc/docker/daemon.json must not speak here.
  await writeFile(join(directory, 'daemon.json'), '{}\n')
  const output = createWriteStream(log)
  // A test run that is killed can't stop it; the kernel does.
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'TERM', binary],
      ...['--host', `unix://${socket}`, '--data-root', join(directory, 'data'), '--exec-root', join(sockets, 'exec')],
      ...['--pidfile', join(directory, 'docker.pid'), '--config-file', join(directory, 'daemon.json')],
      ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--ip-forward=false', '--ip-masq=false'],
      ...['--userland-proxy=false', '--log-level', 'warn']
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      // dockerd starts containerd and runc by name, and Debian has them in /usr/sbin.
      env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`, DOCKER_HOST: '' },
      // An own process group: Ctrl-C of the test run must reach our tidy stop(), not the engine behind its back.
      detached: true
    }
  )
  child.stdout.pipe(output, { end: false })
  child.stderr.pipe(output, { end: false })
  const exited = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })

  // A test run that ends without its tidy stop must not leave an engine behind.
  const onExit = () => child.kill('SIGTERM')
  process.once('exit', onExit)

  const stop = async () => {
    process.off('exit', onExit)
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
      await exited
      clearTimeout(late)
    }
    output.end()
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
    if (sockets !== directory) await rm(sockets, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }

  const deadline = Date.now() + (options.timeout ?? 60_000)
  try {
    while (!(await answers(socket))) {
      options.signal?.throwIfAborted()
      if (child.pid === undefined || child.exitCode !== null) throw new Error(`dockerd ended: ${await lastLines(log)}`)
      if (Date.now() > deadline) throw new Error(`dockerd doesn't answer: ${await lastLines(log)}`)
      // The engine offers no readiness signal we could wait on without systemd; its socket appears before it serves.
      await delay(50)
    }
  } catch (error) {
    await stop()
    throw error
  }
  if (child.pid === undefined) throw new Error('unreachable: an engine that answers has a process id')
  return { host: `unix://${socket}`, socket, pid: child.pid, log, stop }
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise(resolve => {
    const ping = request({ socketPath, path: '/_ping', timeout: 2000 }, response => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    ping.once('error', () => resolve(false))
    ping.once('timeout', () => ping.destroy(new Error('no answer')))
    ping.end()
  })
}

async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-5).join('\n') || '(it wrote nothing)'
}
