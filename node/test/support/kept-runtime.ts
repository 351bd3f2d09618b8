import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { createContext, runInContext, type Context } from 'node:vm'
import { RecordDecoder, encodeRecord, type RawRecord } from '@pekka/node/host/runner'
import type { RuntimeReport, Sandbox, SandboxExit, SandboxRuntime, SandboxSpec } from '@pekka/node/host/sandbox'

/**
 * A runtime without isolation for tests of what is around it: each "sandbox" speaks the runner's protocol and runs cells as JavaScript in
 * one context, which stays while the runner is told to keep it. `print(x)` prints; `await block()` waits until it is cancelled or interrupted;
 * `die()` ends the kernel. Like the runner it ends when it is interrupted while it runs nothing.
 */
export class KeptRuntime implements SandboxRuntime {
  readonly name = 'bubblewrap'
  readonly sandboxes = new Set<KeptSandbox>()

  probe(): Promise<RuntimeReport> {
    const enforced = { memory: true, pids: true, cpu: true, disk: true, inodes: true, seccomp: true, ownUser: true }
    return Promise.resolve({ usable: true, name: 'bubblewrap', isolation: 2, version: 'test', enforced })
  }

  create(_spec: SandboxSpec): Promise<Sandbox> {
    const sandbox = new KeptSandbox(() => this.sandboxes.delete(sandbox))
    this.sandboxes.add(sandbox)
    return Promise.resolve(sandbox)
  }

  cleanup(): Promise<number> {
    return Promise.resolve(0)
  }

  async close(): Promise<void> {
    for (const sandbox of this.sandboxes) await sandbox.remove()
  }
}

const USAGE = { wallMs: 1, cpuMs: 1, maxMemoryBytes: 0, outputBytes: 1 }

class Cancelled extends Error {}
class Interrupted extends Error {}
class Died extends Error {}

export class KeptSandbox implements Sandbox {
  static #count = 0
  readonly id = `kept-${KeptSandbox.#count++}`
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  readonly exited: Promise<SandboxExit>
  #exit: (exit: SandboxExit) => void = () => undefined
  readonly #cancel = new EventEmitter()
  readonly #context: Context
  #cell = ''
  #over = false

  constructor(private readonly gone: () => void) {
    this.exited = new Promise(resolve => (this.#exit = resolve))
    this.#context = createContext({
      print: (value: unknown) =>
        this.#send({ type: 'stream', cell: this.#cell, name: 'stdout', text: `${String(value)}\n` }),
      block: () =>
        new Promise((_, reject) => {
          this.#cancel.once('cancel', () => reject(new Cancelled('cancelled')))
          this.#cancel.once('interrupt', () => reject(new Interrupted('interrupted')))
        }),
      die: () => {
        throw new Died('died')
      }
    })
    this.#send({ type: 'ready', v: 1, runner: 'test', python: '3', preloaded: [], bootMs: 0 })
    // Its input is torn down when it is killed.
    this.#serve().catch(() => undefined)
  }

  async #serve(): Promise<void> {
    const decoder = new RecordDecoder()
    let working: Promise<void> = Promise.resolve()
    for await (const chunk of this.stdin) {
      // A stream without an encoding yields buffers.
      for (const record of decoder.push(chunk as Buffer)) {
        if (record.header['op'] === 'cancel') this.#cancel.emit('cancel')
        else if (record.header['op'] === 'interrupt') {
          if (this.#cell === '') await this.kill()
          this.#cancel.emit('interrupt')
        } else if (record.header['op'] === 'run') working = working.then(() => this.#run(record))
      }
    }
  }

  async #run({ header, payload }: RawRecord): Promise<void> {
    const keep = header['keep'] === true
    // What the host sends is what encodeRun makes.
    const cells = JSON.parse(new TextDecoder().decode(payload)) as { id: string; source: string }[]
    let end: object = { outcome: 'ok', reason: 'completed', detail: {}, exitCode: 0 }
    let kept = keep
    for (const { id, source } of cells) {
      this.#cell = id
      this.#send({ type: 'cell-start', cell: id })
      let status = 'ok'
      try {
        await runInContext(`(async () => { ${source} })()`, this.#context)
      } catch (error) {
        status = 'error'
        const stopped = error instanceof Cancelled || error instanceof Interrupted
        const ename = stopped ? 'KeyboardInterrupt' : 'Error'
        this.#send({ type: 'error', cell: id, ename, evalue: String(error), traceback: [String(error)] })
        if (error instanceof Cancelled) end = { outcome: 'stopped', reason: 'cancelled', detail: {}, exitCode: null }
        else if (error instanceof Died) {
          end = { outcome: 'user', reason: 'kernel-died', detail: { signal: 'SIGSEGV' }, exitCode: null }
          kept = false
        } else end = { outcome: 'user', reason: 'exception', detail: { ename }, exitCode: 1 }
      }
      this.#send({ type: 'cell-end', cell: id, status, executionCount: 1 })
    }
    this.#cell = ''
    this.#send({ type: 'done', ...end, usage: USAGE, ...(keep ? { kept } : {}) })
  }

  #send(header: object): void {
    if (!this.#over) this.stdout.write(encodeRecord({ ...header, t: 1 }))
  }

  setLimits(): Promise<void> {
    return Promise.resolve()
  }

  usage(): Promise<{ cpuMs: number; maxMemoryBytes: number; oomKills: number }> {
    return Promise.resolve({ cpuMs: 0, maxMemoryBytes: 0, oomKills: 0 })
  }

  kill(): Promise<void> {
    if (this.#over) return Promise.resolve()
    this.#over = true
    this.stdout.end()
    this.stdin.destroy()
    this.#exit({ code: 137, signal: 'SIGKILL', oomKilled: false })
    return Promise.resolve()
  }

  async remove(): Promise<void> {
    await this.kill()
    this.gone()
  }
}
