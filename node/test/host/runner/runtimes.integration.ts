import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import Docker from 'dockerode'
import { RunnerSession, type RunCommand } from '@pekka/node/host/runner'
import {
  BubblewrapRuntime,
  DockerRuntime,
  IMAGE_PYTHON,
  type SandboxImage,
  type SandboxLimits,
  type SandboxRuntime
} from '@pekka/node/host/sandbox'
import { canStartDockerd, startDockerd, type TestEngine } from '../../support/dockerd.js'
import { missing } from '../sandbox/support.js'
import { cellsCommand, imageEnvironment, imageRoot, needImage, scriptCommand, Transcript } from './sandboxed-runner.js'

const MIB = 1 << 20
const LIMITS: SandboxLimits = {
  memoryBytes: 1024 * MIB,
  cpus: 1,
  pids: 256,
  diskBytes: 256 * MIB,
  files: 1024,
  fileBytes: 128 * MIB
}

/** Large packages that neither the kernel nor these tests need: an import of all of `base` takes half a minute. */
const LEFT_OUT = [
  ...['pyarrow', '_polars_runtime*', 'polars', 'scipy*', 'sklearn', 'scikit*', 'numba', 'llvmlite*', 'statsmodels'],
  ...[
    'bokeh',
    'plotly',
    'cvxpy',
    'sympy',
    'astropy*',
    'skimage',
    'netCDF4*',
    'h5py*',
    'pandas*',
    'matplotlib',
    'highspy'
  ]
]

/** The image's own runner in the sandboxes that providers use. */
for (const name of ['bubblewrap', 'docker'] as const) {
  describe(`runner: in a sandbox of ${name}`, function () {
    this.timeout(180_000)
    let runtime: SandboxRuntime | undefined
    let image: SandboxImage
    let engine: TestEngine | undefined
    let docker: Docker | undefined
    const reference = `pekka-runner-test:${process.pid}`

    before(async function () {
      needImage(this)
      const root = imageRoot() ?? ''
      const owner = `runner test ${process.pid}`
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

    after(async () => {
      await runtime?.close()
      await docker?.getImage(reference).remove({ force: true })
      await engine?.stop()
    })

    const run = async (command: RunCommand, on?: (session: RunnerSession) => void): Promise<Transcript> => {
      assert.ok(runtime)
      const argv = [IMAGE_PYTHON, '-I', '-u', '/opt/pekka/runner/main.py'] as const
      const sandbox = await runtime.create({ image, argv, limits: LIMITS })
      sandbox.stderr.resume()
      try {
        const session = new RunnerSession(sandbox)
        const transcript = new Transcript()
        for await (const event of session.run(command)) {
          transcript.events.push(event)
          if (event.type === 'stream') on?.(session)
        }
        return transcript
      } finally {
        await sandbox.remove()
      }
    }

    it('runs cells, with the same hashes in every sandbox and the programs of the image on the path', async () => {
      const sources = [
        'print(hash("a"))',
        'import os\n!python -c "print(hash(chr(97)))"\nprint(os.getcwd(), os.path.expanduser("~"), os.getuid())',
        '1/0'
      ]
      const [first, second] = [await run(cellsCommand(sources)), await run(cellsCommand(sources))]
      assert.match(first.text('c1'), /^-?\d+\n$/)
      assert.equal(second.text('c1'), first.text('c1'))
      assert.equal(
        first.text('c2').replaceAll('\r', ''),
        `${first.text('c1')}/home/pekka/work /home/pekka 10001\n`,
        JSON.stringify(first.of('error'))
      )
      assert.deepEqual(first.statuses(), ['c1:ok', 'c2:ok', 'c3:error'])
      assert.deepEqual([first.done.outcome, first.done.reason], ['user', 'exception'])
    })

    it('runs a script with its arguments and exit code, byte for byte', async () => {
      const source = 'import sys\nsys.stdout.buffer.write(bytes(range(256)) * 40960)\nsys.exit(len(sys.argv))'
      const seen = await run(scriptCommand(source, ['a', 'ö']))
      assert.ok(
        seen.bytes().equals(Buffer.alloc(10 * MIB, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))))
      )
      assert.equal(seen.done.exitCode, 3)
      assert.equal(seen.done.usage.outputBytes, 10 * MIB)
    })

    it('cancels a loop', async () => {
      let isAsked = false
      const seen = await run(cellsCommand(['print("on")\nwhile True: pass', 'print("never")']), session => {
        if (!isAsked) session.cancel()
        isAsked = true
      })
      assert.deepEqual([seen.done.outcome, seen.done.reason], ['stopped', 'cancelled'])
      assert.deepEqual(seen.statuses(), ['c1:error', 'c2:not-run'])
    })

    it('keeps what was printed before the kernel was killed', async () => {
      const seen = await run(cellsCommand(['print("last words")\nimport os\nos.kill(os.getpid(), 9)', '1']))
      assert.equal(seen.text('c1'), 'last words\n')
      assert.equal(seen.done.reason, 'kernel-died')
      assert.deepEqual(seen.statuses(), ['c1:error', 'c2:not-run'])
    })
  })
}

async function importTree(docker: Docker, root: string, reference: string): Promise<string> {
  const [repo, tag] = reference.split(':')
  const site = './opt/pekka/env/lib/python3.11/site-packages'
  const excludes = LEFT_OUT.map(name => `--exclude=${site}/${name}`)
  const tar = spawn('tar', ['-C', root, '--numeric-owner', '--owner=0', '--group=0', ...excludes, '-cf', '-', '.'], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  const answer = await text(await docker.importImage(tar.stdout, { repo, tag }))
  const id = /sha256:[0-9a-f]{64}/.exec(answer)?.[0]
  if (id === undefined) throw new Error(`the engine imported nothing: ${answer}`)
  return id
}
