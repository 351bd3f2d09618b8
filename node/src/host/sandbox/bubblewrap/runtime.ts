import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { constants } from 'node:fs'
import { access, chmod, lstat, mkdir, readdir, readFile, readlink, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { PekkaError } from '@pekka/node/protocol'
import { createGroup, findGroupPlace, removeGroups, type ControlGroup, type GroupPlace } from '../cgroup.js'
import { HOST_UID_BASE, HOST_UID_COUNT } from '../constants.js'
import { seccompFilter } from '../seccomp/filter.js'
import type { RuntimeReport, Sandbox, SandboxRuntime, SandboxSpec } from '../types.js'
import { bubblewrapOptions, launchCommand, MASKED_DIRECTORIES, MASKED_FILES, UNIFORM_BOOT_ID } from './command.js'
import { UNIFORM_CPUINFO, stagedMount, type TreeEntry } from './command.js'
import { identify, isAlive, killIfAlive, type ProcessIdentity } from './processes.js'
import { BubblewrapSandbox } from './sandbox.js'
import { findTool, runTool, TOOL_PATH } from './tools.js'

export interface BubblewrapInit {
  /** Whose sandboxes these are, e.g. the provider's home. `cleanup` removes what the same owner left. One process per owner at a time. */
  owner: string
  /** For small records and mount points; short, reachable by every user where the provider is root. Removed by `close`. */
  stateDirectory?: string
}

/** `--size` of bwrap's tmpfs came with 0.7, `--disable-userns` with 0.8. */
const OLDEST_VERSION = [0, 8] as const

/** Programs of the system a root provider needs beside bwrap, by the Debian package they are in. */
const TOOLS: Record<string, string> = {
  prlimit: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  mount: 'mount'
}

type Machine =
  | { usable: true; bwrap: string; shell: [string, ...string[]]; version: string; place: GroupPlace | undefined }
  | { usable: false; reason: string; remedy: string }

/** Sandboxes by `bwrap`. As root each has its own user, mounts and control group; else what an ordinary user may. */
export class BubblewrapRuntime implements SandboxRuntime {
  readonly name = 'bubblewrap'
  private readonly privileged = process.getuid?.() === 0
  private readonly owner: string
  private readonly state: string
  private readonly filter = seccompFilter()
  private readonly live = new Map<string, Sandbox>()
  private readonly trees = new Map<string, Promise<TreeEntry[]>>()
  private machine: Promise<Machine> | undefined
  private masked: Promise<{ files: string[]; directories: string[] }> | undefined

  constructor(init: BubblewrapInit) {
    // The name stands in control groups and paths, where the owner's own words may be too long or not allowed.
    this.owner = `pekka-${createHash('sha256').update(init.owner).digest('hex').slice(0, 16)}`
    this.state = init.stateDirectory ?? join(this.privileged ? '/run' : tmpdir(), this.owner)
  }

  async probe(signal?: AbortSignal): Promise<RuntimeReport> {
    this.machine = this.look(signal)
    const machine = await this.machine
    signal?.throwIfAborted()
    if (!machine.usable) return { ...machine, name: this.name, isolation: 0 }
    const grouped = machine.place !== undefined
    return {
      usable: true,
      name: this.name,
      version: machine.version,
      isolation: grouped ? 2 : 1,
      enforced: {
        memory: true,
        pids: true,
        cpu: machine.place?.directories.cpu !== undefined,
        disk: true,
        inodes: this.privileged,
        seccomp: true,
        ownUser: this.privileged
      }
    }
  }

  private async look(signal?: AbortSignal): Promise<Machine> {
    const no = (reason: string, remedy: string): Machine => ({ usable: false, reason, remedy })
    if (process.platform !== 'linux' || process.arch !== 'x64') {
      return no('bubblewrap is used on Linux on x86-64 only', 'Use a Docker Engine: set DOCKER_HOST.')
    }
    const bwrap = findTool('bwrap')
    if (bwrap === undefined) return no('bubblewrap is not installed', 'apt-get install bubblewrap')
    const version = (await runTool(bwrap, ['--version'], signal)).stdout.trim().replace(/^\D*/, '')
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1])) {
      return no(`bubblewrap ${version} is too old`, 'Install bubblewrap 0.8 or newer.')
    }
    const needed = this.privileged ? Object.keys(TOOLS) : ['prlimit']
    const missing = needed.filter(tool => findTool(tool) === undefined)
    if (missing.length > 0) {
      const packages = [...new Set(missing.map(tool => TOOLS[tool]))].join(' ')
      return no(`${missing.join(', ')} not found`, `apt-get install ${packages}`)
    }
    const place = await findGroupPlace()
    if (this.privileged && 'reason' in place) {
      return no(
        `${place.reason}, and resource limits don't bind root`,
        'Run the provider as an ordinary user, or where control groups for memory and pids can be written.'
      )
    }
    const trial = await this.trial(bwrap, signal)
    if (trial.code !== 0) {
      return no(
        `namespaces for an ordinary user don't work: ${trial.stderr.split('\n').at(-1) ?? ''}`,
        'Allow them (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu an AppArmor profile for bwrap), or use Docker.'
      )
    }
    const bash = findTool('bash')
    const shell: [string, ...string[]] = bash === undefined ? ['/bin/sh'] : [bash, '--norc', '--noprofile']
    return { usable: true, bwrap, shell, version, place: 'reason' in place ? undefined : place }
  }

  /** Whether the kernel lets an ordinary user have the namespaces at all, with the machine's own /usr and nothing run. */
  private trial(bwrap: string, signal?: AbortSignal) {
    const view = [
      '--unshare-all',
      '--disable-userns',
      '--unshare-user',
      '--ro-bind',
      '/',
      '/',
      '--proc',
      '/proc',
      '--dev',
      '/dev'
    ]
    const command = [bwrap, ...view, '--', '/bin/sh', '-c', ':']
    const user = String(HOST_UID_BASE)
    if (!this.privileged) return runTool('/bin/sh', ['-c', 'exec "$@"', 'sh', ...command], signal)
    return runTool('setpriv', ['--reuid', user, '--regid', user, '--clear-groups', '--', ...command], signal)
  }

  async create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    signal?.throwIfAborted()
    this.machine ??= this.look(signal)
    const machine = await this.machine
    if (!machine.usable) throw new PekkaError('SANDBOX_UNUSABLE', { issue: machine.reason, remedy: machine.remedy })
    const { root } = spec.image
    if (root === undefined) throw new PekkaError('SANDBOX_FAILED', { issue: 'the image has no tree on this machine' })

    const { mounts = [] } = spec
    const id = randomBytes(8).toString('hex')
    await this.prepareState()
    const entries = await this.entries(root)
    this.masked ??= maskable()
    const masked = await this.masked
    const group = machine.place === undefined ? undefined : await createGroup(machine.place, this.owner, id)
    const record = join(this.state, `${id}.json`)
    try {
      await group?.setLimits(spec.limits)
      const stage = join(this.state, 'stage')
      const command = launchCommand({
        bwrap: machine.bwrap,
        shell: machine.shell,
        entrances: group?.entrances ?? [],
        limits: spec.limits,
        argv: spec.argv,
        // Random, so that a user number is as good as never used twice while something of the first is left.
        staged: this.privileged
          ? { tree: root, stage, user: HOST_UID_BASE + randomInt(HOST_UID_COUNT), mounts }
          : undefined
      })
      const options = bubblewrapOptions({
        tree: this.privileged ? join(stage, 'tree') : root,
        entries,
        masked,
        environment: { ...spec.image.environment, ...spec.environment },
        prepared: this.privileged
          ? { home: join(stage, 'home'), tmp: join(stage, 'tmp'), shm: join(stage, 'shm') }
          : undefined,
        mounts: this.privileged
          ? mounts.map(({ target }, index) => ({ source: stagedMount(stage, mounts, index), target }))
          : mounts,
        limits: spec.limits
      })
      const started = await this.launch(command, options, signal)
      await writeFile(record, JSON.stringify(started.first), { mode: 0o600 })
      const sandbox = new BubblewrapSandbox({ ...started, id, group, record, forget: () => this.live.delete(id) })
      this.live.set(id, sandbox)
      return sandbox
    } catch (error) {
      await discard(group)
      await rm(record, { force: true })
      throw error
    }
  }

  private async launch(command: readonly [string, ...string[]], options: readonly string[], signal?: AbortSignal) {
    signal?.throwIfAborted()
    const [program, ...args] = command
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
      // bwrap clears it for the sandbox, but its first process shows the one it was started with.
      env: { PATH: TOOL_PATH },
      // Ctrl-C in the provider's terminal is the provider's to handle.
      detached: true,
      cwd: '/'
    })
    const failed = new Promise<never>((_, reject) =>
      child.once('error', error => reject(new PekkaError('SANDBOX_FAILED', { issue: error.message }, { cause: error })))
    )
    failed.catch(() => {})
    // With 'pipe' for each descriptor none of these is null; the types can't know.
    const [stdin, output, errors, seccomp, info, argumentList, cpuinfo, bootId] = child.stdio as unknown as [
      ...[Writable, Readable, Readable, Writable, Readable, Writable, Writable, Writable]
    ]
    for (const stream of [stdin, seccomp, argumentList, cpuinfo, bootId]) stream.on('error', () => {})
    // At once: a quick program may have ended before we know its process.
    const stdout = kept(output)
    const stderr = kept(errors)
    seccomp.end(this.filter)
    argumentList.end(options.map(option => `${option}\0`).join(''))
    cpuinfo.end(UNIFORM_CPUINFO)
    bootId.end(UNIFORM_BOOT_ID)

    const stop = () => child.kill('SIGKILL')
    signal?.addEventListener('abort', stop, { once: true })
    try {
      const told = await Promise.race([text(info), failed])
      const pid = /"child-pid":\s*(\d+)/.exec(told)?.[1]
      // Gone already: an identity that matches no process.
      const first = pid === undefined ? undefined : ((await identify(Number(pid))) ?? { pid: Number(pid), started: '' })
      signal?.throwIfAborted()
      if (first === undefined) throw new PekkaError('SANDBOX_FAILED', { issue: await complaint(child, stderr) })
      return { child, stdin, stdout, stderr, first }
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  private entries(root: string): Promise<TreeEntry[]> {
    const known = this.trees.get(root)
    if (known !== undefined) return known
    const read = readTree(root)
    this.trees.set(root, read)
    read.catch(() => this.trees.delete(root))
    return read
  }

  /** A directory that only we may write: someone else's of the same name in a shared place is refused. */
  private async prepareState(): Promise<void> {
    const mode = this.privileged ? 0o711 : 0o700
    await mkdir(this.state, { recursive: true, mode })
    const found = await lstat(this.state)
    if (!found.isDirectory() || found.uid !== process.getuid?.()) {
      throw new PekkaError('SANDBOX_FAILED', { issue: `${this.state} belongs to somebody else` })
    }
    await chmod(this.state, mode)
    if (this.privileged) await mkdir(join(this.state, 'stage'), { recursive: true, mode: 0o711 })
  }

  async cleanup(): Promise<number> {
    const left = new Set<string>()
    for (const name of await readdir(this.state).catch(() => [])) {
      const id = /^([0-9a-f]{16})\.json$/.exec(name)?.[1]
      if (id === undefined || this.live.has(id)) continue
      left.add(id)
      const identity = parseIdentity(await readFile(join(this.state, name), 'utf8').catch(() => ''))
      // The provider's death kills them; this is for what a kernel under load hasn't got to yet.
      if (identity !== undefined && (await isAlive(identity))) await killIfAlive(identity)
      await rm(join(this.state, name), { force: true })
    }
    const place = await findGroupPlace()
    if (!('reason' in place)) {
      for (const id of await removeGroups(place, this.owner, new Set(this.live.keys()))) left.add(id)
    }
    return left.size
  }

  async close(): Promise<void> {
    await Promise.all([...this.live.values()].map(sandbox => sandbox.remove()))
    await this.cleanup()
    await rmdir(join(this.state, 'stage')).catch(() => {})
    await rmdir(this.state).catch(() => {})
  }
}

