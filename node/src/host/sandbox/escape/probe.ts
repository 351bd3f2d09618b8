/**
 * Attempts to get out of a sandbox, or to harm the machine from inside, each as a few lines of Python that say whether
 * they succeeded. The start-up test of a provider runs those marked `quick`; the test suite runs all of them in every
 * runtime, and each once more *without* the defence, to show that the probe would have noticed.
 *
 * They harm nothing where they succeed: bombs are bounded, what they open they don't write, what they make they remove.
 */

export interface Probe {
  name: string
  /** What is tried, for people. Letters and numbers are those of the threat model in docs/sandbox.md. */
  title: string
  quick: boolean
  /**
   * Body of `def probe(arguments)`; calls `escaped(detail)` or `held(detail)` once. In scope: `os, sys, socket, ctypes,
   * errno, signal, time, struct, json`, `syscall(number, *args)` returning (result, errno), `first_victim()`.
   */
  source: string
}

/** Facts about the machine that a probe aims at; JSON. */
export interface ProbeTargets {
  /** Addresses outside that listen where the defence is missing, as [host, port]. */
  addresses: [string, number][]
  /** Names of files of the machine that must not be visible. */
  hostFiles: string[]
  /** What the limits are, so that a bomb can tell a limit from its own end. */
  memoryBytes: number
  diskBytes: number
  pids: number
  fileBytes: number
}

/** Bounds of the bombs: over any limit a test gives, and harmless where there is no limit. */
export const BOMB = { processes: 400, memoryBytes: 300 << 20, diskBytes: 200 << 20, files: 20_000 } as const
