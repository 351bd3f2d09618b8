import Docker from 'dockerode'
import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { PekkaError } from '@pekka/node/protocol'
import type { RuntimeReport, Sandbox, SandboxRuntime, SandboxSpec } from '../types.js'
import { attach, separate } from './attach.js'
import { containerOptions, ignoredWishes, OWNER_LABEL, SANDBOX_LABEL } from './container.js'
import { DockerSandbox, unlessGone, words } from './sandbox.js'

export interface DockerInit {
  /** Whose sandboxes these are. `cleanup` removes what the same owner left. One process per owner at a time. */
  owner: string
  /** Default: DOCKER_HOST, else the engine's usual socket. */
  docker?: Docker
}

/** An engine that doesn't answer a ping in this time is as good as none; a healthy one takes a few ms. */
const PING_TIMEOUT_MS = 3000
/** gVisor's runtime, an own kernel per sandbox, under the name its installer gives it. */
const OWN_KERNEL = 'runsc'

interface Engine {
  version: string
  runtime: string
  swap: boolean
  init: boolean
  cpu: boolean
}

type EngineReport = { usable: true; engine: Engine } | { usable: false; reason: string; remedy: string }

/** The part of the engine's answers that is read here; dockerode's types leave some of it out. */
interface EngineInfo {
  MemoryLimit?: boolean
  SwapLimit?: boolean
  PidsLimit?: boolean
  CpuCfsQuota?: boolean
  OSType?: string
  Architecture?: string
  SecurityOptions?: string[]
  Runtimes?: Record<string, unknown>
  DefaultRuntime?: string
  InitBinary?: string
}

/** Sandboxes as containers of a Docker Engine. Images must have been imported (room `images`). */
export class DockerRuntime implements SandboxRuntime {
  readonly name = 'docker'
  private readonly docker: Docker
  private readonly owner: string
  private readonly live = new Map<string, Sandbox>()
  private engine: Promise<EngineReport> | undefined

  constructor(init: DockerInit) {
    this.docker = init.docker ?? new Docker()
    this.owner = createHash('sha256').update(init.owner).digest('hex').slice(0, 32)
  }

  async probe(signal?: AbortSignal): Promise<RuntimeReport> {
    this.engine = this.look()
    const report = await this.engine
    signal?.throwIfAborted()
    if (!report.usable) return { ...report, name: this.name, isolation: 0 }
    const { version, runtime, cpu } = report.engine
    return {
      usable: true,
      name: this.name,
      version: `${version} (${runtime})`,
      isolation: runtime === OWN_KERNEL ? 4 : 3,
      enforced: { memory: true, pids: true, cpu, disk: true, inodes: true, seccomp: true, ownUser: true }
    }
  }

  private async look(): Promise<EngineReport> {
    const no = (reason: string, remedy: string): EngineReport => ({ usable: false, reason, remedy })
    let info: EngineInfo
    let version: Docker.DockerVersion
    try {
      await withinTime(this.docker.ping())
      // The shape is the Engine API's "SystemInfo"; dockerode types it as any.
      info = (await this.docker.info()) as EngineInfo
      version = await this.docker.version()
    } catch (error) {
      return no(`no Docker Engine answers (${words(error)})`, 'Start Docker, or set DOCKER_HOST.')
    }
    if (version.Components?.some(({ Name }) => Name === 'Podman Engine')) {
      return no('Podman is not supported: it ignores parts of what we ask for', 'Use Docker Engine or bubblewrap.')
    }
    if (info.OSType !== 'linux' || info.Architecture !== 'x86_64') {
      return no(`the engine runs ${info.OSType ?? '?'} on ${info.Architecture ?? '?'}`, 'Use one on Linux on x86-64.')
    }
    const unlimited = [
      ...(info.MemoryLimit === true ? [] : ['memory']),
      ...(info.PidsLimit === true ? [] : ['processes'])
    ]
    if (unlimited.length > 0) {
      return no(`the engine can't limit ${unlimited.join(' and ')}`, 'Give it control groups (rootless: delegation).')
    }
    if (info.SecurityOptions?.some(option => option.startsWith('name=seccomp')) !== true) {
      return no('the engine has no seccomp', 'Use an engine and a kernel with seccomp.')
    }
    const runtimes = Object.keys(info.Runtimes ?? {})
    const runtime = runtimes.includes(OWN_KERNEL) ? OWN_KERNEL : (info.DefaultRuntime ?? 'runc')
    return {
      usable: true,
      engine: {
        version: version.Version,
        runtime,
        swap: info.SwapLimit === true,
        init: (info.InitBinary ?? '') !== '',
        cpu: info.CpuCfsQuota === true
      }
    }
  }

  async create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    signal?.throwIfAborted()
    this.engine ??= this.look()
    const report = await this.engine
    if (!report.usable) throw new PekkaError('SANDBOX_UNUSABLE', { issue: report.reason, remedy: report.remedy })
    const { engineId } = spec.image
    if (engineId === undefined) throw new PekkaError('SANDBOX_FAILED', { issue: 'the image is not in the engine' })

    const id = randomBytes(8).toString('hex')
    const { runtime, swap, init } = report.engine
    const options = containerOptions({ id, owner: this.owner, engineId, spec, runtime, swap, init })
    let container: Docker.Container | undefined
    try {
      container = await this.docker.createContainer(options)
      const ignored = ignoredWishes(options, await container.inspect())
      if (ignored.length > 0) throw new Error(`the engine ignored ${ignored.join(', ')}`)
      const stream = await attach(this.docker, container.id, signal)
      await container.start()
      // After the start, where "not running" also sees a program that has ended already; typed as any by dockerode.
      const ended = container.wait() as Promise<{ StatusCode: number }>
      ended.catch(() => {})
      signal?.throwIfAborted()
      const streams = separate(stream)
      const forget = () => this.live.delete(id)
      const sandbox = new DockerSandbox({ id, container, stream, streams, ended, swap, forget })
      this.live.set(id, sandbox)
      return sandbox
    } catch (error) {
      await container?.remove({ force: true, v: true }).catch(() => {})
      signal?.throwIfAborted()
      if (error instanceof PekkaError) throw error
      throw new PekkaError('SANDBOX_FAILED', { issue: words(error) }, { cause: error })
    }
  }

  async cleanup(): Promise<number> {
    const filters = { label: [`${OWNER_LABEL}=${this.owner}`] }
    const containers = await this.docker.listContainers({ all: true, filters })
    const left = containers.filter(({ Labels }) => !this.live.has(Labels[SANDBOX_LABEL] ?? ''))
    await Promise.all(
      left.map(({ Id }) => this.docker.getContainer(Id).remove({ force: true, v: true }).catch(unlessGone))
    )
    return left.length
  }

  async close(): Promise<void> {
    await Promise.all([...this.live.values()].map(sandbox => sandbox.remove()))
  }
}

async function withinTime(answer: Promise<unknown>): Promise<void> {
  const timer = new AbortController()
  const late = delay(PING_TIMEOUT_MS, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error('no answer in time')
  })
  late.catch(() => {})
  try {
    await Promise.race([answer, late])
  } finally {
    timer.abort()
  }
}
