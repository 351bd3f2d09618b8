import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  MAX_LAYER_BYTES,
  MAX_WHEEL_BYTES,
  PekkaError,
  decodeCanonical,
  encodeCanonical,
  encodeLayer,
  isPekkaError,
  layerAnswerSchema,
  layerBytes,
  layerDigest,
  layerPackageSchema,
  parseRequirement,
  taggedHash,
  toHex,
  type Clock,
  type LayerAnswer,
  type LayerPackage,
  type LayerRequest,
  type Requirement
} from '@pekka/node/protocol'
import { checkHash, makeRoom, unpackWheel } from '@pekka/node/host/layers'
import { nearest } from '@pekka/node/scan'
import { DOWNLOADS, IN_USE_MS, KEPT_BYTES, LAYERS_AT_ONCE, MAX_WAITING } from './constants.js'
import type { Downloader } from './download.js'
import type { LockedWheel } from './lock.js'
import type { ImagePins, PinsSource } from './pins.js'
import { Turns } from './turns.js'
import { resolveInstead, resolveOnTop, type Uv, type Wish } from './uv.js'

export interface LayersComponents {
  pins: PinsSource
  uv: () => Promise<Uv>
  downloader: Downloader
  clock: Clock
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

export interface LayersInit {
  folder: string
  /** A release is used when it is so old, days; 0: at once. */
  quarantineDays: number
  /** Bytes of wheels that are kept. */
  maxBytes?: number
}

const DAY_MS = 86_400_000

/** Makes layers and keeps their wheels by hash. A wheel or a layer is there whole or not at all. */
export class Layers {
  readonly #under = new Map<string, Promise<LayerAnswer>>()
  readonly #turns = new Turns(LAYERS_AT_ONCE, MAX_WAITING)
  readonly #ending = new AbortController()

  constructor(
    private readonly components: LayersComponents,
    private readonly init: LayersInit
  ) {}

