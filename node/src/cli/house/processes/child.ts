import { spawn, type ChildProcess } from 'node:child_process'
import { find } from '@pekka/node/setup/search'
import {
  HURRY_GRACE_MS,
  READY_TIMEOUT_MS,
  RESTART_FIRST_MS,
  RESTART_FORGET_MS,
  RESTART_LIMIT,
  RESTART_MAX_MS,
  STOP_GRACE_MS
} from '../constants.js'
import { lastWords, openLog } from '../log.js'

/** What a child says when it serves: addresses and the like. */
export type Ready = Readonly<Record<string, unknown>>

/** How one process of the house is run. */
export interface ChildSpec {
  name: string
  /** One of ours: it gets a channel, says over it when it serves, and stops when it closes. Other programs must not inherit one. */
  ours: boolean
  /** Made anew for each start: a restarted process may need what changed meanwhile. */
  command: () => Promise<{ program: string; args: string[]; env?: NodeJS.ProcessEnv; cwd?: string }>
  /**
   * Resolves when the process serves. Our own processes say so over IPC (`{ ready: true, … }`), which this gets as `said`;
   * others are asked.
   */
  ready: (said: Promise<Ready>, signal: AbortSignal) => Promise<Ready>
  log: string
}

export interface ChildEvents {
  /** It serves (again). */
  ready: (ready: Ready) => void
  /** It died and is started again in `wait` ms; `undefined`: it is given up. */
  died: (how: string, wait: number | undefined) => void
  /** The processes that run have changed. */
  changed: () => void
}

export type ChildState =
  | { status: 'stopped' }
  | { status: 'starting'; process: ChildProcess }
  | { status: 'serving'; process: ChildProcess; ready: Ready; since: number }
  | { status: 'waiting'; timer: NodeJS.Timeout }
  | { status: 'given up'; how: string }

/** A child that could not be started. `lastLines` are the end of its log. */
export class StartError extends Error {
  constructor(
    readonly child: string,
    readonly how: string,
    readonly log: string,
    readonly lastLines: readonly string[]
  ) {
    super(`${child} ${how}`)
  }
}

/**
 * One process of the house: started, watched, started again when it dies, stopped.
 *
 * It leads a session of its own, so that the terminal's Ctrl-C reaches the house alone, which stops its children in order. The kernel
 * sends it SIGTERM if the house is killed (`setpriv --pdeathsig`); our own processes also see their channel close.
 */
export class Child {
  state: ChildState = { status: 'stopped' }
  private deaths = 0
  private stopping = false

  constructor(
    readonly spec: ChildSpec,
    private readonly events: ChildEvents
  ) {}

  get pid(): number | undefined {
    return 'process' in this.state ? this.state.process.pid : undefined
  }

  /** Starts the process and waits until it serves. Throws StartError; then nothing of it runs. */
  async start(signal: AbortSignal): Promise<Ready> {
    const started = await this.launch(signal)
    const { process: child, exited } = started
    try {
      const ready = await started.ready
      if (this.stopping) throw new Error('stopped meanwhile')
      this.state = { status: 'serving', process: child, ready, since: Date.now() }
      void exited.then(how => this.onDeath(how))
      this.events.ready(ready)
      return ready
    } catch (error) {
      killGroup(child, 'SIGKILL')
      const how = await exited
      this.state = { status: 'stopped' }
      this.events.changed()
      signal.throwIfAborted()
      const reason = error instanceof Error && error.message !== '' ? error.message : how
      throw new StartError(this.spec.name, reason, this.spec.log, await lastWords(this.spec.log, 12))
    }
  }

  /** Ends it: SIGTERM, then SIGKILL to what is left of its session. */
  async stop(hurry: AbortSignal): Promise<void> {
    this.stopping = true
    if (this.state.status === 'waiting') clearTimeout(this.state.timer)
    const child = 'process' in this.state ? this.state.process : undefined
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
      child.kill('SIGTERM')
      const kill = (): void => killGroup(child, 'SIGKILL')
      const patience = setTimeout(kill, STOP_GRACE_MS)
      const hasten = (): unknown => setTimeout(kill, HURRY_GRACE_MS)
      if (hurry.aborted) hasten()
      else hurry.addEventListener('abort', hasten, { once: true })
      await exited
      clearTimeout(patience)
      hurry.removeEventListener('abort', hasten)
    }
    if (child !== undefined) killGroup(child, 'SIGKILL')
    this.state = { status: 'stopped' }
    this.events.changed()
  }

  private async launch(
    signal: AbortSignal
  ): Promise<{ process: ChildProcess; ready: Promise<Ready>; exited: Promise<string> }> {
    const { program, args, env, cwd } = await this.spec.command()
    signal.throwIfAborted()
    const log = await openLog(this.spec.log)
    const setpriv = find('setpriv')
    const [first = program, ...rest] = [
      ...(setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'TERM', '--']),
      program,
      ...args
    ]
    const child = spawn(first, rest, {
      stdio: ['ignore', log.fd, log.fd, ...(this.spec.ours ? (['ipc'] as const) : [])],
      detached: true,
      env,
      cwd
    })
    await log.close()
    this.state = { status: 'starting', process: child }
    this.events.changed()
    const exited = new Promise<string>(resolve => {
      child.once('error', error => resolve(`could not be started: ${error.message}`))
      child.once('exit', (code, by) =>
        resolve(by === null ? `ended with exit code ${code ?? 0}` : `was ended by ${by}`)
      )
    })
    const said = new Promise<Ready>(resolve => {
      const listen = (message: unknown): void => {
        if (typeof message !== 'object' || message === null || !('ready' in message)) return
        child.off('message', listen)
        resolve(message as Ready) // an object with `ready`; who uses its fields checks them
      }
      child.on('message', listen)
    })
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_TIMEOUT_MS)])
    const ready = Promise.race([
      this.spec.ready(said, limit),
      exited.then(how => Promise.reject(new Error(how))),
      new Promise<never>((_, reject) =>
        limit.addEventListener('abort', () => reject(new Error(`did not serve within ${READY_TIMEOUT_MS / 1000} s`)), {
          once: true
        })
      )
    ])
    return { process: child, ready, exited }
  }

  private onDeath(how: string): void {
    const { state } = this
    if (this.stopping || state.status !== 'serving') return
    killGroup(state.process, 'SIGKILL')
    if (Date.now() - state.since > RESTART_FORGET_MS) this.deaths = 0
    this.again(how)
  }

  private again(how: string): void {
    this.deaths += 1
    if (this.deaths > RESTART_LIMIT) {
      this.state = { status: 'given up', how }
      this.events.died(how, undefined)
      return
    }
    const wait = Math.min(RESTART_MAX_MS, RESTART_FIRST_MS * 2 ** (this.deaths - 1))
    const timer = setTimeout(() => {
      this.start(new AbortController().signal).catch((error: unknown) => {
        if (!this.stopping) this.again(error instanceof StartError ? error.how : String(error))
      })
    }, wait)
    this.state = { status: 'waiting', timer }
    this.events.changed()
    this.events.died(how, wait)
  }
}

/** Sends a signal to all of a child's session that are still in its process group. */
export function killGroup(child: { pid?: number | undefined }, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // nothing of it is left
  }
}
