import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  MAX_LAYER_DESCRIPTION,
  PekkaError,
  decodeLayer,
  equalBytes,
  isPekkaError,
  type Bundle,
  type Input,
  type Layer,
  type OfferTask
} from '@pekka/node/protocol'
import { WheelStore, linkSite, type UnpackedWheel } from '@pekka/node/host/layers'
import { InputStore, linkInputs } from './inputs.js'
import { fetchBlob, fetchBlobTo, type NetworkHost } from '@pekka/node/host/network'
import type { Extras as SandboxExtras } from '@pekka/node/host/sandbox'
import { MAX_LAYER_FETCH_MS } from '../constants.js'

/** What a task needs besides its sandbox, on this machine. */
export interface Prepared {
  layer: { mode: Layer['mode']; wheels: UnpackedWheel[] } | null
  /** Inputs, and where their bytes are here. */
  inputs: { input: Input; file: string }[]
}

/** What of a task says which extras it needs. */
export interface ExtrasWish {
  offer: Pick<OfferTask, 'task' | 'image'>
  bundle: Pick<Bundle, 'layer' | 'inputs'>
}

export interface TaskExtrasComponents {
  host: NetworkHost
  log: { warn(data: object, text: string): void }
}

export interface TaskExtrasInit {
  /** The provider's own folder. */
  folder: string
}

/** How often one file is asked for where the connection is lost. */
const FETCH_TRIES = 4

/** Folders below SANDBOX_EXTRAS, which the runner knows. */
const FOLDER_OF: Record<Layer['mode'], string> = { 'on-top': 'layer', instead: 'environment' }

/**
 * Packages and inputs of tasks: fetched from the bridge by hash before `accept`, checked, kept for the next task, and shown
 * to one sandbox by hard links in a folder that it sees read-only since its start.
 */
export class TaskExtras {
  readonly #wheels: WheelStore
  readonly #inputs: InputStore
  readonly #ending = new AbortController()
  #opened: Promise<void> | null = null
  #line: Promise<void> = Promise.resolve()

  constructor(
    private readonly components: TaskExtrasComponents,
    private readonly init: TaskExtrasInit
  ) {
    this.#wheels = new WheelStore({ folder: join(init.folder, 'layers') })
    this.#inputs = new InputStore({ folder: join(init.folder, 'inputs') })
  }

  stop(): void {
    this.#ending.abort(new PekkaError('BRIDGE_BUSY'))
  }

  /** An empty folder for a new sandbox. */
  async create(): Promise<SandboxExtras> {
    this.#opened ??= rm(this.#sandboxes, { recursive: true, force: true })
    await this.#opened
    const folder = join(this.#sandboxes, randomBytes(8).toString('hex'))
    await mkdir(folder, { recursive: true, mode: 0o755 })
    await chmod(folder, 0o755)
    return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
  }

  /**
   * Has all that the task needs on this machine. What is under way goes on when the signal fires, for the next try.
   * @throws PekkaError LAYER_…, BLOB_MISMATCH, LINK_…, DISK_FULL; the signal's reason
   */
  async prepare({ offer, bundle }: ExtrasWish, bridge: string, signal: AbortSignal): Promise<Prepared | null> {
    if (bundle.layer === null && bundle.inputs.length === 0) return null
    const fetch = (what: { hash: Uint8Array; size: number }, path: string): Promise<void> =>
      this.#fetch(offer.task, bridge, what, path)
    const inputs = this.#inputs.ensure(bundle.inputs, fetch)
    inputs.catch(() => {})
    if (bundle.layer === null) return { layer: null, inputs: await until(inputs, signal) }
    const { mode, packages } = await this.#layer(offer, bundle.layer, bridge, signal)
    const wheels = this.#wheels.ensure(packages, fetch)
    wheels.catch(() => {})
    return { layer: { mode, wheels: await until(wheels, signal) }, inputs: await until(inputs, signal) }
  }

  /** Shows a sandbox what was prepared for its task. */
  async fill(folder: string, { layer, inputs }: Prepared): Promise<void> {
    if (layer !== null) await linkSite(layer.wheels, join(folder, FOLDER_OF[layer.mode]))
    if (inputs.length > 0) await linkInputs(inputs, folder)
  }

  async #layer(offer: ExtrasWish['offer'], digest: Uint8Array, bridge: string, signal: AbortSignal): Promise<Layer> {
    const name = { task: offer.task, hash: digest }
    const bytes = await fetchBlob(this.components.host, bridge, name, MAX_LAYER_DESCRIPTION, signal)
    if (bytes === null) throw new PekkaError('LAYER_NOT_HERE')
    const layer = decodeLayer(bytes)
    if (!equalBytes(layer.image, offer.image.digest))
      throw new PekkaError('LAYER_REFUSED', { what: 'The list', issue: 'it is for another environment' })
    return layer
  }

  /** One at a time, and again where the connection was lost: a line is no faster for many, and a bridge bounds connections. */
  #fetch(task: Uint8Array, bridge: string, what: { hash: Uint8Array; size: number }, path: string): Promise<void> {
    const fetched = this.#line.then(async () => {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#fetchOnce(task, bridge, what, path)
        } catch (error) {
          const lost = isPekkaError(error) && error.code.startsWith('LINK_') && !this.#ending.signal.aborted
          if (!lost || tries >= FETCH_TRIES) throw error
        }
      }
    })
    this.#line = fetched.catch(() => {})
    return fetched
  }

  async #fetchOnce(
    task: Uint8Array,
    bridge: string,
    { hash, size }: { hash: Uint8Array; size: number },
    path: string
  ): Promise<void> {
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(MAX_LAYER_FETCH_MS)])
    const file = await open(path, 'w', 0o600)
    try {
      const take = async (chunk: Uint8Array): Promise<void> => void (await file.writeFile(chunk))
      if (!(await fetchBlobTo(this.components.host, bridge, { task, hash }, size, take, signal)))
        throw new PekkaError('LAYER_NOT_HERE')
    } finally {
      await file.close()
    }
  }

  get #sandboxes(): string {
    return join(this.init.folder, 'extras')
  }
}

/** `promise`, or the signal's reason if it comes first. */
export function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason)
    if (signal.aborted) return aborted()
    signal.addEventListener('abort', aborted, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
