/**
 * Sandbox images: definitions with full locks (`sandbox-images/`), built into root trees that bubblewrap binds read-only and that
 * Docker Engine imports (DESIGN §7).
 *
 * @example
 * const images = createImageStore({ uv: async () => '/usr/bin/uv', log }, { home, definitions, runner })
 * const tree = await images.build('base-small', { onProgress: (progress) => console.error(progress.text) })
 * // bwrap --ro-bind ${tree.root} / … /opt/pekka/env/bin/python
 */
import type Docker from 'dockerode'
import { FileImageStore } from './store/store.js'
import type { Standing } from './store/prune.js'
import type { OutdatedPackage } from './definition/lock.js'
import type { PackageCheck } from './build/verify.js'

export type { Standing } from './store/prune.js'
export { engineTag } from './store/engine.js'
export type { OutdatedPackage } from './definition/lock.js'
export { readModules, type ImageModules, type ModulesFile } from './build/modules-file.js'
export type { PackageCheck } from './build/verify.js'

/** A built image. All of it is recorded in image.json beside the tree. */
export interface ImageTree {
  name: string
  /** sha-256 in hex over definition, Python lock, Debian lock and runner: the name on the market, known before the build. */
  digest: string
  /** sha-256 in hex over what the tree holds, without byte code. Two machines with equal ones hold the same files. */
  contentDigest: string
  /** The root folder. Bind it read-only; nothing may write into it. */
  root: string
  /** Modules a warm sandbox imports beforehand, in this order. */
  preload: string[]
  /**
   * The whole environment of a sandbox's first process: the definition's numeric pins (research: reproducibility §1.1), which must be
   * there before an interpreter starts; PATH, HOME, USER, LANG; and PEKKA_PRELOAD, which tells the runner what to import beforehand.
   */
  environment: Record<string, string>
  /** All Python packages. */
  packages: { name: string; version: string }[]
  /** E.g. `3.11.2`. */
  pythonVersion: string
  /** The image that it was built on; absent where it stands on its own. */
  extends?: string
  /** Where the mirrors no longer had a locked Debian version. Not empty: the content digest differs from that of other machines. */
  debianChanges: { name: string; locked: string | null; taken: string | null }[]
  /** Files in the tree and their bytes, without byte code. */
  files: number
  bytes: number
  /** ISO 8601. */
  builtAt: string
}

export interface BuildProgress {
  step: 'wait' | 'debian' | 'unpack' | 'python' | 'compile' | 'import' | 'done'
  /** For people, one line. */
  text: string
  /** 0 to 1, or null where nobody knows. */
  fraction: number | null
}

export interface ImageOptions {
  signal?: AbortSignal
}

export interface BuildOptions extends ImageOptions {
  onProgress?: (progress: BuildProgress) => void
}

export interface ImageStore {
  /** Names of all definitions. */
  names(): Promise<string[]>
  /** Digest in hex that a build of the definition has now. Throws IMAGE_UNKNOWN, IMAGE_DEFINITION_INVALID. */
  digest(name: string): Promise<string>
  /** All built trees, also of older definitions: by name, the newest first. */
  list(): Promise<ImageTree[]>
  /** The same trees, with what the next build of their image does with each. */
  standings(): Promise<{ tree: ImageTree; standing: Standing }[]>
  /**
   * The tree of the definition as it is now, undefined where it isn't built. Whoever is given one counts as its user until its process
   * ends: no build removes it. Throws as `digest`; IMAGE_NOT_REGISTERED where the home's signed list of images doesn't have it.
   */
  get(name: string): Promise<ImageTree | undefined>
  /**
   * Builds the tree unless it is there, with that of the image it extends, puts it on the home's signed list, and removes trees of older definitions of that image: all but the newest of them and those that a
   * process uses. What the definition asks for is imported in a sandbox: what can't be ends the build.
   *
   * Throws IMAGE_UNKNOWN, IMAGE_DEFINITION_INVALID, DISK_FULL, IMAGE_DOWNLOAD_FAILED (a mirror or index failed: `base-small` may still
   * succeed), IMAGE_SOURCE_MISSING, IMAGE_BUILD_FAILED, and the signal's reason.
   */
  build(name: string, options?: BuildOptions): Promise<ImageTree>
  /** Imports every package inside a sandbox of the tree. Throws IMAGE_NOT_BUILT, SANDBOX_FAILED. */
  verify(name: string, options?: ImageOptions): Promise<PackageCheck[]>
  /** Brings the tree into Docker Engine unless it is there; returns the engine's image id. Throws IMAGE_NOT_BUILT, IMAGE_IMPORT_FAILED. */
  importInto(docker: Docker, name: string, options?: ImageOptions): Promise<string>
  /** Makes the locks of a definition again from its inputs; writes into the definition's folder. Throws IMAGE_DOWNLOAD_FAILED. */
  lock(name: string, options?: BuildOptions): Promise<void>
  /** Resolves the packages of all definitions together and writes constraints.txt. Throws IMAGE_DOWNLOAD_FAILED. */
  lockTogether(options?: BuildOptions): Promise<void>
  /** Packages that definitions ask for and that have something newer. Throws IMAGE_DOWNLOAD_FAILED. */
  outdated(options?: BuildOptions): Promise<OutdatedPackage[]>
  /**
   * Writes what a built tree holds into its definition's folder: modules.json, licences.md, the table in README.md. Resolves with the paths.
   * Throws IMAGE_NOT_BUILT.
   */
  describe(name: string): Promise<string[]>
}

export interface ImageStoreComponents {
  /** Path of uv; asked for when it is needed. */
  uv: () => Promise<string>
  /** Environment of uv: indexes, proxies, its cache; by default that of this process. */
  uvEnvironment?: NodeJS.ProcessEnv
  /** Told what is unusual: Debian versions that changed, leftovers. */
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

export interface ImageStoreInit {
  /** PEKKA_HOME. Trees stand in `<home>/images`. */
  home: string
  /** The folder `sandbox-images`. */
  definitions: string
  /** The folder of the runner; by default `runner` in `definitions`. */
  runner?: string
  /** Compilers at a time; by default one per core. */
  jobs?: number
  /** Address of a Debian archive, instead of the host's sources; by default PEKKA_DEBIAN_MIRROR. */
  debianMirror?: string
}

export const createImageStore = (components: ImageStoreComponents, init: ImageStoreInit): ImageStore =>
  new FileImageStore(components, init)
