import type Docker from 'dockerode'
import type { Duplex, Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { PekkaError } from '@pekka/node/protocol'
import { signalName } from '../bubblewrap/sandbox.js'
import type { AdjustableLimits, Sandbox, SandboxExit, SandboxUsage } from '../types.js'
import type { SeparateStreams } from './attach.js'
import { adjustable, ignoredLimits } from './container.js'

/**
 * The engine answers to a kill only when it has delivered all output, which it can't while nobody reads. By this time
 * the processes are dead, so what is then taken in without waiting is no more than the pipes held (1.5 MB measured).
 */
const FLUSH_AFTER_MS = 200

export interface DockerParts {
  id: string
  container: Docker.Container
  stream: Duplex
  streams: SeparateStreams
  /** Resolves when the container has ended. */
  ended: Promise<{ StatusCode: number }>
  swap: boolean
  forget(): void
}

/** A sandbox that is a container. Its processes share a PID namespace: the engine ends all when the first ends. */
export class DockerSandbox implements Sandbox {
  readonly id: string
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly exited: Promise<SandboxExit>
  private last: SandboxUsage = { cpuMs: 0, maxMemoryBytes: 0, oomKills: 0 }
  private over = false
  private removal: Promise<void> | undefined

  constructor(private readonly parts: DockerParts) {
    this.id = parts.id
    this.stdin = parts.stream
    this.stdout = parts.streams.stdout
    this.stderr = parts.streams.stderr
    this.exited = this.watch()
  }

  private async watch(): Promise<SandboxExit> {
    // An engine that goes away takes its containers' streams along: as if killed.
    const code = await this.parts.ended.then(({ StatusCode }) => StatusCode).catch(() => 137)
    this.over = true
    const state = await this.parts.container.inspect().catch(() => undefined)
    const oomKilled = state?.State.OOMKilled === true
    if (oomKilled) this.last = { ...this.last, oomKills: Math.max(1, this.last.oomKills) }
    return { code, signal: signalName(code), oomKilled }
  }

  async setLimits(limits: AdjustableLimits): Promise<void> {
    const wish = adjustable(limits, this.parts.swap)
    try {
      await this.parts.container.update(wish)
      const { HostConfig } = await this.parts.container.inspect()
      const ignored = ignoredLimits(wish, HostConfig).filter(([, kept]) => !kept)
      if (ignored.length > 0) throw new Error(`the engine ignored ${ignored.map(([name]) => name).join(', ')}`)
    } catch (error) {
      throw new PekkaError('SANDBOX_FAILED', { issue: `limits can't be set: ${words(error)}` }, { cause: error })
    }
  }

  async usage(): Promise<SandboxUsage> {
    if (this.over) return this.last
    const stats = await this.parts.container.stats({ stream: false, 'one-shot': true }).catch(() => undefined)
    const cpuMs = (stats?.cpu_stats?.cpu_usage?.total_usage ?? 0) / 1e6
    const memory = stats?.memory_stats?.max_usage ?? stats?.memory_stats?.usage ?? 0
    this.last = {
      cpuMs: Math.max(this.last.cpuMs, cpuMs),
      maxMemoryBytes: Math.max(this.last.maxMemoryBytes, memory),
      oomKills: this.last.oomKills
    }
    return this.last
  }

  async kill(): Promise<void> {
    if (!this.over) {
      await this.usage()
      const killing = this.parts.container.kill().catch(unlessGone)
      await Promise.race([killing, delay(FLUSH_AFTER_MS, undefined, { ref: false })])
      this.parts.streams.flush()
      await killing
    }
    await this.exited
  }

  remove(): Promise<void> {
    this.removal ??= this.dispose()
    return this.removal
  }

  private async dispose(): Promise<void> {
    await this.kill()
    this.parts.stream.destroy()
    this.stdout.destroy()
    this.stderr.destroy()
    await this.parts.container.remove({ force: true, v: true }).catch(unlessGone)
    this.parts.forget()
  }
}

/** 404: no such container; 409: not running, or removal in progress. Both are what was wanted. */
export function unlessGone(error: unknown): void {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  if (status !== 404 && status !== 409) throw error
}

export const words = (error: unknown) => (error instanceof Error ? error.message : String(error)).trim()
