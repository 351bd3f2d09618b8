/**
 * Values from the user's kernel into a sandbox and back, by the parts of the product that touch each byte: the helper in a
 * kernel (its answers in base64, as over Jupyter's websocket), sealing and opening of every part, a real runner in a real sandbox, and
 * the child process that reads what comes back. Without network and browser: `stream` measures the way between machines.
 *
 *   in_mb_per_s, out_mb_per_s        the slower of a 100 MB array and a 1 GB frame; each also by itself
 *   small_ms                         1,000 small names there and back, without the runner's and the reader's start
 *   whole.*                          an array and small names again, with all else that page and provider do: WebCrypto in the page,
 *                                    parts kept until the run has ended, the frame that tells of them, hashes of each value
 *   memory_ratio                     most that the kernel takes above what it had without the value, over its size
 *
 *   npm run bench -- values [--json]      PEKKA_BENCH_MB=200 for a smaller frame
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import {
  CODECS,
  PART_BYTES,
  concat,
  openPart,
  sealPart,
  toHex,
  viewKeyFrom,
  type Codec,
  type TaskEvent
} from '@pekka/node/protocol'
import { TaskReader } from '@pekka/node/client'
import { createPrimitives } from '@pekka/node/host/crypto'
import type { Put, ReturnedPart } from '../src/host/runner/index.js'
import { Returns, nativeSha256 } from '../src/agents/provider/intake/travel.js'
import { LIMITS, imageRoot, startRunner } from '../test/host/runner/sandboxed-runner.js'
import { createParties, sealRun } from '../test/support/sealed-run.js'
import { createPrimitives as createPagePrimitives, findSupport } from '../../extension/src/crypto/index.js'
import { Delivery } from '../../extension/src/values/delivery.js'
import { exportValues, type ExportedValue, type SurveyRow } from '../../extension/src/values/helper.js'
import type { Answer, KernelDoor } from '../../extension/src/values/kernel.js'
import type { ReturnedValue } from '../../extension/src/values/returns.js'
import { cpuOf } from './cpu.js'

const ROOT = resolve(import.meta.dirname, '../..')
const FRAME_MB = Number(process.env['PEKKA_BENCH_MB'] ?? 1000)
const GIB = 2 ** 30
const { aead } = createPrimitives()
const page = createPagePrimitives(await findSupport(crypto.subtle))
const view = viewKeyFrom(new Uint8Array(randomBytes(32)))
const note = (text: string): void => void process.stderr.write(`${text}\n`)
const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

const root = imageRoot()
if (root === undefined) throw new Error('PEKKA_TEST_IMAGE_ROOT is not set: run it by "npm run bench -- values"')

/** The kernel's side, in the image's tree so that it has numpy, pandas and pyarrow. */
class BenchKernel implements KernelDoor {
  readonly busy = false
  readonly #waiting: ((answer: Answer) => void)[] = []
  private constructor(private readonly child: ReturnType<typeof spawn>) {
    void this.#read()
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  /** Answers come in the order of the calls, each its length and JSON. */
  async #read(): Promise<void> {
    const { stdout } = this.child
    if (stdout === null) throw new Error('its output is not read')
    let pieces: Buffer[] = []
    let held = 0
    let wanted = 4
    for await (const chunk of stdout as AsyncIterable<Buffer>) {
      pieces.push(chunk)
      held += chunk.length
      while (held >= wanted) {
        const all = Buffer.concat(pieces)
        pieces = [all]
        if (wanted === 4) {
          wanted += all.readUInt32BE(0)
          continue
        }
        const said = JSON.parse(all.toString('latin1', 4, wanted)) as { json: unknown } | { bytes: string } // our own script's
        pieces = [all.subarray(wanted)]
        held -= wanted
        wanted = 4
        this.#waiting.shift()?.('bytes' in said ? { bytes: Buffer.from(said.bytes, 'base64') } : said)
      }
    }
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

  /** Bytes travel as base64 in JSON, as over Jupyter's websocket. */
  call(name: string, args: readonly unknown[]): Promise<Answer> {
    const given = args.map(arg =>
      arg instanceof Uint8Array
        ? { $bytes: Buffer.from(arg.buffer, arg.byteOffset, arg.length).toString('base64') }
        : arg
    )
    const message = Buffer.from(JSON.stringify([name, ...given]), 'latin1')
    const length = Buffer.alloc(4)
    length.writeUInt32BE(message.length)
    this.child.stdin?.write(length)
    this.child.stdin?.write(message)
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  async number(name: string): Promise<number> {
    const answer = await this.call(name, [])
    return 'json' in answer ? Number(answer.json) : NaN
  }

  dispose(): void {
    this.child.stdin?.end()
  }

  async end(): Promise<void> {
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }
}

const EMPTY_ROW: Omit<SurveyRow, 'name'> = {
  ...{ by: null, needs: [], codec: null, size: 0, reason: null, python: null, kind: '', type: '', secret: false }
}
const allOf = ({ source }: ExportedValue): Promise<Uint8Array> => source.read(0, source.size)
function codecOf(codec: string): Codec {
  const found = CODECS.find(known => known === codec)
  if (found === undefined) throw new Error(`an unknown codec, ${codec}`)
  return found
}

async function allParts(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = []
  for await (const part of parts) all.push(part)
  return all
}

/** As a part travels: sealed here, opened there. */
async function travelled(plain: Uint8Array, whole: boolean): Promise<Uint8Array> {
  const { part, sealed } = await (whole
    ? sealPart(page.aead, view, plain, page.hash)
    : sealPart(aead, view, plain, nativeSha256))
  return await openPart(aead, part, sealed, nativeSha256)
}

async function* piecesOf({ source }: ExportedValue, whole: boolean): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += PART_BYTES)
    yield await travelled(await source.read(at, Math.min(PART_BYTES, source.size - at)), whole)
}

