/**
 * Control groups of both versions, for bubblewrap: where they are, what can be enforced, and one group per sandbox.
 * Docker has its own. The files and their traps: Documentation/admin-guide/cgroup-v1, cgroup-v2.rst.
 */
import { constants } from 'node:fs'
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { PekkaError } from '@pekka/node/protocol'
import { CPU_PERIOD_US, KILL_POLL_MS, KILL_TIMEOUT_MS, RUNTIME_PIDS } from './constants.js'
import type { AdjustableLimits, SandboxUsage } from './types.js'

type Controller = 'memory' | 'pids' | 'cpu' | 'cpuacct'
const CONTROLLERS: readonly Controller[] = ['memory', 'pids', 'cpu', 'cpuacct']

/** Where groups of ours can be made. Directories per controller; in version 2 they are all the same one. */
export interface GroupPlace {
  version: 1 | 2
  directories: Partial<Record<Controller, string>>
}

export interface FindOptions {
  /** Contents of /proc/self/mountinfo and /proc/self/cgroup; read if not given. */
  mountinfo?: string
  membership?: string
}

/**
 * Finds a place where this process may make groups that limit memory and processes.
 * @returns the place, or in a sentence why there is none
 */
export async function findGroupPlace(options: FindOptions = {}): Promise<GroupPlace | { reason: string }> {
  const mountinfo = options.mountinfo ?? (await readFile('/proc/self/mountinfo', 'utf8'))
  const membership = options.membership ?? (await readFile('/proc/self/cgroup', 'utf8'))
  const mounts = parseMounts(mountinfo)
  const paths = parseMembership(membership)
  return (await findVersion2(mounts, paths)) ?? (await findVersion1(mounts, paths))
}

interface Mount {
  version: 1 | 2
  root: string
  point: string
  controllers: string[]
}

function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line): Mount[] => {
    const [before, after] = line.split(' - ')
    if (before === undefined || after === undefined) return []
    const [, , , root = '/', point = ''] = before.split(' ').map(unescapeOctal)
    const [type, , options = ''] = after.split(' ')
    if (type === 'cgroup2') return [{ version: 2, root, point, controllers: [] }]
    return type === 'cgroup' ? [{ version: 1, root, point, controllers: options.split(',') }] : []
  })
}

/** mountinfo writes spaces and the like as \040. */
const unescapeOctal = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)))

/** Controller (empty for version 2) to our own group's path. */
function parseMembership(text: string): Map<string, string> {
  const entries = text.split('\n').flatMap((line): [string, string][] => {
    const [, controllers, ...path] = line.split(':')
    return controllers === undefined ? [] : controllers.split(',').map(name => [name, path.join(':')])
  })
  return new Map(entries)
}

/** Our own group's directory; the mount's root where the path isn't visible from here (containers, chroots). */
async function ownDirectory(mount: Mount, path: string): Promise<string> {
  const inside = relative(mount.root, path)
  const directory = inside.startsWith('..') ? mount.point : join(mount.point, inside)
  return (await exists(directory)) ? directory : mount.point
}

/**
 * Version 2: a group with processes can't hand controllers down, so we look upwards from our own for the first that
 * can and that we may write: at a systemd user that is their delegated part, at root nearly the top.
 */
async function findVersion2(mounts: Mount[], paths: Map<string, string>): Promise<GroupPlace | undefined> {
  const mount = mounts.find(({ version }) => version === 2)
  if (mount === undefined) return undefined
  const top = await readWords(join(mount.point, 'cgroup.controllers'))
  if (!top.includes('memory') || !top.includes('pids')) return undefined

  let directory = await ownDirectory(mount, paths.get('') ?? '/')
  for (;;) {
    if (await handsDown(directory)) {
      return {
        version: 2,
        directories: {
          memory: directory,
          pids: directory,
          ...((await readWords(join(directory, 'cgroup.subtree_control'))).includes('cpu')
            ? { cpu: directory, cpuacct: directory }
            : {})
        }
      }
    }
    if (directory === mount.point) return undefined
    directory = dirname(directory)
  }
}

async function handsDown(directory: string): Promise<boolean> {
  const control = join(directory, 'cgroup.subtree_control')
  if (!(await writable(directory)) || !(await writable(join(directory, 'cgroup.procs')))) return false
  const available = await readWords(join(directory, 'cgroup.controllers'))
  if (!available.includes('memory') || !available.includes('pids')) return false
  for (const controller of ['memory', 'pids', 'cpu']) {
    if (!(await readWords(control)).includes(controller)) await writeFile(control, `+${controller}`).catch(() => {})
  }
  const enabled = await readWords(control)
  return enabled.includes('memory') && enabled.includes('pids')
}

