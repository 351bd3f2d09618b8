/**
 * `npm run bench -- images [NAME…] [--build] [--json]`: every image that is built here, or those named: how long until a warm sandbox shows the
 * first output of a cell, how long a sandbox takes from nothing until it is ready, what it holds while it waits, what the tree takes on disk.
 * With `--build` the images are built as well, in a folder of their own, from what the caches hold.
 */
import { mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createImageStore, type ImageStore, type ImageTree } from '@pekka/node/host/images'
import { RunnerSession } from '@pekka/node/host/runner'
import { IMAGE_PYTHON, selectRuntime, type Sandbox, type SandboxRuntime } from '@pekka/node/host/sandbox'
import { ROOT, homeFrom, placesIn } from '@pekka/node/setup/places'
import { uvIn, withUv } from '@pekka/node/setup/python'
import { note, report, round } from './machine.js'

/** Sandboxes per image; each serves one cell. */
const RUNS = 5

/** The shortest first cell: what counts is how long a warm sandbox takes to its first output, not what the cell does. Preloads are imported by then. */
const CELL = 'print("first output")'

const LIMITS = { cpus: 1, memoryBytes: 4 * 2 ** 30, diskBytes: 2 ** 31, fileBytes: 2 ** 31, pids: 512, files: 1024 }
const RUN_LIMITS = {
  wallMs: 60_000,
  cpuMs: 60_000,
  memoryBytes: 4 * 2 ** 30,
  diskBytes: 2 ** 31,
  outputBytes: 1 << 20,
  cellTextBytes: 1 << 20
}

interface Started {
  sandbox: Sandbox
  session: RunnerSession
  /** Until the runner said it is ready, s. */
  seconds: number
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
const args = process.argv.slice(2)
const home = process.env.PEKKA_TEST_HOME ?? homeFrom(process.env)
const signal = AbortSignal.timeout(30 * 60_000)

const storeIn = (where: string): ImageStore =>
  createImageStore(
    {
      uv: async () => process.env.PEKKA_UV ?? uvIn(placesIn(home).tools),
      uvEnvironment: { ...withUv({ tools: placesIn(home).tools, home }) },
      log: { info: () => undefined, warn: (_, text) => note(text) }
    },
    { home: where, definitions: join(ROOT, 'sandbox-images') }
  )

async function begin(runtime: SandboxRuntime, tree: ImageTree): Promise<Started> {
  const image = { root: tree.root, digest: tree.digest, environment: tree.environment }
  const start = performance.now()
  const argv = [IMAGE_PYTHON, '-I', '-u', '/opt/pekka/runner/main.py'] as const
  const sandbox = await runtime.create({ image, argv, limits: LIMITS }, signal)
  sandbox.stderr.resume()
  const session = new RunnerSession(sandbox)
  await session.ready(signal)
  return { sandbox, session, seconds: (performance.now() - start) / 1000 }
}

/** From the command to the first byte of output, ms. */
async function firstOutput({ session }: Started): Promise<number> {
  const start = performance.now()
  let first = NaN
  const command = {
    kind: 'cells' as const,
    cells: [{ id: 'bench', source: CELL, tags: [] }],
    limits: RUN_LIMITS,
    seed: null,
    stopOnError: true
  }
  for await (const event of session.run(command, signal)) {
    if (event.type === 'stream' && Number.isNaN(first)) first = performance.now() - start
  }
  return first
}

async function measure(runtime: SandboxRuntime, tree: ImageTree): Promise<Record<string, number>> {
  const cold: number[] = []
  const warm: number[] = []
  const idle: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const started = await begin(runtime, tree)
    try {
      cold.push(started.seconds)
      idle.push((await ownMemory(tree)) / 2 ** 20)
      warm.push(await firstOutput(started))
    } finally {
      await started.sandbox.remove()
    }
  }
  return {
    warm_first_output_p50_ms: round(median(warm)),
    cold_start_s: round(median(cold), 2),
    size_mb: Math.round(tree.bytes / 1e6),
    idle_mb: Math.round(median(idle))
  }
}

/** What the processes in sandboxes of the tree hold of their own, bytes: pages that no other process shares. */
async function ownMemory(tree: ImageTree): Promise<number> {
  const mounted = `/${tree.name}-${tree.digest.slice(0, 12)}/root`
  let kilobytes = 0
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    // Of a bind mount the fourth field names what is bound.
    const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')
    if (!mounts.includes(mounted)) continue
    const memory = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
    for (const [, amount] of memory.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)) kilobytes += Number(amount)
  }
  return kilobytes * 1024
}

/** Seconds of a build from what the caches hold, on top of base where the image extends it. */
async function buildTime(names: readonly string[]): Promise<Map<string, number>> {
  const folder = await mkdtemp(join(home, 'bench-images-'))
  try {
    await symlink(join(home, 'cache'), join(folder, 'cache'))
    const images = storeIn(folder)
    const times = new Map<string, number>()
    for (const name of [...names].sort((a, b) => Number(b === 'base') - Number(a === 'base'))) {
      const start = performance.now()
      await images.build(name, { signal })
      times.set(name, (performance.now() - start) / 1000)
      note(`${name}: built in ${times.get(name)?.toFixed(1)} s`)
    }
    return times
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const images = storeIn(home)
const asked = args.filter(arg => !arg.startsWith('--'))
// The newest tree of each: by name and time, so the first of a name.
const built = (await images.list()).filter((tree, index, all) => all[index - 1]?.name !== tree.name)
const trees = built.filter(tree => asked.length === 0 || asked.includes(tree.name))
const [first] = trees
if (first === undefined) throw new Error('no image is built here: pekka image build base')
const owner = await mkdtemp(join(tmpdir(), 'pekka-bench-'))
const figures: Record<string, number> = {}
try {
  const image = { root: first.root, digest: first.digest, environment: first.environment }
  const { runtime } = await selectRuntime({ owner, image, only: 'bubblewrap', signal })
  for (const tree of trees) {
    for (const [key, value] of Object.entries(await measure(runtime, tree))) figures[`${tree.name}.${key}`] = value
    note(
      `${tree.name}: ${JSON.stringify(Object.fromEntries(Object.entries(figures).filter(([key]) => key.startsWith(`${tree.name}.`))))}`
    )
  }
  await runtime.close()
  if (args.includes('--build')) {
    const times = await buildTime(trees.map(tree => tree.name))
    for (const [name, seconds] of times) figures[`${name}.build_s`] = round(seconds)
  }
} finally {
  await rm(owner, { recursive: true, force: true })
}
report('images', RUNS, figures)
