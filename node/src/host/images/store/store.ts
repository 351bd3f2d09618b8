import { readFile, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type Docker from 'dockerode'
import { PekkaError } from '@pekka/node/protocol'
import { buildTree } from '../build/build.js'
import { VERIFY_PROCESSES } from '../constants.js'
import { definitionNames, readDefinition, type ImageDefinition } from '../definition/definition.js'
import { describeTree } from '../build/describe.js'
import { importTree } from './engine.js'
import { withFileLock } from './file-lock.js'
import { imageDigest, runnerFiles } from '../definition/identity.js'
import type {
  BuildOptions,
  ImageOptions,
  ImageStore,
  ImageStoreComponents,
  ImageStoreInit,
  ImageTree
} from '../index.js'
import { lockDefinition, lockTogether, outdated, type LockJob, type OutdatedPackage } from '../definition/lock.js'
import { holdTree, pruneTrees, standingsOf, type Standing } from './prune.js'
import { ImageRegistry } from './registry.js'
import { listTrees, readTree, treeFolder, type BuiltTree } from '../build/tree.js'
import { verifyTree, type PackageCheck } from '../build/verify.js'

/** Images as folders below `<home>/images`. */
export class FileImageStore implements ImageStore {
  private readonly images: string
  private readonly registry: ImageRegistry
  private readonly definitions: string
  private readonly runner: string
  private readonly jobs: number
  private readonly mirror: string | undefined

  constructor(
    private readonly components: ImageStoreComponents,
    init: ImageStoreInit
  ) {
    this.images = resolve(init.home, 'images')
    this.registry = new ImageRegistry(this.images)
    this.definitions = resolve(init.definitions)
    this.runner = resolve(init.runner ?? join(init.definitions, 'runner'))
    this.jobs = init.jobs ?? availableParallelism()
    this.mirror = init.debianMirror ?? process.env.PEKKA_DEBIAN_MIRROR
  }

  names(): Promise<string[]> {
    return definitionNames(this.definitions)
  }

  async digest(name: string): Promise<string> {
    return (await this.identify(name)).digest
  }

  list(): Promise<ImageTree[]> {
    return listTrees(this.images)
  }

  async standings(): Promise<{ tree: ImageTree; standing: Standing }[]> {
    const [known, trees] = await Promise.all([this.names(), listTrees(this.images)])
    const found = await Promise.all(
      [...new Set(trees.map(tree => tree.name))].map(async name => {
        const current = known.includes(name) ? await this.digest(name) : undefined
        const ofName = trees.filter(tree => tree.name === name)
        return standingsOf(ofName, current)
      })
    )
    return found.flat()
  }

  get(name: string): Promise<ImageTree | undefined> {
    return this.find(name)
  }

  async build(name: string, options: BuildOptions = {}): Promise<ImageTree> {
    const { definition, digest } = await this.identify(name)
    const present = await this.standing(name, digest)
    const isOther = present !== undefined && (await this.registry.contradicts(present))
    if (isOther) await rm(dirname(present.root), { recursive: true })
    const tree = isOther || present === undefined ? await this.make(definition, digest, options) : present
    holdTree(tree)
    await this.registry.add(tree)
    await this.prune(tree)
    return tree
  }

  private async make(definition: ImageDefinition, digest: string, options: BuildOptions): Promise<BuiltTree> {
    // What it extends is built first: its tree is the lower part of this one.
    const base = definition.extends === undefined ? undefined : await this.buildBase(definition.extends, options)
    const tree = await buildTree({
      definition,
      base,
      digest,
      images: this.images,
      runner: this.runner,
      verify: await this.script(),
      uv: await this.components.uv(),
      uvEnvironment: this.components.uvEnvironment ?? process.env,
      jobs: this.jobs,
      mirror: this.mirror,
      signal: options.signal,
      onProgress: options.onProgress ?? (() => undefined)
    })
    if (tree.debianChanges.length > 0) {
      this.components.log.warn(
        { image: tree.name, changes: tree.debianChanges },
        'locked Debian versions are gone; the current ones were taken'
      )
    }
    return tree
  }

  private async buildBase(name: string, options: BuildOptions): Promise<BuiltTree> {
    const { root } = await this.build(name, options)
    const tree = await readTree(dirname(root))
    if (tree === undefined) throw new PekkaError('IMAGE_NOT_BUILT', { image: name })
    return tree
  }

  /** What can't be removed stays: that is no reason for a build to fail. */
  private async prune(tree: BuiltTree): Promise<void> {
    try {
      const removed = await pruneTrees(this.images, tree.name, tree.digest)
      for (const { name, digest, bytes } of removed) {
        this.components.log.info({ image: name, digest, bytes }, 'removed the tree of an older definition')
      }
    } catch (error) {
      const issue = error instanceof Error ? error.message : String(error)
      this.components.log.warn({ image: tree.name, issue }, 'trees of older definitions could not be removed')
    }
  }

  async verify(name: string, options: ImageOptions = {}): Promise<PackageCheck[]> {
    const tree = await this.require(name)
    const packages = tree.packages.map(one => one.name)
    return verifyTree(tree, {
      script: await this.script(),
      packages,
      processes: VERIFY_PROCESSES,
      signal: options.signal
    })
  }

  /** What imports packages in a sandbox. */
  private script(): Promise<string> {
    return readFile(join(this.definitions, 'verify.py'), 'utf8')
  }

  async importInto(docker: Docker, name: string, options: ImageOptions = {}): Promise<string> {
    const tree = await this.require(name)
    // Two imports at a time would send the same gigabytes twice.
    return withFileLock(join(this.images, `.${name}.import.lock`), options, () =>
      importTree(docker, tree, options.signal)
    )
  }

  async lock(name: string, options: BuildOptions = {}): Promise<void> {
    await lockDefinition({ ...(await this.lockJob(options)), name })
  }

  lockTogether(options: BuildOptions = {}): Promise<void> {
    return this.lockJob(options).then(lockTogether)
  }

  outdated(options: BuildOptions = {}): Promise<OutdatedPackage[]> {
    return this.lockJob(options).then(outdated)
  }

  async describe(name: string): Promise<string[]> {
    const definition = await readDefinition(this.definitions, name)
    return describeTree(this.definitions, definition, await this.require(name))
  }

  private async lockJob({ signal, onProgress }: BuildOptions): Promise<Omit<LockJob, 'name'>> {
    return {
      definitions: this.definitions,
      uv: await this.components.uv(),
      uvEnvironment: this.components.uvEnvironment ?? process.env,
      cache: join(this.images, '../cache'),
      mirror: this.mirror,
      signal,
      onProgress: onProgress ?? (() => undefined)
    }
  }

  private async identify(name: string): Promise<{ definition: ImageDefinition; digest: string }> {
    const definition = await readDefinition(this.definitions, name)
    return { definition, digest: imageDigest(definition, await runnerFiles(this.runner)) }
  }

  private async find(name: string): Promise<BuiltTree | undefined> {
    const { digest } = await this.identify(name)
    const tree = await this.standing(name, digest)
    if (tree === undefined) return undefined
    await this.registry.check(tree)
    holdTree(tree)
    return tree
  }

  /** What stands where the tree belongs, on the list or not. */
  private async standing(name: string, digest: string): Promise<BuiltTree | undefined> {
    const tree = await readTree(join(this.images, treeFolder(name, digest)))
    return tree?.digest === digest ? tree : undefined
  }

  private async require(name: string): Promise<BuiltTree> {
    const tree = await this.find(name)
    if (tree === undefined) throw new PekkaError('IMAGE_NOT_BUILT', { image: name })
    return tree
  }
}