async function findVersion1(mounts: Mount[], paths: Map<string, string>): Promise<GroupPlace | { reason: string }> {
  const directories: GroupPlace['directories'] = {}
  for (const controller of CONTROLLERS) {
    const mount = mounts.find(({ version, controllers }) => version === 1 && controllers.includes(controller))
    if (mount === undefined) continue
    const own = await ownDirectory(mount, paths.get(controller) ?? '/')
    const usable = (await writable(own)) ? own : (await writable(mount.point)) ? mount.point : undefined
    if (usable !== undefined) directories[controller] = usable
  }
  if (directories.memory !== undefined && directories.pids !== undefined) return { version: 1, directories }
  const missing = (['memory', 'pids'] as const).filter(controller => directories[controller] === undefined)
  return { reason: `no control group for ${missing.join(' and ')} can be made here` }
}

/** The group of one sandbox. */
export interface ControlGroup {
  /** Files into which a process writes `0` to enter, before it starts the program. */
  readonly entrances: readonly string[]
  setLimits(limits: AdjustableLimits): Promise<void>
  usage(): Promise<SandboxUsage>
  /** Kills all members; resolves when the group is empty. */
  kill(): Promise<void>
  remove(): Promise<void>
}

/** @param owner name of the parent group; all that an owner made can be found and removed by it */
export async function createGroup(place: GroupPlace, owner: string, id: string): Promise<ControlGroup> {
  if (place.version === 2) {
    const parent = join(place.directories.memory ?? '', owner)
    await mkdir(parent, { recursive: true })
    const controllers = place.directories.cpu === undefined ? '+memory +pids' : '+memory +pids +cpu'
    await writeFile(join(parent, 'cgroup.subtree_control'), controllers)
  }
  const directories: GroupPlace['directories'] = {}
  for (const controller of CONTROLLERS) {
    const base = place.directories[controller]
    if (base === undefined) continue
    directories[controller] = join(base, owner, id)
    await mkdir(join(base, owner, id), { recursive: true })
  }
  return new Group(place.version, directories)
}

/** Kills and removes every group of `owner` whose sandbox isn't in `keep`. Returns the ids of what was there. */
export async function removeGroups(place: GroupPlace, owner: string, keep: ReadonlySet<string>): Promise<Set<string>> {
  const found = new Set<string>()
  const bases = new Set(Object.values(place.directories))
  for (const base of bases) {
    const ids = await readdir(join(base, owner), { withFileTypes: true }).catch(() => [])
    for (const entry of ids) if (entry.isDirectory() && !keep.has(entry.name)) found.add(entry.name)
  }
  for (const id of found) {
    const directories = Object.fromEntries(
      CONTROLLERS.flatMap(controller => {
        const base = place.directories[controller]
        return base === undefined ? [] : [[controller, join(base, owner, id)]]
      })
    )
    const group = new Group(place.version, directories)
    await group.kill()
    await group.remove()
  }
  if (keep.size === 0) for (const base of bases) await rmdir(join(base, owner)).catch(() => {})
  return found
}

class Group implements ControlGroup {
  private last: SandboxUsage = { cpuMs: 0, maxMemoryBytes: 0, oomKills: 0 }

  constructor(
    private readonly version: 1 | 2,
    private readonly directories: GroupPlace['directories']
  ) {}

  private get all(): string[] {
    return [...new Set(Object.values(this.directories))]
  }

  get entrances(): string[] {
    return this.all.map(directory => join(directory, 'cgroup.procs'))
  }

  async setLimits({ memoryBytes, cpus, pids }: AdjustableLimits): Promise<void> {
    try {
      const { memory = '', pids: processes = '', cpu } = this.directories
      await writeFile(join(processes, 'pids.max'), String(pids + RUNTIME_PIDS))
      const quota = Math.max(1000, Math.round(cpus * CPU_PERIOD_US))
      if (this.version === 2) {
        await writeFile(join(memory, 'memory.max'), String(memoryBytes))
        // Absent where the kernel has no swap at all.
        await writeIfThere(join(memory, 'memory.swap.max'), '0')
        if (cpu !== undefined) await writeFile(join(cpu, 'cpu.max'), `${quota} ${CPU_PERIOD_US}`)
        return
      }
      await setMemoryVersion1(memory, memoryBytes)
      if (cpu !== undefined) {
        await writeFile(join(cpu, 'cpu.cfs_period_us'), String(CPU_PERIOD_US))
        await writeFile(join(cpu, 'cpu.cfs_quota_us'), String(quota))
      }
    } catch (error) {
      throw new PekkaError('SANDBOX_FAILED', { issue: `limits can't be set: ${words(error)}` }, { cause: error })
    }
  }

