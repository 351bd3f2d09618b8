import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import type Docker from 'dockerode'
import { PekkaError } from '@pekka/node/protocol'
import { buildTree } from './build.js'
import { VERIFY_PROCESSES } from './constants.js'
import { definitionNames, readDefinition, type ImageDefinition } from './definition.js'
import { importTree } from './engine.js'
import { withFileLock } from './file-lock.js'
import { imageDigest, runnerFiles } from './identity.js'
import type {
  BuildOptions,
  ImageOptions,
  ImageStore,
  ImageStoreComponents,
  ImageStoreInit,
  ImageTree
} from './index.js'
import { lockDefinition } from './lock.js'
import { listTrees, readTree, treeFolder, type TreeRecord } from './tree.js'
import { verifyTree, type PackageCheck } from './verify.js'

/** Images as folders below `<home>/images`. */
export class FileImageStore implements ImageStore {
  private readonly images: string
  private readonly definitions: string
  private readonly runner: string
  private readonly jobs: number
  private readonly mirror: string | undefined

  constructor(
    private readonly components: ImageStoreComponents,
    init: ImageStoreInit
  ) {
    this.images = resolve(init.home, 'images')
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

  get(name: string): Promise<ImageTree | undefined> {
    return this.find(name)
  }

  async build(name: string, options: BuildOptions = {}): Promise<ImageTree> {
    const { definition, digest } = await this.identify(name)
    const present = await this.find(name)
    if (present !== undefined) return present
    const tree = await buildTree({
      definition,
      digest,
      images: this.images,
      runner: this.runner,
      uv: await this.components.uv(),
      uvEnvironment: this.components.uvEnvironment ?? process.env,
      jobs: this.jobs,
      mirror: this.mirror,
      signal: options.signal,
      onProgress: options.onProgress ?? (() => undefined)
    })
    if (tree.debianChanges.length > 0) {
      this.components.log.warn(
        { image: name, changes: tree.debianChanges },
        'locked Debian versions are gone; the current ones were taken'
      )
    }
    return tree
  }

  async verify(name: string, options: ImageOptions = {}): Promise<PackageCheck[]> {
    const script = await readFile(join(this.definitions, 'verify.py'), 'utf8')
    return verifyTree(await this.require(name), script, VERIFY_PROCESSES, options.signal)
  }

  async importInto(docker: Docker, name: string, options: ImageOptions = {}): Promise<string> {
    const tree = await this.require(name)
    // Two imports at a time would send the same gigabytes twice.
    return withFileLock(join(this.images, `.${name}.import.lock`), options, () =>
      importTree(docker, tree, options.signal)
    )
  }

  async lock(name: string, options: BuildOptions = {}): Promise<void> {
    await lockDefinition({
      definitions: this.definitions,
      name,
      uv: await this.components.uv(),
      uvEnvironment: this.components.uvEnvironment ?? process.env,
      cache: join(this.images, '../cache'),
      mirror: this.mirror,
      signal: options.signal,
      onProgress: options.onProgress ?? (() => undefined)
    })
  }

  private async identify(name: string): Promise<{ definition: ImageDefinition; digest: string }> {
    const definition = await readDefinition(this.definitions, name)
    return { definition, digest: imageDigest(definition, await runnerFiles(this.runner)) }
  }

  private async find(name: string): Promise<(TreeRecord & { root: string }) | undefined> {
    const { digest } = await this.identify(name)
    const tree = await readTree(join(this.images, treeFolder(name, digest)))
    return tree?.digest === digest ? tree : undefined
  }

  private async require(name: string): Promise<TreeRecord & { root: string }> {
    const tree = await this.find(name)
    if (tree === undefined) throw new PekkaError('IMAGE_NOT_BUILT', { image: name })
    return tree
  }
}
