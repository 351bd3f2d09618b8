import { createHash, type Hash } from 'node:crypto'
import type { Put, ReturnedPart } from '@pekka/node/host/runner'
import {
  MAX_RETURN_BYTES,
  PART_BYTES,
  PekkaError,
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
  for (const { name, codec, type, python, content, size } of bundle.values)
    yield { kind: 'value', name, codec, type, python, pieces: piecesOf(content, size, aead, fetch, signal) }
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

interface Returned {
  hasher: Hash
  size: number
  parts: BlobRef[]
}

/**
 * Collects what comes back: each part is sealed and on disk before the next is taken, and the event that names it gets its
 * references. More than a task may bring back is left out, whatever the runner sends.
 */
export class Returns {
  readonly #entries = new Map<string, Returned>()
  #bytes = 0

  constructor(private readonly blob: (value: Uint8Array) => Promise<BlobRef>) {}

  /** Whether anything has come. */
  get begun(): boolean {
    return this.#bytes > 0
  }

  async take({ of, index, bytes }: ReturnedPart): Promise<void> {
    this.#bytes += bytes.length
    if (this.#bytes > MAX_RETURN_BYTES || bytes.length > PART_BYTES) return
    const key = `${of} ${index}`
    const entry = this.#entries.get(key) ?? { hasher: createHash('sha256'), size: 0, parts: [] }
    this.#entries.set(key, entry)
    entry.hasher.update(bytes)
    entry.size += bytes.length
    // A copy: the decoder's buffer holds the whole record.
    entry.parts.push(await this.blob(new Uint8Array(bytes)))
  }

  /** The event with hashes and parts where all of an entry has come. */
  complete(event: TaskEvent): TaskEvent {
    if (event.type === 'files')
      return { ...event, files: event.files.map((file, index) => this.#with(file, `files ${index}`)) }
    if (event.type === 'values')
      return { ...event, values: event.values.map((value, index) => this.#with(value, `values ${index}`)) }
    return event
  }

  #with<T extends EventOf<'files'>['files'][number]>(entry: T, key: string): T {
    const { hash: _, parts: __, ...rest } = entry
    const come = this.#entries.get(key)
    // T without two optional fields, which are put back or left out.
    if (come === undefined || come.size !== entry.size) return rest as T
    return { ...rest, hash: new Uint8Array(come.hasher.digest()), parts: come.parts } as T
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
