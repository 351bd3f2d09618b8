import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Context } from 'mocha'
import { Wallet, openVault, type GrantTerms } from '@pekka/node/agents/wallet'
import { PekkaClient, type LiveFactory } from '@pekka/node/client'
import { createPrimitives, createSigner, random, systemClock } from '@pekka/node/host/crypto'
import { toHex, viewKeyFrom, type AccountView, type TaskItem } from '@pekka/node/protocol'
import { MAIN, homeFrom, placesIn } from '@pekka/node/setup/places'
import type { CliContext } from '../../src/cli/context.js'
import { connectHouse, type HouseLink } from '../../src/cli/house/control.js'
import { controlSocket, folderOf, housePlaces, logOf, type HousePlaces } from '../../src/cli/house/state/places.js'
import { joinOutside } from '../../src/cli/house/state/outside.js'
import { stampVersion } from '../../src/cli/house/state/version.js'
import { openSession, type Session } from '../../src/cli/task/session.js'
import { pekkaVersion } from '../../src/cli/version.js'

/** What a home needs that is large or slow to make, and that all networks of a test run share. */
const SHARED = ['images', 'python', 'tools', 'stamps'] as const

/** How long the processes may take to serve: two providers warm their sandboxes, on a machine that other tests keep busy. */
const START_MS = 90_000
/** How long what a task ran may take to be gone after its end: the grace of a kill, and a cold sandbox that replaces the warm one. */
const QUIET_MS = 50_000

/** The home that the test set-up filled; undefined where there is none. */
export function preparedHome(): string | undefined {
  const home = process.env.PEKKA_TEST_HOME ?? homeFrom(process.env)
  return existsSync(placesIn(home).images) && existsSync(placesIn(home).python) && existsSync(MAIN) ? home : undefined
}

/**
 * Call it first in a suite's `before`. Where nothing was set up the suite is left out; under CI it fails.
 */
export function needNetwork(context: Context): void {
  if (preparedHome() !== undefined) return
  if (process.env.CI !== undefined)
    throw new Error('no network can be started: run the tests by "npm test", which sets up what they need')
  context.skip()
}

/** For clients that follow nothing. */
const NO_LIVE: LiveFactory = () => {
  throw new Error('this client has no live connection')
}

/** How a command of `pekka` ended. */
export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** A command of `pekka` under way. */
export class Command {
  stdout = ''
  stderr = ''
  readonly ended: Promise<Ended>

  constructor(readonly process: ChildProcess) {
    process.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = new Promise(resolve =>
      process.once('close', code => resolve({ code, stdout: this.stdout, stderr: this.stderr }))
    )
  }

  /** Resolves when stdout holds `text`; rejects if the command ends before. */
  async printed(text: string): Promise<void> {
    const early = this.ended.then(({ code, stderr }) => {
      if (!this.stdout.includes(text)) throw new Error(`ended with ${code} before it printed "${text}":\n${stderr}`)
    })
    await Promise.race([early, until(`"${text}" is printed`, () => this.stdout.includes(text), 120_000)])
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }
}

/** A run of a program, and what it did to the account. */
export interface Run extends Ended {
  /** As the bridge and the ledger have it; null where nothing was sent. */
  item: TaskItem | null
  /** Free credits before and after, micro-credits. */
  before: bigint
  after: bigint
}

export interface TestNetworkInit {
  env?: NodeJS.ProcessEnv
  /** Lets the providers find the test run's Docker Engine; else they use bubblewrap. */
  docker?: boolean
  /** A folder with images, instead of those of the test set-up. */
  images?: string
  /** How many witnesses order its ledger; one, where it is left out. */
  witnesses?: number
  /** A network whose ledger others keep, instead of one of its own: path of its genesis, and where its witnesses are. */
  outside?: { genesis: string; witnesses: string[] }
  /** What the owner says of the bridge: `{ inputs, layers }`, as in bridge.json. */
  bridge?: object
  /** Runs everything as this user, in a home of its own. */
  uid?: number
}

/**
 * A whole network as `pekka run` starts it, in a home of its own: valkey, witness, bridge, wallet, two providers with sandboxes. What
 * is large in a home (images, the Python environment) is that of the test set-up. Share one among the tests of a suite.
 */
