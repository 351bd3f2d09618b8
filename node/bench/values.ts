/**
 * Values from the user's kernel into a sandbox and back, by the parts of the product that touch each byte: the helper in a
 * kernel (its answers in base64, as over Jupyter's websocket), sealing and opening of every part, a real runner in a real sandbox, and
 * the child process that reads what comes back. Without network and browser: `stream` measures the way between machines.
 *
 *   in_mb_per_s, out_mb_per_s        the slower of a 100 MB array and a 1 GB frame; each also by itself
 *   small_ms                         1,000 small names there and back, without the runner's start
 *   memory_ratio                     most that the kernel takes above what it had without the value, over its size
 *
 *   npm run bench -- values [--json]      PEKKA_BENCH_MB=200 for a smaller frame
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { PART_BYTES, openPart, sealPart, viewKeyFrom, type TaskEvent } from '@pekka/node/protocol'
import { createPrimitives } from '@pekka/node/host/crypto'
import { nativeSha256 } from '../src/agents/provider/travel.js'
import { LIMITS, imageRoot, startRunner } from '../test/host/runner/sandboxed-runner.js'

const ROOT = resolve(import.meta.dirname, '../..')
const FRAME_MB = Number(process.env['PEKKA_BENCH_MB'] ?? 1000)
const ANSWER_BYTES = 4 << 20
const GIB = 2 ** 30
const { aead } = createPrimitives()
const view = viewKeyFrom(new Uint8Array(randomBytes(32)))
const note = (text: string): void => void process.stderr.write(`${text}\n`)
const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

type Answer = { json: unknown } | { bytes: string }
interface Exported {
  name: string
  codec: 'json' | 'npy' | 'arrow'
  size: number
}

const root = imageRoot()
if (root === undefined) throw new Error('PEKKA_TEST_IMAGE_ROOT is not set: run it by "npm run bench -- values"')

/** The kernel's side, in the image's tree so that it has numpy, pandas and pyarrow. */
class BenchKernel {
  readonly #answers: AsyncIterator<string>
  private constructor(private readonly child: ReturnType<typeof spawn>) {
    const { stdout } = child
    if (stdout === null) throw new Error('its output is not read')
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  static start(tree: string): BenchKernel {
    const binds = ['--ro-bind', tree, '/', '--proc', '/proc', '--dev', '/dev', '--bind', '/tmp', '/tmp']
    const home = ['--tmpfs', '/home', '--ro-bind', join(ROOT, 'sandbox-images/runner/pekka_runner'), '/home/codecs']
    const files = ['--ro-bind', join(ROOT, 'extension/kernel'), '/home/kernel', '--ro-bind', import.meta.dirname]
    const test = [
      '--ro-bind',
      join(ROOT, 'node/test/host/runner'),
      '/home/test',
      '--setenv',
      'PYTHONPATH',
      '/home/test'
    ]
    const command = ['/opt/pekka/env/bin/python', '/home/bench/values-kernel.py', '/home/codecs/codecs.py']
    const args = [...binds, ...home, ...files, '/home/bench', ...test, '--die-with-parent', ...command, '/home/kernel']
    return new BenchKernel(spawn('bwrap', args, { stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  async call(name: string, ...args: unknown[]): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify([name, ...args])}\n`)
    const { value } = await this.#answers.next()
    if (typeof value !== 'string') throw new Error(`the kernel ended in ${name}`)
    return JSON.parse(value) as Answer // our own script's
  }

  async number(name: string): Promise<number> {
    const answer = await this.call(name)
    return 'json' in answer ? Number(answer.json) : NaN
  }

  async bytes(name: string, ...args: unknown[]): Promise<Uint8Array> {
    const answer = await this.call(name, ...args)
    return 'bytes' in answer ? new Uint8Array(Buffer.from(answer.bytes, 'base64')) : new Uint8Array()
  }

  async end(): Promise<void> {
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }
}

/** As a part travels: sealed here, opened there. */
async function travelled(plain: Uint8Array): Promise<Uint8Array> {
  const { part, sealed } = await sealPart(aead, view, plain, nativeSha256)
  return await openPart(aead, part, sealed, nativeSha256)
}

async function* piecesOf(kernel: BenchKernel, { name, size }: Exported): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; at += PART_BYTES) {
    const part = new Uint8Array(Math.min(PART_BYTES, size - at))
    for (let done = 0; done < part.length; done += ANSWER_BYTES)
      part.set(await kernel.bytes('chunk', name, at + done, Math.min(ANSWER_BYTES, part.length - done)), done)
    yield await travelled(part)
  }
}

interface Measured {
  mb: number
  inMs: number
  outMs: number
  inRatio: number
  outRatio: number
}

/** Values that `code` makes, into a fresh sandbox and back from it. */
async function measure(title: string, code: string, names: string[]): Promise<Measured> {
  const kernel = BenchKernel.start(root ?? '/')
  const env = { PEKKA_PRELOAD: 'numpy,pandas,pyarrow' }
  const runner = startRunner({ preload: 'numpy,pandas,pyarrow', env, workBytes: 4 * GIB })
  try {
    await runner.session.ready()
    const bare = await kernel.number('rest')
    await kernel.call('run', code)
    await kernel.number('rest')
    const began = performance.now()
    const answer = await kernel.call('export', names)
    const values = ('json' in answer ? answer.json : []) as Exported[] // the helper's
    const together = names.length > 1 ? await kernel.bytes('chunks', names) : null
    let at = 0
    for (const value of values) {
      const pieces = together ? [await travelled(together.slice(at, (at += value.size)))] : piecesOf(kernel, value)
      await runner.session.put({ kind: 'value', name: value.name, codec: value.codec, type: '', python: null, pieces })
    }
    const size = values.reduce((sum, value) => sum + value.size, 0)
    const inPeak = await kernel.number('peak')
    await kernel.call('release')
    await kernel.call('run', `del ${names.join(', ')}`)
    await kernel.number('rest')

    let inMs = 0
    let ended = 0
    let first = true
    const small: Uint8Array[] = []
    const onPart = async ({ bytes }: { bytes: Uint8Array }): Promise<void> => {
      const plain = await travelled(new Uint8Array(bytes))
      if (together) {
        small.push(plain)
        return
      }
      for (let done = 0; done < plain.length; done += ANSWER_BYTES) {
        const piece = Buffer.from(plain.subarray(done, done + ANSWER_BYTES)).toString('base64')
        await kernel.call('returns.part', 'bench', piece, first)
        first = false
      }
    }
    const limits = { ...LIMITS, memoryBytes: 16 * GIB, diskBytes: 8 * GIB }
    const cells = [{ id: 'a', source: 'pass', tags: [] }]
    const returns = { names, maxBytes: GIB, totalBytes: GIB }
    const command = { kind: 'cells', cells, limits, seed: 1, stopOnError: true, returns } as const
    let back: TaskEvent | undefined
    for await (const event of runner.session.run(command, undefined, onPart)) {
      if (event.type === 'cell-start') inMs = performance.now() - began
      if (event.type === 'cell-end') ended = performance.now()
      if (event.type === 'values') back = event
    }
    if (back?.type !== 'values' || back.values.some(({ codec }) => codec === null))
      throw new Error(`not all came back: ${runner.diagnostics().slice(-500)}`)
    if (together) {
      await kernel.call('returns.part', 'bench', Buffer.concat(small).toString('base64'), true)
      const entries = back.values.map(({ name, codec }, index) => [name, codec, small[index]?.length])
      const told = await kernel.call('returns.bind_all', 'bench', entries)
      if (!JSON.stringify(told).includes('null')) throw new Error(`refused: ${JSON.stringify(told).slice(0, 300)}`)
    } else {
      const told = await kernel.call('returns.bind', 'bench', names[0], back.values[0]?.codec)
      if (!JSON.stringify(told).includes('null')) throw new Error(`refused: ${JSON.stringify(told)}`)
    }
    const outMs = performance.now() - ended
    const outPeak = await kernel.number('peak')
    const measured = {
      ...{ mb: size / 1e6, inMs, outMs },
      inRatio: (inPeak - bare) / size,
      outRatio: (outPeak - bare) / size
    }
    note(`${title}: ${JSON.stringify(measured)} at load ${loadavg()[0]?.toFixed(1)}`)
    return measured
  } finally {
    await runner.end()
    await kernel.end()
  }
}

const columns = 10
const rows = Math.floor((FRAME_MB * 1e6) / 8 / columns)
const small = Array.from({ length: 1000 }, (_, index) => `v${index}`)
const array = await measure('array', 'import numpy as np\na = np.arange(12_500_000, dtype="f8")', ['a'])
const frame = await measure(
  'frame',
  `import numpy as np, pandas as pd\nf = pd.DataFrame({f"c{k}": np.arange(${rows}, dtype="f8") for k in range(${columns})})`,
  ['f']
)
const names = await measure('small', 'for k in range(1000): globals()[f"v{k}"] = [k, str(k)]', small)

const speed = ({ mb }: Measured, ms: number): number => round((mb * 1000) / ms)
const figures = {
  in_mb_per_s: Math.min(speed(array, array.inMs), speed(frame, frame.inMs)),
  out_mb_per_s: Math.min(speed(array, array.outMs), speed(frame, frame.outMs)),
  small_ms: round(names.inMs + names.outMs),
  memory_ratio: round(Math.max(array.inRatio, array.outRatio, frame.inRatio, frame.outRatio), 2),
  'array.in_mb_per_s': speed(array, array.inMs),
  'array.out_mb_per_s': speed(array, array.outMs),
  'frame.in_mb_per_s': speed(frame, frame.inMs),
  'frame.out_mb_per_s': speed(frame, frame.outMs),
  'small.in_ms': round(names.inMs),
  'small.out_ms': round(names.outMs),
  'array.memory_in': round(array.inRatio, 2),
  'array.memory_out': round(array.outRatio, 2),
  'frame.memory_in': round(frame.inRatio, 2),
  'frame.memory_out': round(frame.outRatio, 2)
}
const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: availableParallelism(), node: process.version }
process.stdout.write(`${JSON.stringify({ bench: 'values', machine, runs: 1, figures })}\n`)
process.exit(0)
