/** What the suites of this room need: an image tree, an engine, and one way to run a command in a sandbox. */
import Docker from 'dockerode'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Sandbox, SandboxImage, SandboxLimits, SandboxRuntime } from '@pekka/node/host/sandbox'
import { canStartDockerd, startDockerd, type TestEngine } from '../../support/dockerd.js'

/** Leaves the suite out where something is missing; under CI that is a failure instead. */
export function missing(context: Mocha.Context, what: string): never {
  if (process.env.CI) throw new Error(`${what} (needed under CI)`)
  console.error(`      left out: ${what}`)
  return context.skip()
}

/** The tree that `pekka image build` made; set by the tests' set-up. */
export function imageRoot(context: Mocha.Context): string {
  const root = process.env.PEKKA_TEST_IMAGE_ROOT
  if (root === undefined || !existsSync(join(root, 'opt/pekka/env/bin/python'))) {
    return missing(context, 'PEKKA_TEST_IMAGE_ROOT names no image tree')
  }
  return root
}

export const ENVIRONMENT = { PATH: '/opt/pekka/env/bin:/usr/bin:/bin', HOME: '/home/pekka', LANG: 'C.UTF-8' }

export const LIMITS: SandboxLimits = {
  memoryBytes: 128 << 20,
  cpus: 1,
  pids: 64,
  diskBytes: 32 << 20,
  files: 256,
  fileBytes: 16 << 20
}

export interface TestDocker {
  docker: Docker
  image: SandboxImage
  stop(): Promise<void>
}

/** The engine of DOCKER_HOST, else one of our own; the tree's interpreter imported into it. */
export async function testDocker(context: Mocha.Context, root: string): Promise<TestDocker> {
  let engine: TestEngine | undefined
  if (process.env.DOCKER_HOST === undefined) {
    if (!canStartDockerd()) return missing(context, 'no Docker Engine: DOCKER_HOST is not set, and dockerd needs root')
    engine = await startDockerd()
  }
  const docker = engine === undefined ? new Docker() : new Docker({ socketPath: engine.socket })
  const reference = `pekka-sandbox-test:${process.pid}`
  const engineId = await importTree(docker, root, reference)
  return {
    docker,
    image: { engineId, digest: 'test', environment: ENVIRONMENT },
    stop: async () => {
      await docker.getImage(reference).remove({ force: true })
      await engine?.stop()
    }
  }
}

/** Without the packages: these suites need Python's own library only, and it is imported in a second. */
async function importTree(docker: Docker, root: string, reference: string): Promise<string> {
  const [repo, tag] = reference.split(':')
  const tar = spawn('tar', ['-C', root, '--numeric-owner', '--exclude=./opt/pekka/env/lib', '-cf', '-', '.'], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  const answer = await text(await docker.importImage(tar.stdout, { repo, tag }))
  const id = /sha256:[0-9a-f]{64}/.exec(answer)?.[0]
  if (id === undefined) throw new Error(`the engine imported nothing: ${answer}`)
  return id
}

export interface Ran {
  stdout: string
  stderr: string
  code: number
  sandbox: Sandbox
}

/** Runs Python to its end and removes the sandbox. */
export async function runPython(
  runtime: SandboxRuntime,
  image: SandboxImage,
  source: string,
  options: { limits?: Partial<SandboxLimits>; input?: string; signal?: AbortSignal } = {}
): Promise<Ran> {
  const limits = { ...LIMITS, ...options.limits }
  const argv = ['/opt/pekka/env/bin/python', '-I', '-u', '-c', source] as const
  const sandbox = await runtime.create({ image, argv, limits }, options.signal)
  sandbox.stdin.on('error', () => {})
  sandbox.stdin.end(options.input ?? '')
  const [stdout, stderr, { code }] = await Promise.all([text(sandbox.stdout), text(sandbox.stderr), sandbox.exited])
  await sandbox.remove()
  return { stdout, stderr, code, sandbox }
}

export async function temporaryDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'pekka-test-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