type Events = (onPart: (part: ReturnedPart) => Promise<void>) => AsyncGenerator<TaskEvent, void>
const allHere = (answer: Answer): boolean =>
  'json' in answer && /^{"issues?":(null|\[(null,?)*\])}$/.test(JSON.stringify(answer.json))

/** The bytes alone: each part is sealed, opened and handed over as it comes. Whether all were taken. */
async function partsAlone(kernel: BenchKernel, events: Events, names: readonly string[]): Promise<boolean> {
  const together = names.length > 1
  const small: Uint8Array[] = []
  let begun = false
  let back: ReturnedValue[] = []
  const delivery = new Delivery(kernel, 'bench')
  const onPart = async ({ bytes }: ReturnedPart): Promise<void> => {
    if (together) small.push(new Uint8Array(bytes))
    else {
      // As the page does before it opens the first part.
      if (!begun) void kernel.call('returns.expect', [['npy', 'arrow']])
      begun = true
      await delivery.add(await travelled(bytes, false))
    }
  }
  for await (const event of events(onPart)) if (event.type === 'values') back = event.values
  if (back.length !== names.length || back.some(({ codec }) => codec === null)) return false
  // As the provider packs them, and the page hands them over.
  if (together) await delivery.add(await travelled(concat(...small), false))
  await delivery.end()
  const entries = back.map(({ name, codec }, index) => [name, codec, small[index]?.length])
  return allHere(
    together
      ? await kernel.call('returns.bind_all', ['bench', entries])
      : await kernel.call('returns.bind', ['bench', names[0], back[0]?.codec])
  )
}

/** As provider and page do it: parts are kept until the frame that tells of them is there, and opened by its hashes. */
async function wholeWay(kernel: BenchKernel, events: Events, names: readonly string[]): Promise<boolean> {
  const parties = await createParties()
  const run = await sealRun(parties, [], {
    returned: async blob => {
      const returned = new Returns(blob)
      const told: TaskEvent[] = []
      for await (const event of events(part => returned.take(part)))
        if (event.type === 'values') told.push(await returned.complete(event))
      return told
    }
  })
  const values: ReturnedValue[] = []
  const blobs = new Map<string, Uint8Array>()
  const { network, task, readKey, taskKey } = parties
  const reader = new TaskReader(
    { primitives: page, blob: async hash => blobs.get(toHex(hash)) ?? new Uint8Array() },
    { network, task, readKey, taskKey, agents: new Map() }
  )
  for await (const output of reader.read(run.entries))
    for (const event of output.kind === 'events' ? output.events : [])
      if (event.type === 'values') values.push(...event.values)
  for (const { parts } of values)
    for (const { hash, blob } of parts ?? []) blobs.set(toHex(hash), run.blobs[blob] ?? new Uint8Array())
  const [value] = values
  if (values.length !== names.length || value === undefined || values.some(({ parts }) => !parts)) return false
  void kernel.call('returns.expect', [[...new Set(values.map(({ codec }) => codec))]])
  if (values.length > 1) {
    const bodies = await Promise.all(values.map(async one => concat(...(await allParts(reader.open(one))))))
    await kernel.call('returns.part', ['bench', concat(...bodies), true])
    const entries = values.map(({ name, codec }, index) => [name, codec, bodies[index]?.length])
    return allHere(await kernel.call('returns.bind_all', ['bench', entries]))
  }
  const delivery = new Delivery(kernel, 'bench')
  for await (const part of reader.open(value, false)) await delivery.add(part)
  await delivery.end()
  const hash = toHex(value.hash ?? new Uint8Array())
  return allHere(await kernel.call('returns.bind', ['bench', value.name, value.codec, hash]))
}

interface Measured {
  mb: number
  inMs: number
  outMs: number
  inRatio: number
  outRatio: number
  /** CPU of kernel, page and sandbox together, ms. */
  inCpu: number
  outCpu: number
}

