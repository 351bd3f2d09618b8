import { PekkaError } from '@pekka/node/protocol'
import { MAX_HEADER_BYTES, MAX_RUNNER_RECORD_BYTES } from './constants.js'

/** A record as it stands on the wire: a JSON object and bytes. */
export interface RawRecord {
  header: Readonly<Record<string, unknown>>
  payload: Uint8Array
}

const malformed = (issue: string) => new PekkaError('RUNNER_PROTOCOL', { issue })

/** u32be N, then N bytes: u32be H, H bytes of UTF-8 JSON, N-4-H bytes of payload. */
export function encodeRecord(header: object, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const head = Buffer.from(JSON.stringify(header))
  if (head.length > MAX_HEADER_BYTES) throw malformed(`a header of ${head.length} bytes`)
  const record = Buffer.allocUnsafe(8 + head.length + payload.length)
  record.writeUInt32BE(4 + head.length + payload.length, 0)
  record.writeUInt32BE(head.length, 4)
  record.set(head, 8)
  record.set(payload, 8 + head.length)
  return record
}

/**
 * Puts records together from pieces of a byte stream, however it was split. Holds at most one record: sizes are checked
 * before anything is kept for them. After an error nothing more can be read.
 *
 * ```ts
 * const decoder = new RecordDecoder()
 * for await (const chunk of stdout) for (const record of decoder.push(chunk)) handle(record)
 * ```
 */
export class RecordDecoder {
  readonly #maxRecord: number
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #pieces: Uint8Array[] = []
  #held = 0
  #broken: PekkaError | undefined

  constructor(init: { /** Largest record taken, bytes. */ maxRecord?: number } = {}) {
    this.#maxRecord = init.maxRecord ?? MAX_RUNNER_RECORD_BYTES
  }

  /** Bytes of a record that isn't complete yet. */
  get held(): number {
    return this.#held
  }

  /** @throws PekkaError RUNNER_PROTOCOL */
  *push(chunk: Uint8Array): Generator<RawRecord> {
    if (this.#broken) throw this.#broken
    if (chunk.length > 0) this.#pieces.push(chunk)
    this.#held += chunk.length
    try {
      while (this.#held >= 4) {
        const size = this.#peek(0)
        if (size < 4 || size > this.#maxRecord) throw malformed(`a record of ${size} bytes`)
        if (this.#held < 8) return
        const headerSize = this.#peek(4)
        if (headerSize > size - 4 || headerSize > MAX_HEADER_BYTES) {
          throw malformed(`a header of ${headerSize} bytes in a record of ${size}`)
        }
        if (this.#held < 4 + size) return
        const record = this.#take(4 + size)
        yield { header: this.#header(record.subarray(8, 8 + headerSize)), payload: record.subarray(8 + headerSize) }
      }
    } catch (error) {
      if (error instanceof PekkaError) this.#broken = error
      throw error
    }
  }

  #header(bytes: Uint8Array): RawRecord['header'] {
    let value: unknown
    try {
      value = JSON.parse(this.#text.decode(bytes))
    } catch (error) {
      throw malformed(`a header that is no JSON (${error instanceof Error ? error.message.slice(0, 100) : 'unknown'})`)
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw malformed('a header that is no object')
    // A parsed JSON object has string keys.
    return value as Record<string, unknown>
  }

  /** u32be at `offset`; the caller has seen that it is there. */
  #peek(offset: number): number {
    let value = 0
    let skip = offset
    let wanted = 4
    for (const piece of this.#pieces) {
      for (let at = skip; at < piece.length && wanted > 0; at++, wanted--) value = value * 256 + (piece[at] ?? 0)
      if (wanted === 0) break
      skip = Math.max(0, skip - piece.length)
    }
    return value
  }

  /** The next `size` bytes in one piece; copied only if they aren't. */
  #take(size: number): Uint8Array {
    this.#held -= size
    const first = this.#pieces[0]
    if (first && first.length >= size) {
      if (first.length === size) this.#pieces.shift()
      else this.#pieces[0] = first.subarray(size)
      return first.subarray(0, size)
    }
    const out = new Uint8Array(size)
    let at = 0
    let used = 0
    for (const piece of this.#pieces) {
      const part = piece.subarray(0, size - at)
      out.set(part, at)
      at += part.length
      if (part.length < piece.length) {
        this.#pieces[used] = piece.subarray(part.length)
        break
      }
      used++
      if (at === size) break
    }
    this.#pieces.splice(0, used)
    return out
  }
}
