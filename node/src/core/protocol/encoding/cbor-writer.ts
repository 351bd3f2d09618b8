/**
 * Writes dag-cbor, byte for byte as @ipld/dag-cbor does (a property test compares the two), for the values that we have: null,
 * booleans, numbers, bigints of 64 bits, text, byte strings, arrays and plain objects. Whatever else there may be is left to the
 * library, errors too. Encoding was a fifth of the ledger's work; this takes a fourth of the library's time, because it makes no
 * token for each value and finds the order of an object's keys once per shape. Its other half is cbor-reader.ts.
 */

/** Byte strings from here on are better left to the library, which copies them once and into memory that isn't zeroed first. */
const LARGE_BYTES = 16 << 10

/** Room at the start, bytes; it doubles as needed and shrinks back to this, so that one large commit isn't kept for ever. */
const ROOM_BYTES = 64 << 10

/** Deepest nesting that is written here. */
const MAX_DEPTH = 64

/** Shapes that are remembered: ours are some dozens. Objects whose keys a stranger chose must not fill the memory. */
const MAX_SHAPES = 1024
/** Shapes with one first key, keys of a shape, characters of a key: they bound what looking one up and keeping it costs. */
const MAX_ALIKE = 16
const MAX_SHAPE_KEYS = 64
const MAX_KEY_LENGTH = 64

/** Object keys in the order in which they were found, and in dag-cbor's order, with their encoded forms. */
interface Shape {
  keys: readonly string[]
  sorted: readonly { key: string; head: Uint8Array }[]
}

const utf8 = new TextEncoder()
const shapes = new Map<string, Shape[]>()
let shapeCount = 0
let out = new Uint8Array(ROOM_BYTES)
let at = 0
let floats = false
/** Set by what the library must write: the rest is passed over. */
let stopped = false

/**
 * The value's bytes; null where the library must write it (or refuse to), or does better.
 * @param allowFloats whether numbers may be something else than safe integers; else a float is the library's matter too
 */
export function writeCbor(value: unknown, allowFloats: boolean): Uint8Array<ArrayBuffer> | null {
  at = 0
  floats = allowFloats
  stopped = false
  write(value, 0)
  const bytes = stopped ? null : out.slice(0, at)
  if (out.length > ROOM_BYTES) out = new Uint8Array(ROOM_BYTES)
  return bytes
}

function stop(): void {
  stopped = true
}

function write(value: unknown, depth: number): void {
  if (stopped) return
  if (depth > MAX_DEPTH) return stop()
  if (at + 16 > out.length) grow(16)
  switch (typeof value) {
    case 'string':
      return writeText(value)
    case 'number':
      return writeNumber(value)
    case 'bigint':
      return writeBigInt(value)
    case 'boolean':
      out[at++] = value ? 0xf5 : 0xf4
      return
    case 'object':
      if (value === null) out[at++] = 0xf6
      else if (value instanceof Uint8Array) writeBytes(value)
      else if (Array.isArray(value)) writeArray(value, depth)
      else writeObject(value, depth)
      return
    default:
      stop()
  }
}

/** Head of an item: major type and a whole number in its shortest form (RFC 8949 §3). */
function writeHead(major: number, value: number): void {
  const type = major << 5
  if (value < 24) out[at++] = type | value
  else if (value < 0x100) {
    out[at++] = type | 24
    out[at++] = value
  } else if (value < 0x10000) {
    out[at++] = type | 25
    out[at++] = value >>> 8
    out[at++] = value
  } else if (value < 0x100000000) {
    out[at++] = type | 26
    writeWord(value)
  } else {
    out[at++] = type | 27
    writeWord(Math.floor(value / 0x100000000))
    writeWord(value % 0x100000000)
  }
}

function writeWord(value: number): void {
  out[at++] = value >>> 24
  out[at++] = value >>> 16
  out[at++] = value >>> 8
  out[at++] = value
}

function writeNumber(value: number): void {
  if (Number.isSafeInteger(value)) {
    if (value >= 0) writeHead(0, value)
    else writeHead(1, -1 - value)
    return
  }
  if (!floats || !Number.isFinite(value)) return stop()
  out[at++] = 0xfb
  new DataView(out.buffer).setFloat64(at, value)
  at += 8
}

function writeBigInt(value: bigint): void {
  const [major, size] = value >= 0n ? [0, value] : [1, -1n - value]
  if (size <= BigInt(Number.MAX_SAFE_INTEGER)) return writeHead(major, Number(size))
  if (size >= 1n << 64n) return stop()
  out[at++] = (major << 5) | 27
  writeWord(Number(size >> 32n))
  writeWord(Number(size & 0xffffffffn))
}

function writeText(text: string): void {
  // At most three bytes for each unit of UTF-16.
  grow(9 + 3 * text.length)
  if (text.length < 24) {
    const start = at++
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit >= 0x80) {
        at = start
        return writeUtf8(text)
      }
      out[at++] = unit
    }
    out[start] = 0x60 | text.length
  } else writeUtf8(text)
}

function writeUtf8(text: string): void {
  const bytes = utf8.encode(text)
  writeHead(3, bytes.length)
  out.set(bytes, at)
  at += bytes.length
}

function writeBytes(bytes: Uint8Array): void {
  if (bytes.length >= LARGE_BYTES) return stop()
  grow(9 + bytes.length)
  writeHead(2, bytes.length)
  out.set(bytes, at)
  at += bytes.length
}

function writeArray(items: readonly unknown[], depth: number): void {
  writeHead(4, items.length)
  for (const item of items) write(item, depth + 1)
}

function writeObject(value: object, depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return stop()
  // What has own enumerable keys is a record of them.
  const record = value as Record<string, unknown>
  const keys = Object.keys(record)
  writeHead(5, keys.length)
  for (const { key, head } of sortedKeys(keys)) {
    grow(head.length)
    out.set(head, at)
    at += head.length
    write(record[key], depth + 1)
  }
}

function sortedKeys(keys: readonly string[]): Shape['sorted'] {
  const [first] = keys
  if (first === undefined) return []
  const alike = shapes.get(first)
  const known = alike?.find(shape => sameKeys(shape.keys, keys))
  if (known !== undefined) return known.sorted
  const sorted = keys.map(key => ({ key, head: textHead(key) })).sort((a, b) => byHead(a.head, b.head))
  const small = keys.length <= MAX_SHAPE_KEYS && keys.every(key => key.length <= MAX_KEY_LENGTH)
  if (small && shapeCount < MAX_SHAPES && (alike?.length ?? 0) < MAX_ALIKE) {
    shapeCount++
    if (alike === undefined) shapes.set(first, [{ keys, sorted }])
    else alike.push({ keys, sorted })
  }
  return sorted
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** A text with its head. */
function textHead(text: string): Uint8Array {
  const before = at
  grow(9 + 3 * text.length)
  writeUtf8(text)
  const head = out.slice(before, at)
  at = before
  return head
}

/** The shorter key first, then by bytes. Encoded forms of different lengths differ in their heads in the same sense. */
function byHead(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return a.length - b.length
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Makes room for `more` bytes. */
function grow(more: number): void {
  if (at + more <= out.length) return
  const wider = new Uint8Array(Math.max(2 * out.length, at + more))
  wider.set(out.subarray(0, at))
  out = wider
}
