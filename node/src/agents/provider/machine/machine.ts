import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Docker from 'dockerode'
import { createImageStore, engineTag, type ImageStore, type ImageTree } from '@pekka/node/host/images'
import { selectRuntime, type PoolLog, type SandboxImage, type SelectedRuntime } from '@pekka/node/host/sandbox'
import { PekkaError, fromHex } from '@pekka/node/protocol'
import { ROOT } from '@pekka/node/setup/places'
import type { Ware } from '../ledger/asks.js'
import { cpuClassOf, measureCpuPaths } from './cpu-path.js'
import type { ProviderSettings } from '../settings.js'

/** What this machine can run tasks with. */
export interface Machine extends SelectedRuntime {
  images: { image: SandboxImage; warm: number }[]
  wares: Ware[]
}

export interface MachineInit {
  settings: Pick<ProviderSettings, 'images' | 'pool' | 'runtime' | 'resources'> &
    Partial<Pick<ProviderSettings, 'prices' | 'pricePerSecond' | 'pricePerGiB' | 'holdPricePerSecond'>>
  /** Whose sandboxes these are: the provider's own folder. */
  owner: string
  signal: AbortSignal
  /** Whether to measure how the machine computes; false for a trial. */
  measure?: boolean
}

/**
 * Finds the images, chooses a runtime, clears away what an earlier life left, and proves that the sandbox holds.
 * @throws PekkaError IMAGE_NOT_BUILT where none of the images is there, SANDBOX_UNUSABLE
 */
export async function openMachine(
  log: PoolLog,
  { settings, owner, signal, measure = true }: MachineInit
): Promise<Machine> {
  const store = createImageStore(
    { uv: () => Promise.reject(new PekkaError('IMAGE_NOT_BUILT', { image: 'any' })), log },
    { home: settings.images.home, definitions: join(ROOT, 'sandbox-images') }
  )
  const trees = await builtTrees(store, settings.images.names, log)
  const docker = new Docker()
  const engineIds = await idsInEngine(docker, store, trees, settings.runtime, signal)
  const sandboxImages = trees.map((tree, i) => imageOf(tree, engineIds?.[i]))
  const [first] = sandboxImages
  const { names } = settings.images
  // Where all that are built would do, none is.
  if (first === undefined)
    throw new PekkaError('IMAGE_NOT_BUILT', { image: names === 'built' ? 'base' : names.join(', ') })
  const only = settings.runtime === 'auto' ? undefined : settings.runtime
  const selected = await selectRuntime({ owner, image: first, only, docker, signal })
  for (const { name, reason } of selected.passedOver) log.info({ name, reason }, 'runtime not used')
  const { report } = selected
  const paths = measure
    ? await measureCpuPaths({ runtime: selected.runtime, log }, { folder: owner, images: sandboxImages, signal })
    : []
  // Where nothing could be measured, machines of one maker and instruction set are taken for alike.
  const unmeasured = await readCpuClass()
  const wares = trees.map((tree, i) => ({
    image: { name: tree.name, digest: fromHex(tree.digest) },
    contentDigest: fromHex(tree.contentDigest),
    resources: { ...settings.resources, gpu: null },
    isolation: report.isolation,
    runtime: report.name,
    cpuClass: paths[i] ? cpuClassOf(paths[i]) : unmeasured,
    ...pricesOf(tree.name, settings),
    holdPricePerSecond: settings.holdPricePerSecond ?? null,
    path: paths[i] ?? null
  }))
  const images = trees.flatMap((tree, i) => {
    const image = sandboxImages[i]
    return image === undefined ? [] : [{ image, warm: settings.pool[tree.name] ?? 0 }]
  })
  return { ...selected, images, wares }
}

const pricesOf = (name: string, { prices, pricePerSecond, pricePerGiB }: MachineInit['settings']) =>
  prices?.[name] ?? { pricePerSecond: pricePerSecond ?? 0n, pricePerGiB: pricePerGiB ?? 0n }

/** What keeps the first run alive where the large download fails; offered only where `base` isn't there. */
const FALL_BACK = 'base-small'

/** The trees to offer, `base` first: the runtime is proved with the first. */
async function builtTrees(
  store: ImageStore,
  wanted: ProviderSettings['images']['names'],
  log: PoolLog
): Promise<ImageTree[]> {
  if (wanted !== 'built') return await treesNamed(store, wanted, log)
  const names = (await store.names()).sort((a, b) => Number(b === 'base') - Number(a === 'base'))
  const found = await Promise.all(
    names.map(name => store.get(name).catch((error: unknown) => unusable(name, error, log)))
  )
  const trees = found.filter(tree => tree !== undefined)
  return trees.length > 1 ? trees.filter(({ name }) => name !== FALL_BACK) : trees
}

/** An image that is damaged is no reason to offer none. */
function unusable(image: string, err: unknown, log: PoolLog): undefined {
  log.warn({ image, err }, 'the image cannot be used; it is not offered')
}

async function treesNamed(store: ImageStore, names: readonly string[], log: PoolLog): Promise<ImageTree[]> {
  const trees: ImageTree[] = []
  for (const name of names) {
    const tree = await store.get(name)
    if (tree === undefined) log.warn({ image: name }, 'the image is not built here; it is not offered')
    else trees.push(tree)
  }
  return trees
}

/**
 * The images' ids in Docker Engine, or null where it isn't to be used. With `auto` an engine that lacks an image is left for the next start:
 * the import takes a minute and goes on in the background while bubblewrap serves (DESIGN §7).
 */
async function idsInEngine(
  docker: Docker,
  store: ImageStore,
  trees: readonly ImageTree[],
  runtime: ProviderSettings['runtime'],
  signal: AbortSignal
): Promise<string[] | null> {
  if (runtime === 'bubblewrap') return null
  const importAll = async (): Promise<string[]> => {
    const ids: string[] = []
    for (const { name } of trees) ids.push(await store.importInto(docker, name, { signal }))
    return ids
  }
  if (runtime === 'docker') return await importAll()
  try {
    await docker.ping()
  } catch {
    return null
  }
  try {
    const known = await Promise.all(trees.map(tree => docker.getImage(engineTag(tree)).inspect()))
    return known.map(image => image.Id)
  } catch {
    void importAll().catch(() => {})
    return null
  }
}

const imageOf = (tree: ImageTree, engineId: string | undefined): SandboxImage => ({
  root: tree.root,
  ...(engineId === undefined ? {} : { engineId }),
  digest: tree.digest,
  // What a warm sandbox imports beforehand; the runner reads it from there.
  environment: { ...tree.environment, PEKKA_PRELOAD: tree.preload.join(',') }
})

/** Instruction sets that numeric libraries choose their code by, as the x86-64 psABI groups them. */
const LEVELS: readonly [string, readonly string[]][] = [
  ['x86-64-v4', ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl', 'avx2', 'fma', 'bmi2']],
  ['x86-64-v3', ['avx2', 'fma', 'bmi1', 'bmi2', 'f16c', 'movbe']],
  ['x86-64-v2', ['sse4_2', 'ssse3', 'popcnt']]
]

/** The class that results are compared within: maker and instruction-set level. */
export async function readCpuClass(file = '/proc/cpuinfo'): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)?.[1] ?? ''
  const flags = new Set(field('flags').split(' '))
  const level = LEVELS.find(([, needed]) => needed.every(flag => flags.has(flag)))?.[0] ?? process.arch
  const vendor = field('vendor_id')
    .toLowerCase()
    .replace(/[^a-z]/g, '')
    .replace(/^(genuine|authentic)/, '')
  return vendor === '' ? level : `${level}-${vendor}`
}
