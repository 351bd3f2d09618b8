/**
 * `npm run bench -- images [NAME…] [--build] [--json]`: every image that is built here, or those named. Of each
 *
 *   NAME.warm_first_output_p50_ms, NAME.idle_mb   in a sandbox that waits: first output of a cell that imports what the image preloads, memory
 *   NAME.bare_first_output_p50_ms, NAME.bare_mb   the same where nothing was preloaded: what the preload is worth, and costs
 *   NAME.cold_start_s, NAME.size_mb               from nothing until it is ready; the tree on disk
 *   NAME.build_s, NAME.again_s                    with `--build`: in a folder of its own from the downloads that the caches hold, and
 *                                                 asked for once more where it stands
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

/** A first cell of a scientist: it imports what the image is there for, and says so. */
const cellOf = (tree: ImageTree): string =>
  `${tree.preload.map(name => `import ${name}\n`).join('')}print("first output")`

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

async function begin(runtime: SandboxRuntime, tree: ImageTree, preload: boolean): Promise<Started> {
  const environment = preload ? tree.environment : { ...tree.environment, PEKKA_PRELOAD: '' }
  const image = { root: tree.root, digest: tree.digest, environment }
  const start = performance.now()
  const argv = [IMAGE_PYTHON, '-I', '-u', '/opt/pekka/runner/main.py'] as const
  const sandbox = await runtime.create({ image, argv, limits: LIMITS }, signal)
  sandbox.stderr.resume()
  const session = new RunnerSession(sandbox)
  await session.ready(signal)
  return { sandbox, session, seconds: (performance.now() - start) / 1000 }
}

/** From the command to the first byte of output, ms. */
async function firstOutput({ session }: Started, source: string): Promise<number> {
  const start = performance.now()
  let first = NaN
  const command = {
    kind: 'cells' as const,
    cells: [{ id: 'bench', source, tags: [] }],
    limits: RUN_LIMITS,
    seed: null,
    stopOnError: true
  }
  for await (const event of session.run(command, signal)) {
    if (event.type === 'error') throw new Error(`the first cell ended with ${event.ename}: ${event.evalue}`)
    if (event.type === 'stream' && event.name === 'stdout' && Number.isNaN(first)) first = performance.now() - start
  }
  return first
}

interface Measured {
  cold: number
  idle: number
  first: number
}

/** Medians of sandboxes that each serve one cell. */
async function measure(runtime: SandboxRuntime, tree: ImageTree, preload: boolean): Promise<Measured> {
  const cold: number[] = []
  const first: number[] = []
  const idle: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const started = await begin(runtime, tree, preload)
    try {
      cold.push(started.seconds)
      idle.push((await ownMemory(tree)) / 2 ** 20)
      first.push(await firstOutput(started, cellOf(tree)))
    } finally {
      await started.sandbox.remove()
    }
  }
  return { cold: median(cold), idle: median(idle), first: median(first) }
}

async function figuresOf(runtime: SandboxRuntime, tree: ImageTree): Promise<Record<string, number>> {
  const warm = await measure(runtime, tree, true)
  const bare = await measure(runtime, tree, false)
  return {
    warm_first_output_p50_ms: round(warm.first),
    idle_mb: Math.round(warm.idle),
    bare_first_output_p50_ms: round(bare.first),
    bare_mb: Math.round(bare.idle),
    cold_start_s: round(warm.cold, 2),
    size_mb: Math.round(tree.bytes / 1e6)
  }
}

/** Whether a process was started by this one, or by one that was. */
async function isOurs(pid: string): Promise<boolean> {
  for (let at = pid; Number(at) > 1;) {
    if (at === String(process.pid)) return true
    const status = await readFile(`/proc/${at}/status`, 'utf8').catch(() => '')
    at = /^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? '0'
  }
  return false
}

/** What the processes in our sandboxes of the tree hold of their own, bytes: pages that no other process shares. */
async function ownMemory(tree: ImageTree): Promise<number> {
  const mounted = `/${tree.name}-${tree.digest.slice(0, 12)}/root`
  let kilobytes = 0
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    // Of a bind mount the fourth field names what is bound.
    const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')
    if (!mounts.includes(mounted) || !(await isOurs(pid))) continue
    const memory = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
    for (const [, amount] of memory.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)) kilobytes += Number(amount)
  }
  return kilobytes * 1024
}

interface BuildTimes {
  /** From the downloads in the caches, on top of base where the image extends it, s. */
  build: number
  /** Asked for again where it stands, s. */
  again: number
}

async function buildTimes(names: readonly string[]): Promise<Map<string, BuildTimes>> {
  const folder = await mkdtemp(join(home, 'bench-images-'))
  try {
    await symlink(join(home, 'cache'), join(folder, 'cache'))
    const images = storeIn(folder)
    const times = new Map<string, BuildTimes>()
    const timed = async (name: string): Promise<number> => {
      const start = performance.now()
      await images.build(name, { signal })
      return (performance.now() - start) / 1000
    }
    // What others are built on is no part of their time.
    if (!names.includes('base')) await timed('base')
    for (const name of [...names].sort((a, b) => Number(b === 'base') - Number(a === 'base'))) {
      const build = await timed(name)
      times.set(name, { build, again: await timed(name) })
      note(`${name}: built in ${build.toFixed(1)} s`)
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
    for (const [key, value] of Object.entries(await figuresOf(runtime, tree))) figures[`${tree.name}.${key}`] = value
    note(
      `${tree.name}: ${JSON.stringify(Object.fromEntries(Object.entries(figures).filter(([key]) => key.startsWith(`${tree.name}.`))))}`
    )
  }
  await runtime.close()
  if (args.includes('--build')) {
    for (const [name, { build, again }] of await buildTimes(trees.map(tree => tree.name)))
      Object.assign(figures, { [`${name}.build_s`]: round(build), [`${name}.again_s`]: round(again, 2) })
  }
} finally {
  await rm(owner, { recursive: true, force: true })
}
report('images', RUNS, figures)
