/**
 * Where strangers' code runs: sandboxes of two runtimes behind one interface, the test that proves what they hold, and
 * the pool of warm ones.
 *
 * ```ts
 * const { runtime, report } = await selectRuntime({ owner: home, image })   // throws where nothing is safe
 * const pool = createSandboxPool(
 *   { runtime, log, start: async (sandbox, signal) => { … wait for the runner … } },
 *   { argv: [IMAGE_PYTHON, '-I', '-u', '/opt/pekka/runner/main.py'], limits, warm: [{ image, size: 1 }] }
 * )
 * const taken = await pool.take(image, limits, signal)
 * try { … } finally { await taken.release() }
 * await pool.drain()
 * await runtime.close()
 * ```
 */
export * from './types.js'
export { BubblewrapRuntime, type BubblewrapInit } from './bubblewrap/runtime.js'
export { DockerRuntime, type DockerInit } from './docker/runtime.js'
export { IMAGE_PYTHON, runProbes, selfTest, type SelfTest, type Verdict } from './escape/run.js'
export { selectRuntime, type SelectOptions, type SelectedRuntime } from './select.js'
export { createSandboxPool } from './pool.js'
export type {
  Extras,
  PooledSandbox,
  PoolLog,
  SandboxPool,
  SandboxPoolComponents,
  SandboxPoolInit,
  Starter,
  WarmImage
} from './pool.js'
export { SANDBOX_EXTRAS, SANDBOX_HOME, SANDBOX_HOSTNAME, SANDBOX_UID, SANDBOX_WORK } from './constants.js'
