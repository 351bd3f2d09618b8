import { KILL_AFTER_MS } from '../constants.js'
import type { OpenedTask } from '../intake/intake.js'
import type { TakenSandbox, Workshop } from '../machine/workshop.js'
import type { Killed } from './done.js'
import { LateKill } from './late-kill.js'

export interface HeldSandboxComponents {
  workshop: Pick<Workshop, 'take'>
  log: { warn(data: object, text: string): void }
}

/** The sandbox of one attempt, one at a time: taken, interrupted, killed, replaced and given back. */
export class HeldSandbox {
  #taken: TakenSandbox | null = null
  #killed: Killed | null = null
  #done = false
  readonly #late = new LateKill(() => this.kill('cancel'), KILL_AFTER_MS)

  constructor(
    private readonly components: HeldSandboxComponents,
    private readonly task: OpenedTask
  ) {}

  /** null: not there yet, or given back. */
  get taken(): TakenSandbox | null {
    return this.#taken
  }

  /** Why it was killed; null: it wasn't. */
  get killed(): Killed | null {
    return this.#killed
  }

  /** The user's code has ended: a cancel that comes now changes nothing (PROTOCOL §9, STOPPING). */
  get done(): boolean {
    return this.#done
  }

  async take(signal: AbortSignal): Promise<void> {
    this.#taken = await this.components.workshop.take(this.task, signal)
  }

  /** A fresh one. Nothing of the old one is left: neither processes nor files. */
  async replace(signal: AbortSignal): Promise<void> {
    await this.end()
    signal.throwIfAborted()
    this.#killed = null
    await this.take(signal)
  }

  /** Calls when the sandbox that is here now ends by itself. */
  watch(lost: () => void): void {
    const watched = this.#taken
    void watched?.sandbox.exited.then(() => {
      if (this.#taken === watched) lost()
    })
  }

  /** Interrupts what runs; what doesn't end by itself is killed. */
  interrupt(): void {
    if (this.#done || this.#killed !== null || this.#taken === null) return
    this.#taken.session.cancel()
    this.#late.arm()
  }

  kill(why: Killed): void {
    if (this.#done || this.#killed !== null) return
    this.#killed = why
    void this.#taken?.sandbox
      .kill()
      .catch((error: unknown) => this.components.log.warn({ err: error }, 'a sandbox hangs'))
  }

  /** The user's code has ended; the sandbox is given back meanwhile. */
  finish(): void {
    this.#done = true
    void this.#release()
  }

  /** Given back, and nothing will be killed late. */
  async end(): Promise<void> {
    this.#late.clear()
    await this.#release()
  }

  async #release(): Promise<void> {
    const taken = this.#taken
    this.#taken = null
    if (taken === null) return
    try {
      await taken.release()
    } catch (error) {
      this.components.log.warn({ err: error }, 'a sandbox could not be removed; it is at the next start')
    }
  }
}
