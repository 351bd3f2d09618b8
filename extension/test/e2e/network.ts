/** The whole product as `npm start` brings it up, and a browser, for tests and benchmarks. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser } from 'playwright-core'
import { PackageIndex } from '../../../server/test/layers/package-index.js'
import { DataServer } from '../../../server/test/support/data-server.js'

const CHROMIUM = process.env['PEKKA_TEST_CHROMIUM'] ?? '/usr/bin/chromium'
/** A home whose environments and images are used; each test network has a home of its own beside it. */
const PREPARED = process.env['PEKKA_TEST_HOME']
const LAUNCHER = fileURLToPath(new URL('../../../node/bin/pekka.mjs', import.meta.url))

/** Pictures, and the processes' logs of the last run, for whoever looks at a failure. */
export const ARTIFACTS = fileURLToPath(new URL('../../../artifacts/', import.meta.url))

/** What stands on the server of data. */
const DATA = { '/stars.csv': 'name,mass\nVega,2.1\nSirius,2.0\n', '/closed.csv': 'a\n1\n' }

/** Bringing everything up on a busy machine, ms. */
const START_MS = 120_000

export interface Network {
  home: string
  /** Lab's root. */
  work: string
  /** Lab's address without a path, and its token. */
  origin: string
  token: string
  browser: Browser
  /** In the place of servers of data on the Internet. */
  data: DataServer
  /** Where the bridge looks packages up; empty until a test puts something in. */
  index: PackageIndex
  stop(): Promise<void>
  /** Where the bridge listens. */
  bridge(): Promise<{ host: string; port: number }>
  /** Replaces the user's settings, ours or those of another plugin; a page reads them when it is opened. */
  configure(settings: Record<string, unknown>, plugin?: string): Promise<void>
  /** Ends a process with SIGKILL; the supervisor starts it again. */
  kill(name: 'bridge' | 'provider-1' | 'provider-2' | 'witness' | 'wallet'): Promise<void>
}

/** What is missing here; under CI that is a failure, elsewhere the suites are left out. */
export function missing(): string | undefined {
  const what = !existsSync(CHROMIUM)
    ? `no Chromium at ${CHROMIUM} (apt-get install chromium)`
    : PREPARED === undefined
      ? 'PEKKA_TEST_HOME names no home that is set up (npm test does)'
      : undefined
  if (what !== undefined && process.env['CI'] !== undefined) throw new Error(what)
  return what
}

/**
 * Brings everything up; `stop` ends it all and removes what it wrote.
 *
 * @param prepared home whose environments and images are used
 * @param witnesses how many order its ledger
 */
export async function startNetwork(prepared = PREPARED, witnesses = 1): Promise<Network> {
  // A space and an umlaut, as in people's names.
  const base = await mkdtemp(join(tmpdir(), 'pekka e2e ü '))
  const home = join(base, 'home')
  await mkdir(home)
  for (const name of ['tools', 'python', 'images', 'stamps', 'cache'])
    if (existsSync(join(prepared ?? '', name))) await symlink(join(prepared ?? '', name), join(home, name))
  const index = new PackageIndex()
  await index.start()
  const data = await DataServer.start(DATA)
  await writeFile(join(home, 'bridge.json'), JSON.stringify({ inputs: data.settings }))
  const node = process.execPath
  const child = spawn(node, [LAUNCHER, 'up', '--json', '--no-browser', '--witnesses', String(witnesses)], {
    env: { ...process.env, PEKKA_HOME: home, XDG_RUNTIME_DIR: base, NODE_OPTIONS: '', UV_DEFAULT_INDEX: index.url },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  })
  const log: string[] = []
  child.stderr.on('data', chunk => log.push(String(chunk)))
  const open: { browser?: Browser } = {}
  const stop = async (): Promise<void> => {
    await open.browser?.close()
    await end(child)
    await Promise.all([index.stop(), data.stop()])
    await cp(join(home, 'logs'), join(ARTIFACTS, 'e2e-logs'), { recursive: true, force: true }).catch(() => undefined)
    await rm(base, { recursive: true, force: true })
  }
  const lab = await addressOf(child, log).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  await quiet(home)
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] })
  open.browser = browser
  const token = lab.searchParams.get('token') ?? ''
  return {
    home,
    work: join(home, 'work'),
    origin: lab.origin,
    token,
    browser,
    data,
    index,
    stop,
    bridge: async () => {
      const { hostname, port } = new URL(String((await said(home, 'bridge')).url))
      return { host: hostname, port: Number(port) }
    },
    configure: async (settings, plugin = '@pekka/jupyterlab:plugin') => {
      const { ok, status } = await fetch(`${lab.origin}/lab/api/settings/${plugin}`, {
        method: 'PUT',
        headers: { authorization: `token ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ raw: JSON.stringify(settings) })
      })
      if (!ok) throw new Error(`the settings of ${plugin} were answered with ${status}`)
    },
    kill: async name => {
      const { pid } = await said(home, name)
      if (pid === undefined) throw new Error(`${name} has no pid`)
      process.kill(Number(pid), 'SIGKILL')
    }
  }
}

/** What a process says of itself once it serves. */
async function said(home: string, name: string): Promise<{ pid?: unknown; url?: unknown }> {
  const ready: unknown = JSON.parse(await readFile(join(home, 'devnet', name, 'ready.json'), 'utf8'))
  return typeof ready === 'object' && ready !== null ? ready : {}
}

/** The line of JSON that `up` prints when everything serves. */
async function addressOf(child: ChildProcess, log: string[]): Promise<URL> {
  const { stdout } = child
  if (stdout === null) throw new Error('its output is not read')
  const found = new Promise<URL>((resolve, reject) => {
    createInterface({ input: stdout }).on('line', line => {
      log.push(`${line}\n`)
      const address = /http:\/\/[^"\s]+\/lab[^"\s]*/.exec(line)?.[0]
      if (address !== undefined) resolve(new URL(address))
    })
    child.once('exit', code => reject(new Error(`pekka up ended with ${code}:\n${log.join('')}`)))
    setTimeout(() => reject(new Error(`pekka up took too long:\n${log.join('')}`)), START_MS).unref()
  })
  return await found
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), 20_000)
  await gone
  clearTimeout(late)
}

/** Lab asks a new user about news in a corner of the page; that is not ours to test. */
async function quiet(home: string): Promise<void> {
  const folder = join(home, 'jupyter', 'settings', '@jupyterlab', 'apputils-extension')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'notification.jupyterlab-settings'), '{"fetchNews": "false"}')
}