  /** What a killed process left half-made goes. */
  async start(): Promise<void> {
    await rm(this.#place('drafts'), { recursive: true, force: true })
    for (const name of ['drafts', 'wheels', 'layers', 'answers'])
      await mkdir(this.#place(name), { recursive: true, mode: 0o700 })
  }

  async stop(): Promise<void> {
    this.#ending.abort(new PekkaError('BRIDGE_BUSY'))
    await Promise.allSettled(this.#under.values())
    this.components.downloader.close()
  }

  /**
   * The layer for these requirements: locked, fetched and checked when this resolves. The same again, by whomever, costs
   * nothing. Once it has begun it goes on, also when the one who asked has gone.
   * @throws PekkaError REQUIREMENT_REFUSED, LAYER_…, LAYERS_UNREACHABLE, BRIDGE_BUSY
   */
  async make({ image, digest, requirements }: LayerRequest): Promise<LayerAnswer> {
    const wanted = requirements.map(parseRequirement)
    const pins = await this.components.pins.of(image, digest)
    await this.#refuseDoubtful(wanted, pins)
    const texts = [...new Set(wanted.map(({ text }) => text))].sort()
    const before = this.#before()
    const key = toHex(taggedHash('pekka/layer-request/v1', encodeCanonical({ digest, texts, before })))
    const under = this.#under.get(key)
    if (under !== undefined) return under
    const made = this.#make(key, digest, wanted, { requirements: texts, pins, before })
    this.#under.set(key, made)
    const done = (): void => void this.#under.delete(key)
    made.then(done, done)
    return made
  }

  /** A wheel, or the description of a layer, by the hash of its bytes. */
  async blob(hash: Uint8Array): Promise<{ size: number; chunks: AsyncIterable<Uint8Array> } | null> {
    for (const path of [this.#wheel(hash), this.#layer(hash)]) {
      const found = await stat(path).catch(() => null)
      if (found === null) continue
      await touch(path)
      return { size: found.size, chunks: createReadStream(path, { highWaterMark: 256 << 10 }) }
    }
    return null
  }

  async #make(
    key: string,
    image: Uint8Array,
    wanted: readonly Requirement[],
    wish: Omit<Wish, 'folder'>
  ): Promise<LayerAnswer> {
    const known = await this.#known(key)
    if (known !== null) return known
    const signal = this.#ending.signal
    return await this.#turns.take(signal, async () => {
      const folder = this.#place('drafts', randomBytes(8).toString('hex'))
      await mkdir(folder, { mode: 0o700 })
      try {
        const { mode, wheels } = await this.#resolve({ ...wish, folder }, signal)
        const packages = await this.#fetch(wheels, folder, signal)
        const { versions } = wish.pins
        const present = [...new Set(wanted.map(({ name }) => name))]
          .filter(name => !packages.some(one => one.name === name))
          .map(name => ({ name, version: versions.get(name) ?? '' }))
        const answer: LayerAnswer = { digest: null, mode, packages, present, size: layerBytes(packages) }
        if (packages.length > 0) answer.digest = await this.#keepLayer(image, answer)
        await this.#write(this.#place('answers', key), encodeCanonical(answer))
        this.components.log.info({ packages: packages.length, size: answer.size, mode }, 'a layer was made')
        return answer
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    })
  }

  async #resolve(wish: Wish, signal: AbortSignal): Promise<{ mode: LayerAnswer['mode']; wheels: LockedWheel[] }> {
    const uv = await this.components.uv()
    const additional = (wheels: LockedWheel[]) =>
      wheels.filter(({ name, version }) => wish.pins.versions.get(name) !== version)
    try {
      try {
        return { mode: 'on-top', wheels: additional(await resolveOnTop(uv, wish, signal)) }
      } catch (error) {
        if (!isConflict(error, wish.pins)) throw error
        return { mode: 'instead', wheels: additional(await resolveInstead(uv, wish, signal)) }
      }
    } catch (error) {
      throw await this.#explain(error)
    }
  }

  /** Adds what only we know: how long a release waits, and what a wrong name was probably meant to be. */
  async #explain(error: unknown): Promise<unknown> {
    if (!isPekkaError(error)) return error
    if (error.code === 'LAYER_TOO_NEW')
      return new PekkaError('LAYER_TOO_NEW', { ...error.data, days: this.init.quarantineDays })
    if (error.code !== 'LAYER_UNKNOWN_PACKAGE') return error
    const likely = nearest(String(error.data['name']), await this.components.pins.known())
    return likely === undefined
      ? error
      : new PekkaError('LAYER_UNKNOWN_PACKAGE', { ...error.data, remedy: `Did you mean "${likely}"?` })
  }

  /** A name that is nearly that of a package everybody knows is what those hope for who publish look-alikes. */
  async #refuseDoubtful(wanted: readonly Requirement[], pins: ImagePins): Promise<void> {
    const known = await this.components.pins.known()
    for (const { name, exact } of wanted) {
      if (exact || name.length < 4 || known.has(name) || pins.versions.has(name)) continue
      const likely = [...known].find(other => other.length >= 4 && isOneSlipAway(name, other))
      if (likely !== undefined) throw new PekkaError('LAYER_DOUBTFUL', { name, likely })
    }
  }

