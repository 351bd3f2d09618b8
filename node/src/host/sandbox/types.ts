/** What every runtime offers. `index.ts` has the overview and an example. */
import type { Readable, Writable } from 'node:stream'

export type RuntimeName = 'docker' | 'bubblewrap'

/**
 * What a provider publishes about how well tasks are kept apart (DESIGN §7): 0 not at all (never published: nothing is
 * run), 1 basic (namespaces, resource limits of an unprivileged user), 2 good (bubblewrap with control groups and
 * seccomp), 3 strong (Docker, own seccomp profile, own user), 4 own kernel (gVisor's runsc).
 */
export type Isolation = 0 | 1 | 2 | 3 | 4

export interface SandboxLimits extends AdjustableLimits {
  /**
   * Bytes that may be written below /home/pekka (three quarters of it) and /tmp (one quarter). Files of a sandbox live
   * in memory, so they count in `memoryBytes` too: that is the bound of both together.
   */
  diskBytes: number
  /** Open files of one process. */
  files: number
  /** Size of one file, bytes. */
  fileBytes: number
}

/** What a sandbox that already runs can be given: a warm one gets its task's limits when the task arrives. */
export interface AdjustableLimits {
  /** Memory of all processes and files together, bytes. No swap. */
  memoryBytes: number
  /** CPU seconds per second, may be a fraction. */
  cpus: number
  /** Processes and threads. */
  pids: number
}

/** A built image (room `images`): the tree for bubblewrap, the id of its import for Docker. */
export interface SandboxImage {
  /** Root of the tree on this machine, absolute. Needed by bubblewrap. */
  root?: string
  /** Id or digest of the image inside the engine. Needed by docker. */
  engineId?: string
  /** Name of the image: hex digest of its definition. Pools group by it. */
  digest: string
  /** Environment of every process in it. */
  environment: Readonly<Record<string, string>>
}

export interface SandboxSpec {
  image: SandboxImage
  /** Program and arguments; the program's path is absolute. It starts in /home/pekka/work, which exists and is empty. */
  argv: readonly [string, ...string[]]
  /** On top of the image's. */
  environment?: Readonly<Record<string, string>>
  /** Directories of this machine that are seen inside, for the life of the sandbox. */
  mounts?: readonly SandboxMount[]
  limits: SandboxLimits
}

/**
 * A directory of this machine, read-only inside. What is put into it later is seen there too: so a sandbox that was
 * started before its task gets the task's packages. Files must be readable for everybody.
 */
export interface SandboxMount {
  source: string
  /** Absolute, and nothing of the image's. */
  target: string
}

export interface SandboxExit {
  /** As a shell counts: the program's own code, or 128 + the signal that ended it. */
  code: number
  /** Name of the signal that `code` stands for, or null. */
  signal: NodeJS.Signals | null
  /** The kernel killed something in it for want of memory. */
  oomKilled: boolean
}

export interface SandboxUsage {
  cpuMs: number
  /** Highest so far; where the system keeps no record, the highest that was seen when asked. */
  maxMemoryBytes: number
  /** Processes the kernel killed for want of memory. */
  oomKills: number
}

/** One running sandbox. It serves one task and is removed. */
export interface Sandbox {
  readonly id: string
  readonly stdin: Writable
  /** Flow through both respects backpressure: what nobody reads blocks the writer inside. */
  readonly stdout: Readable
  readonly stderr: Readable
  /** Resolves when the program has ended and every other process of the sandbox with it. Never rejects. */
  readonly exited: Promise<SandboxExit>
  /** @throws PekkaError SANDBOX_FAILED if they can't be set; the sandbox must then not be used */
  setLimits(limits: AdjustableLimits): Promise<void>
  /** Also after the end: then the last known figures. */
  usage(): Promise<SandboxUsage>
  /** Every process in it is gone when this resolves. May be called at any time, any number of times. */
  kill(): Promise<void>
  /** Kills it and leaves nothing: no mount, directory, control group or container. May be called again. */
  remove(): Promise<void>
}

/** What holds here, per defence. `false` never means "unsafe and used": a runtime without memory or pids is unusable. */
export interface Enforced {
  memory: boolean
  pids: boolean
  cpu: boolean
  disk: boolean
  /** Number of files, beside their size. */
  inodes: boolean
  seccomp: boolean
  /** The sandbox's user is nobody else's on this machine. */
  ownUser: boolean
}

export type RuntimeReport =
  | { usable: true; name: RuntimeName; isolation: Isolation; version: string; enforced: Enforced }
  | { usable: false; name: RuntimeName; isolation: 0; reason: string; remedy: string }

export interface SandboxRuntime {
  readonly name: RuntimeName
  /** Looks what is here and what it can enforce. Cheap; the proof is `selfTest`. Never rejects but for the signal. */
  probe(signal?: AbortSignal): Promise<RuntimeReport>
  /**
   * Starts a sandbox.
   * @throws PekkaError SANDBOX_FAILED (with what the system said), SANDBOX_UNUSABLE
   */
  create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>
  /** Removes what a provider of the same owner that was killed has left. Returns how many sandboxes that were. */
  cleanup(): Promise<number>
  /** Removes all sandboxes that still run. Nothing of the runtime is left afterwards. */
  close(): Promise<void>
}
