import { COALESCE_BELOW_BYTES, COALESCE_BLOCK_BYTES, PREFIX_BYTES } from './constants.js'

/** Bytes of a buffer of their own that the caller fills whole: setting 64 KiB to zero first costs as much as the copy. */
export function uninitialised(length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafeSlow(length)
  return new Uint8Array(buffer, byteOffset, length)
}

/**
 * Bytes that have arrived and wait to be taken. Messages are cut out of it only when somebody asks for one, so that a
 * million empty messages cost four million bytes and not a million objects; small pieces are copied together for the
 * same reason.
 */
export class ByteQueue {
  readonly #chunks: Uint8Array[] = []
  /** Index of the first chunk that still holds something; the array is cut in batches. */
  #first = 0
  /** Bytes already taken from the first chunk. */
  #offset = 0
  #length = 0
  /** The buffer behind the last chunk, where that chunk is one we gather small pieces in. */
  #block: Uint8Array | null = null

  /** Bytes that wait. */
  get length(): number {
    return this.#length
  }

  append(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#length += piece.length
    const last = this.#chunks.length - 1
    const tail = this.#chunks[last]
    const gather = piece.length < COALESCE_BELOW_BYTES && tail !== undefined
    if (!gather || (this.#block === null && tail.length >= COALESCE_BELOW_BYTES)) {
      this.#block = null
      this.#chunks.push(piece)
      return
    }
    const size = tail.length + piece.length
    if (size > COALESCE_BLOCK_BYTES) {
      this.#block = null
      this.#chunks.push(piece)
      return
    }
    if (this.#block === null || this.#block.length < size) {
      const block = new Uint8Array(Math.min(COALESCE_BLOCK_BYTES, Math.max(size, tail.length * 2)))
      block.set(tail)
      this.#block = block
    }
    this.#block.set(piece, tail.length)
    this.#chunks[last] = this.#block.subarray(0, size)
  }

  /** The length that the next message announces, or null while its prefix isn't complete. */
  nextMessageLength(): number | null {
    if (this.#length < PREFIX_BYTES) return null
    let value = 0
    let index = this.#first
    let offset = this.#offset
    for (let i = 0; i < PREFIX_BYTES; i++) {
      let chunk = this.#chunks[index]
      while (chunk !== undefined && offset >= chunk.length) {
        index += 1
        offset = 0
        chunk = this.#chunks[index]
      }
      value = value * 256 + (chunk?.[offset] ?? 0)
      offset += 1
    }
    return value
  }

  /** Removes a message's prefix and body and returns the body in a buffer of its own. */
  takeMessage(length: number): Uint8Array {
    this.#take(PREFIX_BYTES)
    return this.#take(length)
  }

  clear(): void {
    this.#chunks.length = 0
    this.#first = 0
    this.#offset = 0
    this.#length = 0
    this.#block = null
  }

  #take(count: number): Uint8Array {
    const taken = uninitialised(count)
    let filled = 0
    while (filled < count) {
      const chunk = this.#chunks[this.#first]
      if (chunk === undefined) throw new RangeError(`${count} bytes asked for, ${filled} there`)
      const part = chunk.subarray(this.#offset, this.#offset + count - filled)
      taken.set(part, filled)
      filled += part.length
      this.#offset += part.length
      if (this.#offset === chunk.length) this.#dropFirst()
    }
    this.#length -= count
    return taken
  }

  #dropFirst(): void {
    this.#first += 1
    this.#offset = 0
    if (this.#first === this.#chunks.length) {
      this.#chunks.length = 0
      this.#first = 0
      this.#block = null
    } else if (this.#first >= 256) {
      this.#chunks.splice(0, this.#first)
      this.#first = 0
    }
  }
}