export class TestNetwork {
  readonly #words: () => string
  readonly #house: ChildProcess
  readonly #link: HouseLink
  readonly #session: Session
  readonly #folder: string
  readonly #uid: number | undefined
  readonly #env: NodeJS.ProcessEnv
  readonly places: HousePlaces
  #idle = 0

  private constructor(init: {
    words: () => string
    house: ChildProcess
    link: HouseLink
    session: Session
    folder: string
    places: HousePlaces
    env: NodeJS.ProcessEnv
    uid: number | undefined
  }) {
    this.#words = init.words
    this.#house = init.house
    this.#link = init.link
    this.#session = init.session
    this.#folder = init.folder
    this.places = init.places
    this.#env = init.env
    this.#uid = init.uid
  }

  static async start(init: TestNetworkInit = {}): Promise<TestNetwork> {
    const { folder, home, env } = await makeHome(init)
    const places = housePlaces(home, env)
    if (init.outside !== undefined) {
      await stampVersion(places, pekkaVersion())
      await joinOutside(places, init.outside)
    }
    let words = ''
    const count = init.witnesses === undefined ? [] : ['--witnesses', String(init.witnesses)]
    const house = spawn(process.execPath, [MAIN, 'serve', ...count], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      ...(init.uid !== undefined && { uid: init.uid, gid: init.uid })
    })
    house.stderr.setEncoding('utf8').on('data', (text: string) => (words += text))
    try {
      const link = await connected(house, places, () => words)
      const session = await openSession(contextOf(home, env))
      // made by this process, used by that user's commands
      if (init.uid !== undefined) await chown(join(home, 'wallet', 'cli-key.json'), init.uid, init.uid)
      const network = new TestNetwork({ words: () => words, house, link, session, folder, places, env, uid: init.uid })
      // Containers are the engine's children, not the providers'.
      if (init.docker !== true) await network.#settle()
      return network
    } catch (error) {
      house.kill('SIGTERM')
      await exited(house)
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  get home(): string {
    return this.places.home
  }

  /** Signed in as this home's command line. */
  get client(): PekkaClient {
    return this.#session.client
  }

  get bridge(): string {
    return this.#session.network.bridge
  }

  get walletSocket(): string {
    return this.#session.network.wallet.socket
  }

  /** A client of its own, with a key that the account's owner allows this much. */
  async delegate(terms: GrantTerms): Promise<PekkaClient> {
    const vault = await openVault(this.home, random)
    const components = { fetch, live: NO_LIVE, primitives: createPrimitives(), clock: systemClock }
    const wallet = new Wallet({ ...components, vault }, { bridges: [this.bridge], terms })
    const signer = createSigner(random.bytes(32))
    const grant = await wallet.grant(signer.publicKey)
    wallet.close()
    const viewKey = viewKeyFrom(grant.viewKey)
    const { network, account, bridge } = grant
    return new PekkaClient(components, { base: this.bridge, identity: { network, account, bridge, signer, viewKey } })
  }

  /** Writes a program and returns its path. */
  async file(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.#folder, name)
    await writeFile(path, content)
    return path
  }

  /** Starts a command of `pekka`. */
  begin(args: string[], env: NodeJS.ProcessEnv = {}): Command {
    return new Command(
      spawn(process.execPath, [MAIN, ...args], {
        env: { ...this.#env, ...env },
        cwd: this.#folder,
        stdio: ['ignore', 'pipe', 'pipe'],
        ...(this.#uid !== undefined && { uid: this.#uid, gid: this.#uid })
      })
    )
  }

  /** A command of `pekka` from beginning to end. */
  pekka(...args: string[]): Promise<Ended> {
    return this.begin(args).ended
  }

  /** Runs a program given as source, waits for its end, and for the state and the money that belong to it. */
  async run(name: string, source: string | Uint8Array, ...options: string[]): Promise<Run> {
    const path = await this.file(name, source)
    const [before, newest] = await Promise.all([this.free(), this.newest()])
    const ended = await this.pekka('run', ...options, path)
    const item = await this.newest()
    const sent = item !== null && (newest === null || toHex(newest.task) !== toHex(item.task))
    return { ...ended, item: sent ? item : null, before, after: await this.free() }
  }

  /** The newest task of the account. */
  async newest(): Promise<TaskItem | null> {
    return (await this.client.tasks({ limit: 1 })).tasks[0] ?? null
  }

  account(): Promise<AccountView> {
    return this.client.account()
  }

  /** Free credits of the account, micro-credits. */
  async free(): Promise<bigint> {
    return (await this.account()).balance
  }

  /** Process ids of the children that run now. */
  async children(): Promise<Record<string, number>> {
    const recorded: Record<string, { pid: number }> = JSON.parse(await readFile(this.places.children, 'utf8'))
    return Object.fromEntries(Object.entries(recorded).map(([name, { pid }]) => [name, pid]))
  }

  /** Sends a signal to one child: `provider-1`, `bridge`, … */
  async signal(name: string, signal: NodeJS.Signals): Promise<number> {
    const pid = (await this.children())[name]
    if (pid === undefined) throw new Error(`${name} doesn't run`)
    process.kill(pid, signal)
    return pid
  }

  /**
   * Kills a child with SIGKILL; resolves when the house has started it again and it serves.
   * @param meanwhile what happens while it is dead
   */
  async killAndWait(name: string, meanwhile?: () => Promise<void>): Promise<void> {
    const pid = await this.signal(name, 'SIGKILL')
    await meanwhile?.()
    await until(`${name} is started again`, () => this.serves(name, pid), 60_000)
  }

  /** Whether a child serves, and isn't the process `not`. */
  async serves(name: string, not?: number): Promise<boolean> {
    const pid = (await this.children())[name]
    if (pid === undefined || pid === not) return false
    // not one of ours: the bridge tells whether it answers
    if (name === 'valkey') return (await this.client.health()).queue
    const ready = join(folderOf(this.places, name), 'ready.json')
    const said: { pid?: number } = await readFile(ready, 'utf8').then(JSON.parse, () => ({}))
    return said.pid === pid
  }

  log(name: string): Promise<string> {
    return readFile(logOf(this.places, name), 'utf8')
  }

  folderOf(name: string): string {
    return folderOf(this.places, name)
  }

  /** Resolves when nothing of a task runs any more: the providers have the processes they had before the first task. */
  async quiet(): Promise<void> {
    const count = async (): Promise<boolean> => (await this.sandboxProcesses()).length <= this.#idle
    await until('nothing of the task runs', count, QUIET_MS)
  }

  /** Processes in the sandboxes of the providers, and those of dead providers that were left behind. */
  async sandboxProcesses(): Promise<number[]> {
    const children = await this.children()
    const providers = Object.entries(children).filter(([name]) => name.startsWith('provider-'))
    return processesUnder(new Set(providers.map(([, pid]) => pid)))
  }

  /** Ends everything; throws if something of it still runs then. */
  async stop(): Promise<void> {
    const children = Object.values(await this.children().catch(() => ({})))
    const all = processesUnder(new Set(children)).concat(children)
    this.#session.client.close()
    this.#link.send({ op: 'stop' })
    await exited(this.#house)
    this.#link.close()
    await this.#session.network.close()
    const left = all.filter(alive)
    await rm(this.#folder, { recursive: true, force: true })
    if (left.length > 0) throw new Error(`processes ${left.join(', ')} outlived the network:\n${this.#words()}`)
  }

  /** Waits for the warm sandboxes, one at each provider, and counts what runs at rest. */
  async #settle(): Promise<void> {
    const providers = Object.keys(await this.children()).filter(name => name.startsWith('provider-'))
    // A provider serves before its sandbox is warm; counted too early, what runs at rest would seem left behind by a task.
    const isWarm = async (name: string): Promise<boolean> => (await this.log(name)).includes('a sandbox is warm')
    const warm = async (): Promise<boolean> => !(await Promise.all(providers.map(isWarm))).includes(false)
    await until('a sandbox waits at each provider', warm, START_MS, 200)
    let before = -1
    await until(
      'the sandboxes wait',
      async () => {
        const now = (await this.sandboxProcesses()).length
        const steady = now > 0 && now === before
        before = now
        return steady
      },
      START_MS,
      500
    )
    this.#idle = before
  }
}

function contextOf(home: string, env: NodeJS.ProcessEnv): CliContext {
  const never = new AbortController().signal
  return {
    home,
    places: placesIn(home),
    env,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: never,
    hurry: never,
    json: false,
    quiet: true,
    say: () => undefined,
    result: () => undefined
  }
}

/** A new home, with the environment that leads there. The caller removes `folder`. */
export async function makeHome(
  init: TestNetworkInit = {}
): Promise<{ folder: string; home: string; env: NodeJS.ProcessEnv }> {
  const prepared = preparedHome()
  if (prepared === undefined) throw new Error('nothing is set up; see needNetwork()')
  const folder = await mkdtemp(join(tmpdir(), 'pekka-net-'))
  const home = join(folder, 'home')
  await mkdir(home, { mode: 0o700 })
  if (init.bridge !== undefined) await writeFile(join(home, 'bridge.json'), JSON.stringify(init.bridge))
  if (init.uid === undefined) {
    for (const name of SHARED)
      if (existsSync(join(prepared, name)))
        await symlink(name === 'images' && init.images ? init.images : join(prepared, name), join(home, name))
  } else {
    // the prepared home is closed to others: its images are linked file by file, which takes seconds and no space
    await chmod(folder, 0o711)
    await promisify(execFile)('cp', ['-al', join(prepared, 'images'), join(home, 'images')])
    const runtime = join(folder, 'run')
    await mkdir(runtime, { mode: 0o700 })
    for (const own of [home, runtime]) await chown(own, init.uid, init.uid)
  }
  const env: NodeJS.ProcessEnv = { ...process.env, PEKKA_HOME: home, PEKKA_LOG_LEVEL: 'info', ...init.env }
  // Docker takes over as soon as an engine has the image, in the middle of a test run: one runtime for all, unless a test asks
  if (!init.docker) env.DOCKER_HOST = `unix://${join(folder, 'no-engine.sock')}`
  // what would lead out of this home
  for (const name of ['XDG_RUNTIME_DIR', 'REDIS_URL', 'NODE_OPTIONS']) delete env[name]
  // sockets would stand under the user's number, which isn't this process's
  if (init.uid !== undefined) env.XDG_RUNTIME_DIR = join(folder, 'run')
  return { folder, home, env }
}

/** Becomes a user of the house as soon as it listens, so that it stays, and waits until all its processes serve. */
async function connected(house: ChildProcess, places: HousePlaces, words: () => string): Promise<HouseLink> {
  const deadline = Date.now() + START_MS
  while (Date.now() < deadline) {
    if (house.exitCode !== null) break
    const link = await connectHouse(controlSocket(places))
    if (link !== undefined) {
      link.send({ op: 'use' })
      const status = await link.until(({ state }) => state !== 'starting')
      if (status?.state === 'ready') return link
      throw new Error(`the network ended as it started (${status?.state}):\n${words()}`)
    }
    await sleep(50)
  }
  throw new Error(`the network did not start:\n${words()}`)
}

/** All processes below the given ones, by the parents that the kernel knows. */
function processesUnder(roots: ReadonlySet<number>): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = parentOf(Number(name))
    if (parent !== undefined) parents.set(Number(name), parent)
  }
  const below = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined && at !== 0; at = parents.get(at)) if (roots.has(at)) return true
    return false
  }
  return [...parents.keys()].filter(below)
}

/** Undefined for a process that is gone, or that only waits to be reaped. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? undefined : Number(parent)
  } catch {
    return undefined
  }
}

const alive = (pid: number): boolean => parentOf(pid) !== undefined

const exited = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise(resolve => child.once('exit', () => resolve()))

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Waits until something holds. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limit = 20_000,
  every = 100
): Promise<void> {
  const deadline = Date.now() + limit
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`still not after ${limit / 1000} s: ${what}`)
    await sleep(every)
  }
}
