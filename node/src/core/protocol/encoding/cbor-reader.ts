/**
 * Reads dag-cbor as @ipld/dag-cbor does (a property test compares the two) for the items that we write: null, booleans,
 * integers, floats of 64 bits, text, byte strings, arrays and maps. Whatever else the bytes may be, errors too, is left to the
 * library: what is read here the library reads as well, and to the same value. It makes no token for each item and remembers
 * the texts of keys, and sees meanwhile whether the bytes are canonical, so that they needn't be written again to find out.
 */

/** Deepest nesting that is read here: as deep as is written. */
const MAX_DEPTH = 64

/** Keys are looked up by a hash of their bytes; one that is longer is read anew each time. They bound what a stranger can fill. */
const KEY_SLOTS = 1024
const MAX_KEY_BYTES = 32

/** Texts of up to so many ASCII characters are put together one by one; the decoder has a price per call. */
const SHORT_TEXT = 24

export interface CborRead {
  value: unknown
  /** Whether the bytes are the one form that encodeCanonical gives this value. */
  canonical: boolean
}

const utf8 = new TextEncoder()
/**
 * As the library's, what is no UTF-8 is replaced; such bytes aren't canonical. A byte order mark that begins a text is a character of it: the
 * library drops it, so that what was written with one could not be read.
 */
const fromUtf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const NONE = new Uint8Array(0)
const keys: ({ bytes: Uint8Array; text: string } | undefined)[] = Array.from({ length: KEY_SLOTS })

let data: Uint8Array = NONE
let at = 0
let viewFrom = Infinity
let canonical = true
/** Set by what the library must read (or refuse): the rest is passed over. */
let stopped = false

/**
 * The value and whether its form is the canonical one; null where the library must read it.
 * @param views byte strings of so many bytes and more are views into `bytes`; default: all are copied
 */
export function readCbor(bytes: Uint8Array, views = Infinity): CborRead | null {
  // A Buffer's `slice` would be a view.
  data =
    Object.getPrototypeOf(bytes) === Uint8Array.prototype
      ? bytes
      : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  at = 0
  viewFrom = views
  canonical = true
  stopped = false
  const value = read(0)
  const whole = !stopped && at === data.length
  data = NONE
  return whole ? { value, canonical } : null
}

function stop(): void {
  stopped = true
}

function read(depth: number): unknown {
  if (depth > MAX_DEPTH || at >= data.length) return stop()
  const first = data[at++] ?? 0
  switch (first >>> 5) {
    case 0:
      return readHead(first)
    case 1:
      return negative(readHead(first))
    case 2:
      return readBytes(readLength(first))
    case 3:
      return readText(readLength(first))
    case 4:
      return readArray(readLength(first), depth)
    case 5:
      return readMap(readLength(first), depth)
    case 7:
      return readSimple(first)
    default:
      return stop()
  }
}

/** A whole number in its shortest form; any other is the library's to refuse. */
function readHead(first: number): number | bigint {
  const minor = first & 31
  if (minor < 24) return minor
  const width = minor === 24 ? 1 : minor === 25 ? 2 : minor === 26 ? 4 : minor === 27 ? 8 : 0
  if (width === 0 || at + width > data.length) {
    stop()
    return 0
  }
  if (width === 8) return readLong()
  let value = 0
  for (let i = 0; i < width; i++) value = value * 256 + (data[at++] ?? 0)
  if (value < (width === 1 ? 24 : width === 2 ? 0x100 : 0x10000)) stop()
  return value
}

function readLong(): number | bigint {
  const high = readWord()
  const low = readWord()
  if (high === 0) stop()
  const value = high * 0x100000000 + low
  return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low)
}

