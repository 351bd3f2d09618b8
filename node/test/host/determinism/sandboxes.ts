import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import Docker from 'dockerode'
import { RunnerSession } from '@pekka/node/host/runner'
import {
  BubblewrapRuntime,
  DockerRuntime,
  IMAGE_PYTHON,
  type SandboxImage,
  type SandboxLimits,
  type SandboxRuntime
} from '@pekka/node/host/sandbox'
import { canStartDockerd, startDockerd, type TestEngine } from '../../support/dockerd.js'
import { Transcript } from '../runner/sandboxed-runner.js'
import { missing } from '../sandbox/support.js'
import { commandFor, compareHonest, rootOf, wordsOf } from './honest.js'
import type { Program } from './programs/index.js'

export const RUNTIMES = ['bubblewrap', 'docker'] as const
export type RuntimeName = (typeof RUNTIMES)[number]

export const NOTEBOOKS = resolve(import.meta.dirname, '../../../../notebooks')

/** Examples that need no more than `base` has. */
export const BASE_EXAMPLES = ['hello.ipynb', 'pendulum-fit.ipynb', 'pendulum.py'] as const

const LIMITS: SandboxLimits = {
  memoryBytes: 3 * 2 ** 30,
  cpus: 1,
  pids: 512,
  diskBytes: 512 << 20,
  files: 1024,
  fileBytes: 128 << 20
}

/** An example takes under a minute on one core; two run at a time, and the machine may have other things to do. */
const WALL_MS = 600_000
const CPU_MS = 240_000

/** What of a file of {@link NOTEBOOKS} runs: a script, or the cells of a notebook that hold code. */
export function example(name: string): Program {
  const content = readFileSync(join(NOTEBOOKS, name), 'utf8')
  if (extname(name) === '.py') return { name, source: content }
  const { cells } = JSON.parse(content) as { cells: { cell_type: string; source: string | string[] }[] } // our own
  const code = cells.filter(cell => cell.cell_type === 'code').map(({ source }) => [source].flat().join(''))
  return { name, source: code.filter(source => source.trim() !== '') }
}

/** One kind of sandbox for runs that are compared: fresh ones of whatever image, two at a time. */
export class HonestSandboxes {
  readonly #name: RuntimeName
  readonly #runtime: SandboxRuntime
  readonly #engine: TestEngine | undefined
  /** The engine, where sandboxes are its containers. */
  readonly docker: Docker | undefined

  private constructor(name: RuntimeName, runtime: SandboxRuntime, docker?: Docker, engine?: TestEngine) {
    this.#name = name
    this.#runtime = runtime
    this.docker = docker
    this.#engine = engine
  }

  /** Leaves the suite out where the machine can't have them. The engine is that of DOCKER_HOST, else one of our own. */
  static async open(context: Mocha.Context, name: RuntimeName): Promise<HonestSandboxes> {
    const owner = `honest test ${process.pid}`
    let sandboxes: HonestSandboxes
    if (name === 'bubblewrap') sandboxes = new HonestSandboxes(name, new BubblewrapRuntime({ owner }))
    else {
      const theirs = process.env['DOCKER_HOST'] !== undefined
      if (!theirs && !canStartDockerd())
        missing(context, 'no Docker Engine: DOCKER_HOST is not set, and dockerd needs root')
      const engine = theirs ? undefined : await startDockerd()
      const docker = engine === undefined ? new Docker() : new Docker({ socketPath: engine.socket })
      sandboxes = new HonestSandboxes(name, new DockerRuntime({ owner, docker }), docker, engine)
    }
    const report = await sandboxes.#runtime.probe()
    if (report.usable) return sandboxes
    await sandboxes.close()
    return missing(context, `${name}: ${report.reason}`)
  }

  async close(): Promise<void> {
    await this.#runtime.close()
    await this.#engine?.stop()
  }

  private async run(image: SandboxImage, program: Program): Promise<Transcript> {
    const argv = [IMAGE_PYTHON, '-I', '-u', '/opt/pekka/runner/main.py'] as const
    const sandbox = await this.#runtime.create({ image, argv, limits: LIMITS })
    sandbox.stderr.resume()
    try {
      const transcript = new Transcript()
      const command = { ...commandFor(program), cpus: 1 }
      command.limits = { ...command.limits, wallMs: WALL_MS, cpuMs: CPU_MS, memoryBytes: LIMITS.memoryBytes }
      for await (const event of new RunnerSession(sandbox).run(command)) transcript.events.push(event)
      return transcript
    } finally {
      await sandbox.remove()
    }
  }

  /**
   * Runs the program in two fresh sandboxes, and checks what it says of itself: that both results have one digest, which is also that of `others`,
   * or that the comparison names the cause of what differs. Resolves with the digest in hex, undefined where the runs differ as they should.
   */
  async twice(image: SandboxImage, program: Program, others?: string): Promise<string | undefined> {
    const [a, b] = await Promise.all([this.run(image, program), this.run(image, program)])
    const { verdict, cells } = compareHonest(program, a, b)
    const words = `${JSON.stringify(cells)}\n${wordsOf(a)}`
    // Two that failed alike would agree.
    assert.equal(a.done.outcome === 'ok', program.fails !== true, words)
    if (program.varies !== undefined) {
      assert.notEqual(rootOf(a), rootOf(b), words)
      const cause = cells.map(cell => cell.cause).find(one => one === program.varies)
      assert.equal(cause, program.varies, words)
      return undefined
    }
    assert.equal(rootOf(a), rootOf(b), words)
    assert.ok(verdict === 'exact' || verdict === 'canonical', words)
    assert.equal(rootOf(a), others ?? rootOf(a), `${this.#name} and the other runtime: ${words}`)
    return rootOf(a)
  }
}

/** Brings a tree into the engine, without what the store records of its own; resolves with the engine's name of it. */
export async function importTree(docker: Docker, root: string, reference: string): Promise<string> {
  const [repo, tag] = reference.split(':')
  const tar = spawn('tar', ['-C', root, '--numeric-owner', '--owner=0', '--group=0', '-cf', '-', '.'], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  const answer = await text(await docker.importImage(tar.stdout, { repo, tag }))
  const id = /sha256:[0-9a-f]{64}/.exec(answer)?.[0]
  if (id === undefined) throw new Error(`the engine imported nothing: ${answer}`)
  return id
}
