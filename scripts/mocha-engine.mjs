/** One Docker Engine for a whole mocha run, where tests may have one: root, and `dockerd` is installed. */
import { canStartDockerd, startDockerd } from '../node/test/support/dockerd.ts'

/** @type {import('../node/test/support/dockerd.ts').TestEngine | undefined} */
let engine

export async function mochaGlobalSetup() {
  if (process.env.DOCKER_HOST !== undefined || !canStartDockerd()) return
  engine = await startDockerd()
  process.env.DOCKER_HOST = engine.host
}

export async function mochaGlobalTeardown() {
  await engine?.stop()
}