async function readTree(root: string): Promise<TreeEntry[]> {
  const names = await readdir(root, { withFileTypes: true }).catch((error: unknown) => {
    throw new PekkaError('SANDBOX_FAILED', { issue: 'the tree of the image is not there' }, { cause: error })
  })
  const entries = await Promise.all(
    names.map(async (entry): Promise<TreeEntry[]> => {
      if (entry.isSymbolicLink()) return [{ name: entry.name, link: await readlink(join(root, entry.name)) }]
      return entry.isDirectory() ? [{ name: entry.name }] : []
    })
  )
  return entries.flat()
}

async function maskable(): Promise<{ files: string[]; directories: string[] }> {
  const there = async (name: string) =>
    access(`/proc/${name}`, constants.F_OK).then(
      () => [name],
      () => []
    )
  const [files, directories] = await Promise.all(
    [MASKED_FILES, MASKED_DIRECTORIES].map(async names => (await Promise.all(names.map(there))).flat())
  )
  return { files: files ?? [], directories: directories ?? [] }
}

/** Node throws away what nobody has read of a child's output when the child exits; through a pipe it stays. */
function kept(output: Readable): Readable {
  const copy = new PassThrough()
  pipeline(output, copy).catch(() => {})
  return copy
}

/** What bwrap or one of the tools before it said. */
async function complaint(child: ChildProcess, stderr: Readable): Promise<string> {
  const said = (await text(stderr)).trim().split('\n').at(-1) ?? ''
  return said === '' ? `bubblewrap ended with ${child.exitCode ?? child.signalCode ?? 'no reason'}` : said
}

async function discard(group: ControlGroup | undefined): Promise<void> {
  await group?.kill()
  await group?.remove()
}

function parseIdentity(json: string): ProcessIdentity | undefined {
  const match = /^\{"pid":(\d+),"started":"(\d+)"\}$/.exec(json)
  return match?.[1] === undefined || match[2] === undefined ? undefined : { pid: Number(match[1]), started: match[2] }
}