  async usage(): Promise<SandboxUsage> {
    const { memory = '', cpu, cpuacct } = this.directories
    const read = (directory: string | undefined, file: string) =>
      directory === undefined ? Promise.resolve('') : readFile(join(directory, file), 'utf8').catch(() => '')
    const [cpuMs, peak, oomKills] =
      this.version === 2
        ? [
            field(await read(cpu, 'cpu.stat'), 'usage_usec') / 1000,
            // memory.peak came with Linux 5.19; before, the highest we have seen.
            Number((await read(memory, 'memory.peak')) || (await read(memory, 'memory.current'))),
            field(await read(memory, 'memory.events'), 'oom_kill')
          ]
        : [
            Number(await read(cpuacct, 'cpuacct.usage')) / 1e6,
            Number(await read(memory, 'memory.max_usage_in_bytes')),
            field(await read(memory, 'memory.oom_control'), 'oom_kill')
          ]
    this.last = {
      cpuMs: Math.max(this.last.cpuMs, cpuMs),
      maxMemoryBytes: Math.max(this.last.maxMemoryBytes, peak),
      oomKills: Math.max(this.last.oomKills, oomKills)
    }
    return this.last
  }

  async kill(): Promise<void> {
    const { pids } = this.directories
    if (this.version === 2) await writeIfThere(join(pids ?? '', 'cgroup.kill'), '1')
    // Nobody forks any more, so a fork bomb can't outrun the loop below.
    if (pids !== undefined) await writeIfThere(join(pids, 'pids.max'), '0')
    const deadline = Date.now() + KILL_TIMEOUT_MS
    for (;;) {
      const members = await this.members()
      if (members.length === 0) return
      if (Date.now() > deadline) throw new PekkaError('SANDBOX_FAILED', { issue: 'its processes can not be killed' })
      for (const pid of members) signalIfThere(pid)
      await delay(KILL_POLL_MS)
    }
  }

  private async members(): Promise<number[]> {
    const lists = await Promise.all(this.entrances.map(file => readFile(file, 'utf8').catch(() => '')))
    return [...new Set(lists.flatMap(list => list.split('\n')))]
      .map(Number)
      .filter(pid => Number.isInteger(pid) && pid > 0)
  }

  async remove(): Promise<void> {
    await this.usage()
    const deadline = Date.now() + KILL_TIMEOUT_MS
    for (const directory of this.all) {
      // A member that was just reaped keeps the group busy for a moment longer.
      while (!(await removed(directory))) {
        if (Date.now() > deadline) throw new PekkaError('SANDBOX_FAILED', { issue: `${directory} can not be removed` })
        await delay(KILL_POLL_MS)
      }
    }
  }
}

/** memory.memsw (memory and swap) must never be below memory, so the order depends on the direction. */
async function setMemoryVersion1(directory: string, bytes: number): Promise<void> {
  const memory = join(directory, 'memory.limit_in_bytes')
  const withSwap = join(directory, 'memory.memsw.limit_in_bytes')
  if (await exists(withSwap)) {
    if (Number(await readFile(withSwap, 'utf8')) < bytes) {
      await writeFile(withSwap, String(bytes))
      await writeFile(memory, String(bytes))
    } else {
      await writeFile(memory, String(bytes))
      await writeFile(withSwap, String(bytes))
    }
    return
  }
  // Without swap accounting the kernel can at least be told not to swap this group.
  await writeFile(memory, String(bytes))
  await writeIfThere(join(directory, 'memory.swappiness'), '0')
}

function field(text: string, name: string): number {
  const line = text.split('\n').find(candidate => candidate.startsWith(`${name} `))
  return line === undefined ? 0 : Number(line.slice(name.length + 1))
}

function signalIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It went by itself in between.
  }
}

async function removed(directory: string): Promise<boolean> {
  try {
    await rmdir(directory)
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true
    if (hasCode(error, 'EBUSY')) return false
    throw error
  }
}

async function writeIfThere(file: string, text: string): Promise<void> {
  if (await exists(file)) await writeFile(file, text).catch(() => {})
}

const readWords = async (file: string) => (await readFile(file, 'utf8').catch(() => '')).trim().split(/\s+/)
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false
  )
const writable = (path: string) =>
  access(path, constants.W_OK).then(
    () => true,
    () => false
  )
const hasCode = (error: unknown, code: string) => error instanceof Error && 'code' in error && error.code === code
const words = (error: unknown) => (error instanceof Error ? error.message : String(error))