  async #fetch(wheels: readonly LockedWheel[], folder: string, signal: AbortSignal): Promise<LayerPackage[]> {
    const said = wheels.reduce((sum, { size }) => sum + (size ?? 0), 0)
    if (said > MAX_LAYER_BYTES || wheels.some(({ size }) => (size ?? 0) > MAX_WHEEL_BYTES))
      throw new PekkaError('LAYER_TOO_LARGE', { size: said, max: MAX_LAYER_BYTES })
    await makeRoom(this.#place('wheels'), { maxBytes: this.init.maxBytes ?? KEPT_BYTES, inUseMs: IN_USE_MS })
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    const turns = new Turns(DOWNLOADS, Infinity)
    const fetched = wheels.map(wheel => turns.take(either, () => this.#fetchOne(wheel, folder, either)))
    for (const one of fetched) one.catch((error: unknown) => failed.abort(error))
    await Promise.allSettled(fetched)
    const packages = await Promise.all(fetched)
    const size = layerBytes(packages)
    if (size > MAX_LAYER_BYTES) throw new PekkaError('LAYER_TOO_LARGE', { size, max: MAX_LAYER_BYTES })
    return packages.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async #fetchOne(locked: LockedWheel, folder: string, signal: AbortSignal): Promise<LayerPackage> {
    const { name, version, file, hash, url } = locked
    const kept = this.#wheel(hash)
    const there = await stat(kept).catch(() => null)
    if (there !== null) {
      await touch(kept)
      return checked({ name, version, file, hash, size: there.size })
    }
    const draft = join(folder, toHex(hash))
    await this.components.downloader.fetch(url, draft, locked.size ?? MAX_WHEEL_BYTES, signal)
    const { size } = await stat(draft)
    const wheel = checked({ name, version, file, hash, size })
    await checkHash(draft, wheel).catch((cause: unknown) => {
      throw new PekkaError('LAYER_REFUSED', { what: file, issue: 'it has another hash than the index says' }, { cause })
    })
    // Here already, so that a wheel which no machine would take ends before anything costs.
    await unpackWheel(draft, wheel, null, signal)
    await rename(draft, kept)
    return wheel
  }

  async #keepLayer(image: Uint8Array, { mode, packages }: LayerAnswer): Promise<Uint8Array> {
    const bytes = encodeLayer({ kind: 'pekka/layer', v: 1, image, mode, packages })
    const digest = layerDigest(bytes)
    await this.#write(this.#layer(digest), bytes)
    return digest
  }

  /** What was answered before, if all of it is still here. */
  async #known(key: string): Promise<LayerAnswer | null> {
    try {
      const answer = layerAnswerSchema.parse(decodeCanonical(await readFile(this.#place('answers', key))))
      await Promise.all(answer.packages.map(({ hash }) => touch(this.#wheel(hash))))
      if (answer.digest !== null) await touch(this.#layer(answer.digest))
      return answer
    } catch {
      return null
    }
  }

  /** By days, so that what is asked for again within one is answered at once; a day alone would be its end to uv. */
  #before(): string | null {
    const { quarantineDays } = this.init
    if (quarantineDays === 0) return null
    const day = new Date(this.components.clock.now() - quarantineDays * DAY_MS).toISOString().slice(0, 10)
    return `${day}T00:00:00Z`
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const draft = this.#place('drafts', randomBytes(8).toString('hex'))
    await writeFile(draft, bytes, { mode: 0o600 })
    await rename(draft, path)
  }

  #wheel(hash: Uint8Array): string {
    return this.#place('wheels', toHex(hash))
  }

  #layer(digest: Uint8Array): string {
    return this.#place('layers', toHex(digest))
  }

  #place(...names: string[]): string {
    return join(this.init.folder, ...names)
  }
}

/** A package of the image that can't be had in another version is a conflict, whatever keeps its other versions away. */
const isConflict = (error: unknown, { versions }: ImagePins): boolean =>
  isPekkaError(error) &&
  (error.code === 'LAYER_CONFLICT' ||
    (['LAYER_SOURCE_ONLY', 'LAYER_TOO_NEW'].includes(error.code) && versions.has(String(error.data['package']))))

/** @throws where it isn't there */
async function touch(path: string): Promise<void> {
  const now = new Date()
  await utimes(path, now, now)
}

/** What an index says is no more trusted than what a client says. @throws PekkaError LAYER_REFUSED */
function checked(wheel: LayerPackage): LayerPackage {
  const parsed = layerPackageSchema.safeParse(wheel)
  if (parsed.success) return parsed.data
  const issue = `its ${String(parsed.error.issues[0]?.path[0] ?? 'description')} is unusual`
  throw new PekkaError('LAYER_REFUSED', { what: wheel.file, issue })
}

/** One letter more, fewer, changed, or two exchanged. */
export function isOneSlipAway(a: string, b: string): boolean {
  if (a === b || Math.abs(a.length - b.length) > 1) return false
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  const [restA, restB] = [a.slice(at), b.slice(at)]
  return (
    restA.slice(1) === restB.slice(1) ||
    restA.slice(1) === restB ||
    restA === restB.slice(1) ||
    (restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2))
  )
}
