import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
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
import { imageEnvironment, imageRoot, needImage, Transcript } from '../runner/sandboxed-runner.js'
import { missing } from '../sandbox/support.js'
import { commandFor, compareHonest, rootOf, wordsOf } from './honest.js'
import { PROGRAMS, type Program } from './programs/index.js'

const LIMITS: SandboxLimits = {
  memoryBytes: 3 * 2 ** 30,
  cpus: 1,
  pids: 512,
  diskBytes: 512 << 20,
  files: 1024,
  fileBytes: 128 << 20
}

const NOTEBOOKS = resolve(import.meta.dirname, '../../../../notebooks')

/** Every example beside the honest programs; one of another image's packages is left to that image's tests. */
function examples(): Program[] {
  const names = readdirSync(NOTEBOOKS, { recursive: true, encoding: 'utf8' })
  return names.flatMap((name): Program[] => {
    const content = () => readFileSync(join(NOTEBOOKS, name), 'utf8')
    if (extname(name) === '.py') return [{ name, source: content() }]
    if (extname(name) !== '.ipynb') return []
    const { cells } = JSON.parse(content()) as { cells: { cell_type: string; source: string | string[] }[] } // our own
    const code = cells.filter(cell => cell.cell_type === 'code').map(({ source }) => [source].flat().join(''))
    return [{ name, source: code.filter(source => source.trim() !== '') }]
  })
}

/** The honest set: run twice in fresh sandboxes of each runtime, all deterministic ones agree, of the others it is said why. */
const roots = new Map<string, string>()
for (const name of ['bubblewrap', 'docker'] as const) {
  describe(`the honest set in sandboxes of ${name}`, function () {
    this.timeout(900_000)
    let runtime: SandboxRuntime | undefined
    let image: SandboxImage
    let engine: TestEngine | undefined
    let docker: Docker | undefined
    const reference = `pekka-honest-test:${process.pid}`

    before(async function () {
      this.timeout(900_000)
      needImage(this)
      const root = imageRoot() ?? ''
      const owner = `honest test ${process.pid}`
      image = { root, digest: 'test', environment: imageEnvironment() }
      if (name === 'bubblewrap') runtime = new BubblewrapRuntime({ owner })
      else {
        if (process.env['DOCKER_HOST'] === undefined) {
          if (!canStartDockerd()) missing(this, 'no Docker Engine: DOCKER_HOST is not set, and dockerd needs root')
          engine = await startDockerd()
        }
        docker = engine === undefined ? new Docker() : new Docker({ socketPath: engine.socket })
        image = { ...image, engineId: await importTree(docker, root, reference) }
        runtime = new DockerRuntime({ owner, docker })
      }
      const report = await runtime.probe()
      if (!report.usable) missing(this, `${name}: ${report.reason}`)
    })

    after(async function () {
      this.timeout(600_000)
      await runtime?.close()
      await docker?.getImage(reference).remove({ force: true })
      await engine?.stop()
    })

    const run = async (program: Program): Promise<Transcript> => {
      assert.ok(runtime)
      const argv = [IMAGE_PYTHON, '-I', '-u', '/opt/pekka/runner/main.py'] as const
      const sandbox = await runtime.create({ image, argv, limits: LIMITS })
      sandbox.stderr.resume()
      try {
        const transcript = new Transcript()
        const command = { ...commandFor(program), cpus: 1 }
        command.limits = { ...command.limits, wallMs: 240_000, cpuMs: 240_000, memoryBytes: LIMITS.memoryBytes }
        for await (const event of new RunnerSession(sandbox).run(command)) transcript.events.push(event)
        return transcript
      } finally {
        await sandbox.remove()
      }
    }

    for (const program of [...PROGRAMS, ...examples()]) {
      it(`${program.name}: ${program.varies ?? 'agrees'}`, async function () {
        const site = join(imageRoot() ?? '', 'opt/pekka/env/lib/python3.11/site-packages')
        if (program.needs?.some(module => !existsSync(join(site, module))))
          missing(this, 'the image lacks a package of it')
        const a = await run(program)
        const missed = a.of('error').some(({ ename }) => ename === 'ModuleNotFoundError')
        if (missed || wordsOf(a).includes('ModuleNotFoundError')) return this.skip()
        const b = await run(program)
        const { verdict, cells } = compareHonest(program, a, b)
        const words = `${JSON.stringify(cells)}\n${wordsOf(a)}`
        const cause = cells.map(cell => cell.cause).find(one => one !== null && one === program.varies)
        if (program.varies !== undefined) {
          assert.notEqual(rootOf(a), rootOf(b), words)
          return assert.equal(cause, program.varies, words)
        }
        assert.equal(rootOf(a), rootOf(b), words)
        assert.ok(verdict === 'exact' || verdict === 'canonical', words)
        // And the same on the other runtime.
        assert.equal(roots.get(program.name) ?? rootOf(a), rootOf(a), `${name} and the other runtime: ${words}`)
        roots.set(program.name, rootOf(a))
      })
    }
  })
}

async function importTree(docker: Docker, root: string, reference: string): Promise<string> {
  const [repo, tag] = reference.split(':')
  const tar = spawn('tar', ['-C', root, '--numeric-owner', '--owner=0', '--group=0', '-cf', '-', '.'], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  const answer = await text(await docker.importImage(tar.stdout, { repo, tag }))
  const id = /sha256:[0-9a-f]{64}/.exec(answer)?.[0]
  if (id === undefined) throw new Error(`the engine imported nothing: ${answer}`)
  return id
}
