import { createHash, type Hash } from 'node:crypto'
import type { Put, ReturnedPart } from '@pekka/node/host/runner'
import {
  MAX_RETURN_BYTES,
  PART_BYTES,
  PekkaError,
  concat,
  openPart,
  toHex,
  type Aead,
  type BlobRef,
  type Bundle,
  type Content,
  type EventOf,
  type SealedPart,
  type TaskEvent
} from '@pekka/node/protocol'

/** Sealed bytes of a part by its hash. @throws PekkaError BLOB_UNKNOWN, LINK_… */
export type FetchPart = (part: SealedPart, signal: AbortSignal) => Promise<Uint8Array>

/**
 * Parts that are fetched before `accept`, bytes together: a machine answers for a task only once it has what it needs (R9). Data
 * above this is fetched after it, because an offer waits for a minute only and a slow line brings no gigabyte in that time.
 */
export const PREFETCH_BYTES = 64 << 20

/** SHA-256 by the system: ten times as fast as the portable one. */
export const nativeSha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest())

/** What is put into the sandbox before the run: files first, then values in their order. */
export function* putsOf(bundle: Bundle, aead: Aead, fetch: FetchPart, signal: AbortSignal): Generator<Put> {
  for (const { path, executable, content, size } of bundle.files)
    yield { kind: 'file', path, executable, pieces: piecesOf(content, size, aead, fetch, signal) }
  for (const { name, codec, type, python, content, size } of bundle.values) {
    // What is here is given as it is: the runner takes many small values at once.
    const pieces = content.kind === 'inline' ? [content.bytes] : piecesOf(content, size, aead, fetch, signal)
    yield { kind: 'value', name, codec, type, python, pieces }
  }
}

/** The parts that `putsOf` will ask for, up to {@link PREFETCH_BYTES}. */
export function prefetched(bundle: Bundle): SealedPart[] {
  const parts = [...bundle.files, ...bundle.values].flatMap(({ content }) =>
    content.kind === 'sealed' ? content.parts : []
  )
  let sum = 0
  return parts.filter(({ size }) => (sum += size) <= PREFETCH_BYTES)
}

async function* piecesOf(
  content: Content,
  size: number,
  aead: Aead,
  fetch: FetchPart,
  signal: AbortSignal
): AsyncGenerator<Uint8Array> {
  if (content.kind === 'inline') {
    yield content.bytes
    return
  }
  let left = size
  for (const part of content.parts) {
    const plain = await openPart(aead, part, await fetch(part, signal), nativeSha256)
    const due = Math.min(PART_BYTES, left)
    if (plain.length !== due) throw new PekkaError('BUNDLE_REFUSED', { issue: 'a part has another size than it says' })
    left -= due
    yield plain
  }
}

/** Content up to this size shares a sealed part with others: a thousand small values are one request, not a thousand. */
const PACKED_BYTES = 32 << 10
/** Bytes of such a part: whoever wants one value of it fetches all of it. */
const PACK_BYTES = 4 << 20

interface Returned {
  hasher: Hash
  size: number
  parts: BlobRef[]
  /** Where in its one part it begins, if it shares that. */
  at?: number
}

/**
 * Collects what comes back: each part is sealed and on disk before the next is taken, and the event that names it gets its
 * references. More than a task may bring back is left out, whatever the runner sends.
 */
export class Returns {
  readonly #entries = new Map<string, Returned>()
  #bytes = 0
  /** Small content whose part isn't sealed yet. */
  #pack: { entry: Returned; bytes: Uint8Array }[] = []
  #packed = 0

  constructor(private readonly blob: (value: Uint8Array) => Promise<BlobRef>) {}

  /** Whether anything has come. */
  get begun(): boolean {
    return this.#bytes > 0
  }

  async take({ of, index, bytes }: ReturnedPart): Promise<void> {
    this.#bytes += bytes.length
    if (this.#bytes > MAX_RETURN_BYTES || bytes.length > PART_BYTES) return
    const key = `${of} ${index}`
    const known = this.#entries.get(key)
    const entry: Returned = known ?? { hasher: createHash('sha256'), size: 0, parts: [] }
    this.#entries.set(key, entry)
    entry.hasher.update(bytes)
    entry.size += bytes.length
    if (known === undefined && bytes.length <= PACKED_BYTES) {
      if (this.#packed + bytes.length > PACK_BYTES) await this.#seal()
      entry.at = this.#packed
      this.#packed += bytes.length
      this.#pack.push({ entry, bytes: new Uint8Array(bytes) })
      return
    }
    // A runner sends in parts only what is large: what shares a part is whole, or isn't told of.
    if (entry.at !== undefined) entry.size = Infinity
    // A copy: the decoder's buffer holds the whole record.
    else entry.parts.push(await this.blob(new Uint8Array(bytes)))
  }

  async #seal(): Promise<void> {
    const pack = this.#pack
    this.#pack = []
    this.#packed = 0
    if (pack.length === 0) return
    const part = await this.blob(concat(...pack.map(({ bytes }) => bytes)))
    for (const { entry } of pack) entry.parts = [part]
    const [first] = pack
    // One alone shares nothing.
    if (pack.length === 1) delete first?.entry.at
  }

  /** The event with hashes and parts where all of an entry has come. */
  async complete(event: TaskEvent): Promise<TaskEvent> {
    if (event.type === 'files' || event.type === 'values') await this.#seal()
    if (event.type === 'files')
      return { ...event, files: event.files.map((file, index) => this.#with(file, `files ${index}`)) }
    if (event.type === 'values')
      return { ...event, values: event.values.map((value, index) => this.#with(value, `values ${index}`)) }
    return event
  }

  #with<T extends EventOf<'files'>['files'][number]>(entry: T, key: string): T {
    const { hash: _, parts: __, at: ___, ...rest } = entry
    const come = this.#entries.get(key)
    // T without three optional fields, which are put back or left out.
    if (come === undefined || come.size !== entry.size) return rest as T
    return {
      ...rest,
      hash: new Uint8Array(come.hasher.digest()),
      parts: come.parts,
      ...(come.at !== undefined && { at: come.at })
    } as T
  }
}

/** Keeps what was fetched before `accept` until it is used. */
export const withPrefetched =
  (kept: Map<string, Uint8Array>, fetch: FetchPart): FetchPart =>
  async (part, signal) => {
    const id = toHex(part.hash)
    const held = kept.get(id)
    if (held !== undefined) return held
    return await fetch(part, signal)
  }