/** Values that `code` makes, into a fresh sandbox and back from it. */
async function measure(title: string, code: string, names: string[], whole = false): Promise<Measured> {
  const kernel = BenchKernel.start(root ?? '/')
  const env = { PEKKA_PRELOAD: 'numpy,pandas,pyarrow' }
  const runner = startRunner({ preload: 'numpy,pandas,pyarrow', env, workBytes: 4 * GIB })
  try {
    await runner.session.ready()
    // A sandbox that ends takes its figures along: the most that was seen stands.
    let sandbox = 0
    const cpu = (): number => {
      const { user, system } = process.cpuUsage()
      sandbox = Math.max(sandbox, cpuOf(runner.child.pid ?? 0))
      return (user + system) / 1000 + cpuOf(kernel.pid) + sandbox
    }
    const bare = await kernel.number('rest')
    await kernel.call('run', [code])
    await kernel.number('rest')
    const cpuBefore = cpu()
    const began = performance.now()
    const rows = names.map((name): SurveyRow => ({ ...EMPTY_ROW, name }))
    const { values, release } = await exportValues(kernel, rows)
    const together = names.length > 1
    // Small ones stand in the bundle, which is sealed as one.
    const bundle = together
      ? await travelled(concat(...(await Promise.all(values.map(allOf)))), whole)
      : new Uint8Array()
    let at = 0
    const puts = values.map((value): Put => {
      const { name, codec } = value
      const pieces = together ? [bundle.subarray(at, (at += value.source.size))] : piecesOf(value, whole)
      return { kind: 'value', name, codec: codecOf(codec), type: '', python: null, pieces }
    })
    await runner.session.put(puts)
    const size = values.reduce((sum, value) => sum + value.source.size, 0)
    const kernelRests = async (): Promise<number> => {
      const peak = await kernel.number('peak')
      await release()
      await kernel.call('run', [`del ${names.join(', ')}`])
      await kernel.number('rest')
      return peak
    }
    let inPeak = 0
    let inMs = 0
    let inCpu = 0
    let outBefore = 0
    let ended = 0
    const limits = { ...LIMITS, memoryBytes: 16 * GIB, diskBytes: 8 * GIB }
    // While it waits, what the kernel took is measured: that is no part of either way.
    const cells = [{ id: 'a', source: `import time\ntime.sleep(${names.length > 1 ? 1 : 5})`, tags: [] }]
    const returns = { names, maxBytes: GIB, totalBytes: GIB }
    const command = { kind: 'cells', cells, limits, seed: 1, stopOnError: true, returns } as const
    const events: Events = async function* (onPart) {
      for await (const event of runner.session.run(command, undefined, onPart)) {
        if (event.type === 'cell-start') {
          inMs = performance.now() - began
          inCpu = cpu() - cpuBefore
          inPeak = await kernelRests()
          outBefore = cpu()
          // As the page does when a run begins whose values come back by themselves.
          await kernel.call('returns.expect', [[]])
        }
        if (event.type === 'cell-end') ended = performance.now()
        if (event.type === 'values') cpu()
        yield event
      }
    }
    if (!(await (whole ? wholeWay : partsAlone)(kernel, events, names)))
      throw new Error(`not all came back: ${runner.diagnostics().slice(-500)}`)
    const outMs = performance.now() - ended
    const outPeak = await kernel.number('peak')
    const measured = {
      ...{ mb: size / 1e6, inMs, outMs, inCpu, outCpu: cpu() - outBefore },
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
const ARRAY = 'import numpy as np\na = np.arange(12_500_000, dtype="f8")'
const SMALL = 'for k in range(1000): globals()[f"v{k}"] = [k, str(k)]'
const array = await measure('array', ARRAY, ['a'])
const frame = await measure(
  'frame',
  `import numpy as np, pandas as pd\nf = pd.DataFrame({f"c{k}": np.arange(${rows}, dtype="f8") for k in range(${columns})})`,
  ['f']
)
const names = await measure('small', SMALL, small)
const wholeArray = await measure('array, the whole way', ARRAY, ['a'], true)
const wholeNames = await measure('small, the whole way', SMALL, small, true)

const perMb = ({ mb }: Measured, ms: number): number => round(ms / mb, 2)
const speed = ({ mb }: Measured, ms: number): number => round((mb * 1000) / ms)
const figures = {
  in_mb_per_s: Math.min(speed(array, array.inMs), speed(frame, frame.inMs)),
  out_mb_per_s: Math.min(speed(array, array.outMs), speed(frame, frame.outMs)),
  small_ms: round(names.inMs + names.outMs),
  memory_ratio: round(Math.max(array.inRatio, array.outRatio, frame.inRatio, frame.outRatio), 2),
  'whole.array_in_mb_per_s': speed(wholeArray, wholeArray.inMs),
  'whole.array_out_mb_per_s': speed(wholeArray, wholeArray.outMs),
  'whole.small_ms': round(wholeNames.inMs + wholeNames.outMs),
  // Beside other work: CPU of all processes says more than time.
  'array.in_cpu_ms_per_mb': perMb(array, array.inCpu),
  'array.out_cpu_ms_per_mb': perMb(array, array.outCpu),
  'frame.in_cpu_ms_per_mb': perMb(frame, frame.inCpu),
  'frame.out_cpu_ms_per_mb': perMb(frame, frame.outCpu),
  'small.in_cpu_ms': round(names.inCpu),
  'small.out_cpu_ms': round(names.outCpu),
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
