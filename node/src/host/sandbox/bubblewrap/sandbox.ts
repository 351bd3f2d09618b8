import type { ChildProcess } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { PekkaError } from '@pekka/node/protocol'
import type { ControlGroup } from '../cgroup.js'
import { KILL_POLL_MS, KILL_TIMEOUT_MS } from '../constants.js'
import type { AdjustableLimits, Sandbox, SandboxExit, SandboxUsage } from '../types.js'
import { family, familyUsage, isAlive, killIfAlive, type ProcessIdentity } from './processes.js'
import { runTool } from './tools.js'

export interface BubblewrapParts {
  id: string
  child: ChildProcess
  stdin: Writable
  stdout: Readable
  stderr: Readable
  /** The first process inside: when it is gone, the kernel has ended every other process of its namespace. */
  first: ProcessIdentity
  group: ControlGroup | undefined
  /** Record that `cleanup` reads after a crash. */
  record: string
  forget(): void
}

/** A sandbox of bubblewrap: the child is `bwrap`, `first` its init inside. */
export class BubblewrapSandbox implements Sandbox {
  readonly id: string
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly exited: Promise<SandboxExit>
  private last: SandboxUsage = { cpuMs: 0, maxMemoryBytes: 0, oomKills: 0 }
  private removal: Promise<void> | undefined

  constructor(private readonly parts: BubblewrapParts) {
    this.id = parts.id
    this.stdin = parts.stdin
    this.stdout = parts.stdout
    this.stderr = parts.stderr
    this.exited = this.watch()
  }

  private async watch(): Promise<SandboxExit> {
    const { child } = this.parts
    const code = await new Promise<number>(resolve => {
      const done = (status: number | null, signal: NodeJS.Signals | null) =>
        resolve(status ?? 128 + constants.signals[signal ?? 'SIGKILL'])
      if (child.exitCode !== null || child.signalCode !== null) done(child.exitCode, child.signalCode)
      else child.once('exit', done)
    })
    // bwrap reports as soon as its program ends; what that left behind (daemons) is still running.
    await this.end().catch(() => {})
    const { oomKills } = await this.usage()
    return { code, signal: signalName(code), oomKilled: oomKills > 0 }
  }

  async setLimits(limits: AdjustableLimits): Promise<void> {
    const { group, first } = this.parts
    if (group !== undefined) return group.setLimits(limits)
    // Without groups limits are per process and can only be lowered: those that run now, and so their children.
    const data = `--data=${limits.memoryBytes}:${limits.memoryBytes}`
    const processes = `--nproc=${limits.pids}:${limits.pids}`
    for (const pid of await family(first.pid)) {
      const { code, stderr } = await runTool('prlimit', ['--pid', String(pid), data, processes])
      if (code !== 0 && (await isAlive(first))) {
        throw new PekkaError('SANDBOX_FAILED', { issue: `limits can't be set: ${stderr}` })
      }
    }
  }

  async usage(): Promise<SandboxUsage> {
    const { group, first } = this.parts
    if (group !== undefined) return group.usage()
    const { cpuMs, memoryBytes } = await familyUsage(first.pid)
    this.last = {
      cpuMs: Math.max(this.last.cpuMs, cpuMs),
      maxMemoryBytes: Math.max(this.last.maxMemoryBytes, memoryBytes),
      oomKills: 0
    }
    return this.last
  }

  async kill(): Promise<void> {
    if (this.group === undefined) await this.usage()
    await this.end()
    await this.exited
  }

  private get group(): ControlGroup | undefined {
    return this.parts.group
  }

  /** Ends the namespace by its first process, then whatever a control group still holds (the stage's own tools). */
  private async end(): Promise<void> {
    const { child, first } = this.parts
    const deadline = Date.now() + KILL_TIMEOUT_MS
    while (await isAlive(first)) {
      if (Date.now() > deadline) throw new PekkaError('SANDBOX_FAILED', { issue: 'its processes can not be killed' })
      await killIfAlive(first)
      await delay(KILL_POLL_MS)
    }
    child.kill('SIGKILL')
    await this.group?.kill()
  }

  remove(): Promise<void> {
    this.removal ??= this.dispose()
    return this.removal
  }

  private async dispose(): Promise<void> {
    await this.kill()
    this.stdin.destroy()
    this.stdout.destroy()
    this.stderr.destroy()
    await this.group?.remove()
    await rm(this.parts.record, { force: true })
    this.parts.forget()
  }
}

/** By the shell's convention, which bwrap and docker-init follow. */
export function signalName(code: number): NodeJS.Signals | null {
  if (code <= 128) return null
  const found = Object.entries(constants.signals).find(([, number]) => number === code - 128)
  // The keys of os.constants.signals are exactly the names of NodeJS.Signals.
  return found === undefined ? null : (found[0] as NodeJS.Signals)
}
