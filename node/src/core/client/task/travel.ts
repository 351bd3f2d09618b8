import {
  INLINE_CONTENT_BYTES,
  INLINE_TOTAL_BYTES,
  MAX_PARTS,
  MAX_TRAVEL_BYTES,
  PART_BYTES,
  PekkaError,
  missingSchema,
  sealPart,
  sha256,
  toCid,
  toHex,
  travelIssue,
  type Aead,
  type Bundle,
  type Content,
  type Returns,
  type SealedPart,
  type TravelFile,
  type TravelValue,
  type ViewKey
} from '../../protocol/index.js'
import type { Http } from '../transport.js'

/** Where the bytes of something that travels come from; read from its beginning to its end, part by part. */
export interface TravelSource {
  size: number
  /** @throws PekkaError INPUT_FILE_CHANGED, INPUT_FILE_UNREADABLE: what stood there is no longer what was promised */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** Values and files that travel with a task, and names that are to come back. */
export interface Travel {
  files: (Omit<TravelFile, 'size' | 'content'> & { source: TravelSource })[]
  values: (Omit<TravelValue, 'size' | 'content'> & { source: TravelSource })[]
  returns: Returns
}

export const NOTHING: Travel = { files: [], values: [], returns: { names: [], maxBytes: 0 } }

/** What of it stands in the bundle, and the sealed parts that the bridge has. */
export type Packed = Pick<Bundle, 'files' | 'values' | 'returns'> & { parts: SealedPart[] }

export interface PackComponents {
  http: Http
  token: () => Promise<string>
  aead: Aead
  viewKey: ViewKey
  /** SHA-256; where a native one is at hand it is ten times as fast. */
  hash?: ((bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>) | undefined
}

/** A source that stands in memory. */
export const memorySource = (bytes: Uint8Array): TravelSource => ({
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length)
})

/**
 * Seals what travels and sends the parts that the bridge lacks. Holds about two parts in memory, however much it is.
 *
 * @throws PekkaError INPUT_FILES_TOO_LARGE before anything is sent; what a source throws; BRIDGE_UNREACHABLE, …
 */
export async function packTravel(components: PackComponents, travel: Travel, signal?: AbortSignal): Promise<Packed> {
  const { files, values, returns } = travel
  const size = [...files, ...values].reduce((sum, { source }) => sum + source.size, 0)
  if (size > MAX_TRAVEL_BYTES) throw new PekkaError('INPUT_FILES_TOO_LARGE', { size, max: MAX_TRAVEL_BYTES })
  const packer = new Packer(components, signal)
  const packed: Packed = { files: [], values: [], returns, parts: packer.parts }
  // Values first: a kernel holds them until they are read, files stand where they are.
  for (const { source, ...value } of values)
    packed.values.push({ ...value, size: source.size, content: await packer.content(source) })
  for (const { source, ...file } of files)
    packed.files.push({ ...file, size: source.size, content: await packer.content(source) })
  await packer.flush()
  const issue = travelIssue(packed.files, packed.values)
  if (issue !== null) throw new PekkaError('INPUT_FILES_TOO_LARGE', { size, max: MAX_TRAVEL_BYTES }, { cause: issue })
  return packed
}

class Packer {
  readonly parts: SealedPart[] = []
  readonly #known = new Set<string>()
  #waiting: { part: SealedPart; sealed: Uint8Array }[] = []
  #bytes = 0
  #inline = 0

  constructor(
    private readonly components: PackComponents,
    private readonly signal: AbortSignal | undefined
  ) {}

  async content(source: TravelSource): Promise<Content> {
    const { size } = source
    if (size <= INLINE_CONTENT_BYTES && this.#inline + size <= INLINE_TOTAL_BYTES) {
      this.#inline += size
      return { kind: 'inline', bytes: await this.#read(source, 0, size) }
    }
    const parts: SealedPart[] = []
    for (let at = 0; at === 0 || at < size; at += PART_BYTES)
      parts.push(await this.#seal(await this.#read(source, at, Math.min(PART_BYTES, size - at))))
    return { kind: 'sealed', parts }
  }

  async #read(source: TravelSource, at: number, length: number): Promise<Uint8Array> {
    this.signal?.throwIfAborted()
    const bytes = await source.read(at, length)
    if (bytes.length !== length) throw new PekkaError('INTERNAL', { id: 'short read' })
    return bytes
  }

  async #seal(plain: Uint8Array): Promise<SealedPart> {
    const { aead, viewKey, hash } = this.components
    const { part, sealed } = await sealPart(aead, viewKey, plain, hash ?? sha256)
    this.parts.push(part)
    if (this.parts.length > MAX_PARTS)
      throw new PekkaError('INPUT_FILES_TOO_LARGE', { size: this.parts.length * PART_BYTES, max: MAX_TRAVEL_BYTES })
    const id = toHex(part.hash)
    if (this.#known.has(id)) return part
    this.#known.add(id)
    this.#waiting.push({ part, sealed })
    this.#bytes += sealed.length
    if (this.#bytes >= PART_BYTES) await this.flush()
    return part
  }

  /** Asks which of the sealed parts aren't there, and sends those. */
  async flush(): Promise<void> {
    const { http, token } = this.components
    const waiting = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    if (waiting.length === 0) return
    const options = { token: await token(), ...(this.signal && { signal: this.signal }) }
    const body = { hashes: waiting.map(({ part }) => part.hash) }
    const { missing } = await http.request('POST', '/v1/blobs/missing', missingSchema, { ...options, body })
    const lacks = new Set(missing.map(toHex))
    for (const { part, sealed } of waiting)
      if (lacks.has(toHex(part.hash)))
        await http.bytes('PUT', `/v1/blobs/${toCid(part.hash, 'raw')}`, { ...options, body: sealed })
  }
}