function readWord(): number {
  const word =
    (data[at] ?? 0) * 0x1000000 + (((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0))
  at += 4
  return word
}

function negative(size: number | bigint): number | bigint {
  if (typeof size === 'bigint') return -1n - size
  return size === Number.MAX_SAFE_INTEGER ? -1n - BigInt(size) : -1 - size
}

/** A length that the rest of the bytes has room for: each of the counted things takes a byte at least. */
function readLength(first: number): number {
  const length = readHead(first)
  if (typeof length === 'number' && length <= data.length - at) return length
  stop()
  return 0
}

function readBytes(length: number): Uint8Array {
  const start = at
  at += length
  if (length < viewFrom) return data.slice(start, at)
  return new Uint8Array(data.buffer, data.byteOffset + start, length)
}

function readText(length: number): string {
  const start = at
  at += length
  const ascii = isAscii(start, at)
  if (ascii && length <= SHORT_TEXT) {
    let text = ''
    for (let i = start; i < at; i++) text += String.fromCharCode(data[i] ?? 0)
    return text
  }
  const bytes = data.subarray(start, at)
  const text = fromUtf8.decode(bytes)
  if (!ascii && canonical) canonical = same(utf8.encode(text), bytes)
  return text
}

function isAscii(start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((data[i] ?? 0) >= 0x80) return false
  return true
}

function readArray(length: number, depth: number): unknown[] {
  const items: unknown[] = []
  for (let i = 0; i < length && !stopped; i++) items.push(read(depth + 1))
  return items
}

function readMap(length: number, depth: number): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  let before = -1
  let beforeEnd = 0
  for (let i = 0; i < length && !stopped; i++) {
    const start = at
    const key = readKey()
    const end = at
    // The library refuses a key that is there twice, and sets this one in a way of its own.
    if (key === '__proto__' || stopped) {
      stop()
      break
    }
    if (before >= 0 && compareKeys(start, end, before, beforeEnd) <= 0) canonical = false
    // In order, no key is there twice; else, and where two forms may have been read as one text, it must be looked for.
    if (!canonical && Object.hasOwn(record, key)) stop()
    before = start
    beforeEnd = end
    record[key] = read(depth + 1)
  }
  return record
}

/** Positive where the first key's encoded form stands behind the second's in canonical order: longer, or later by its bytes. */
function compareKeys(start: number, end: number, otherStart: number, otherEnd: number): number {
  const difference = end - start - (otherEnd - otherStart)
  if (difference !== 0) return difference
  for (let i = 0; i < end - start; i++) {
    const byte = (data[start + i] ?? 0) - (data[otherStart + i] ?? 0)
    if (byte !== 0) return byte
  }
  return 0
}

/** A key's text, from memory where it came before: making a text of bytes costs more than comparing them. */
function readKey(): string {
  const first = data[at] ?? 0
  if (first >>> 5 !== 3 || at >= data.length) {
    stop()
    return ''
  }
  at++
  const length = readLength(first)
  if (length > MAX_KEY_BYTES) return readText(length)
  let hash = length
  for (let i = at; i < at + length; i++) hash = (Math.imul(hash, 31) + (data[i] ?? 0)) | 0
  const slot = (hash ^ (hash >>> 10)) & (KEY_SLOTS - 1)
  const known = keys[slot]
  if (known !== undefined && known.bytes.length === length && isAt(known.bytes)) {
    at += length
    return known.text
  }
  const start = at
  const text = readText(length)
  // Of what isn't ASCII the form must be looked at each time.
  if (isAscii(start, at)) keys[slot] = { bytes: data.slice(start, at), text }
  return text
}

function isAt(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== data[at + i]) return false
  return true
}

function readSimple(first: number): unknown {
  if (first === 0xf4) return false
  if (first === 0xf5) return true
  if (first === 0xf6) return null
  // Floats of 16 and 32 bits and what else there is: the library's.
  if (first !== 0xfb || at + 8 > data.length) return stop()
  const value = new DataView(data.buffer, data.byteOffset + at, 8).getFloat64(0)
  at += 8
  canonical = false
  return Number.isFinite(value) ? value : stop()
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
