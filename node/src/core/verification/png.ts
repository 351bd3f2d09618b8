import { u32 } from '../protocol/index.js'
import { inflate } from './inflate.js'

/** A decoded picture. */
export interface Picture {
  width: number
  height: number
  /** Bits of one sample: 8, or 16 where the file has 16. */
  depth: 8 | 16
  /** RGBA, row by row; 4 or 8 bytes a pixel. */
  pixels: Uint8Array
}

/** Pictures above are not decoded but taken as they stand: ten million pixels, more than a 4K screen shows. */
const MAX_PIXEL_BYTES = 40 << 20

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
/** Samples of a pixel by colour type. */
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }

interface Chunk {
  type: string
  data: Uint8Array
}

const word = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at)

/** The chunks of a PNG file, or null where it is none. Checksums aren't looked at. */
export function chunksOf(bytes: Uint8Array): Chunk[] | null {
  if (SIGNATURE.some((byte, i) => bytes[i] !== byte)) return null
  const chunks: Chunk[] = []
  for (let at = 8; at + 12 <= bytes.length;) {
    const size = word(bytes, at)
    if (at + 12 + size > bytes.length) return null
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    chunks.push({ type, data: bytes.subarray(at + 8, at + 8 + size) })
    at += 12 + size
    if (type === 'IEND') return chunks
  }
  return null
}

function join(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** The pixels of a PNG file; null where it is malformed, interlaced or very large. Never throws. */
export function decodePng(bytes: Uint8Array): Picture | null {
  try {
    const chunks = chunksOf(bytes)
    const header = chunks?.[0]
    if (!chunks || header?.type !== 'IHDR' || header.data.length !== 13) return null
    const [width, height] = [word(header.data, 0), word(header.data, 4)]
    const [depth = 0, colour = 0, , , interlaced = 0] = header.data.subarray(8)
    const channels = CHANNELS[colour]
    if (channels === undefined || interlaced !== 0 || width === 0 || height === 0) return null
    if (![1, 2, 4, 8, 16].includes(depth) || (depth < 8 && colour !== 0 && colour !== 3)) return null
    if (width * height * (depth === 16 ? 8 : 4) > MAX_PIXEL_BYTES) return null
    const stride = Math.ceil((width * channels * depth) / 8)
    const data = join(chunks.filter(({ type }) => type === 'IDAT').map(chunk => chunk.data))
    const rows = inflate(data, (stride + 1) * height)
    if (!unfilter(rows, stride, height, Math.max(1, (channels * depth) >> 3))) return null
    const palette = chunks.find(({ type }) => type === 'PLTE')?.data
    const transparent = chunks.find(({ type }) => type === 'tRNS')?.data
    return expand(rows, { width, height, depth, colour, channels, stride, palette, transparent })
  } catch {
    return null
  }
}

/** Undoes the filters in place. Row y's bytes start at y · (stride + 1) + 1. False where a filter is unknown. */
function unfilter(rows: Uint8Array, stride: number, height: number, pixel: number): boolean {
  for (let y = 0; y < height; y++) {
    const at = y * (stride + 1) + 1
    const filter = rows[at - 1] ?? 0
    if (filter === 0) continue
    if (filter > 4) return false
    const above = at - stride - 1
    for (let i = 0; i < stride; i++) {
      const a = i >= pixel ? (rows[at + i - pixel] ?? 0) : 0
      const b = y > 0 ? (rows[above + i] ?? 0) : 0
      const c = y > 0 && i >= pixel ? (rows[above + i - pixel] ?? 0) : 0
      const guess = filter === 1 ? a : filter === 2 ? b : filter === 3 ? (a + b) >> 1 : paeth(a, b, c)
      rows[at + i] = (rows[at + i] ?? 0) + guess
    }
  }
  return true
}

function paeth(a: number, b: number, c: number): number {
  const [x, y, z] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)]
  return x <= y && x <= z ? a : y <= z ? b : c
}

interface Layout {
  width: number
  height: number
  depth: number
  colour: number
  channels: number
  stride: number
  palette: Uint8Array | undefined
  transparent: Uint8Array | undefined
}

function expand(rows: Uint8Array, layout: Layout): Picture {
  const { width, height, depth } = layout
  const size = depth === 16 ? 2 : 1
  const pixels = new Uint8Array(width * height * 4 * size)
  for (let y = 0; y < height; y++) {
    const row = rows.subarray(y * (layout.stride + 1) + 1, (y + 1) * (layout.stride + 1))
    const out = pixels.subarray(y * width * 4 * size, (y + 1) * width * 4 * size)
    const samples = depth < 8 ? unpacked(row, layout) : row
    if (layout.colour === 6) out.set(samples)
    else if (layout.colour === 3) fromPalette(samples, out, layout)
    else fromSamples(samples, out, layout)
  }
  return { width, height, depth: size === 2 ? 16 : 8, pixels }
}

/** One byte per sample; gray is stretched to 0…255, an index stays. */
function unpacked(row: Uint8Array, { width, depth, colour }: Layout): Uint8Array {
  const full = (1 << depth) - 1
  const factor = colour === 0 ? 255 / full : 1
  const out = new Uint8Array(width)
  for (let x = 0; x < width; x++) {
    const bit = x * depth
    out[x] = (((row[bit >> 3] ?? 0) >> (8 - depth - (bit & 7))) & full) * factor
  }
  return out
}

function fromPalette(indices: Uint8Array, out: Uint8Array, { width, palette, transparent }: Layout): void {
  for (let x = 0; x < width; x++) {
    const index = indices[x] ?? 0
    for (let i = 0; i < 3; i++) out[4 * x + i] = palette?.[3 * index + i] ?? 0
    out[4 * x + 3] = transparent?.[index] ?? 255
  }
}

/** Gray, gray with alpha, RGB. */
function fromSamples(
  samples: Uint8Array,
  out: Uint8Array,
  { width, depth, colour, channels, transparent }: Layout
): void {
  const size = depth === 16 ? 2 : 1
  const isGray = colour !== 2
  // Of gray and RGB, tRNS names the one colour that is transparent, as 16-bit samples.
  const key = transparent && colour !== 4 ? keyOf(transparent, channels, depth) : null
  for (let x = 0, from = 0, to = 0; x < width; x++, from += channels * size) {
    for (let i = 0; i < 3; i++)
      for (let k = 0; k < size; k++) out[to++] = samples[from + (isGray ? 0 : i * size) + k] ?? 0
    const clear = key !== null && key.every((byte, i) => samples[from + i] === byte)
    for (let k = 0; k < size; k++) out[to++] = colour === 4 ? (samples[from + size + k] ?? 0) : clear ? 0 : 255
  }
}

function keyOf(transparent: Uint8Array, channels: number, depth: number): number[] {
  const key: number[] = []
  for (let i = 0; i < channels; i++) {
    const [high, low] = [transparent[2 * i] ?? 0, transparent[2 * i + 1] ?? 0]
    if (depth === 16) key.push(high, low)
    else key.push(depth < 8 ? (low * 255) / ((1 << depth) - 1) : low)
  }
  return key
}

/**
 * Size and pixels as bytes to be hashed: runs of equal pixels are written once with their number, because plots are mostly
 * paper and SHA-256 in a browser is slow. Different pictures have different bytes.
 */
export function packPixels({ width, height, depth, pixels }: Picture): Uint8Array {
  const size = depth === 16 ? 8 : 4
  const out = new Uint8Array(12 + (pixels.length / size) * (size + 4))
  out.set(u32(width), 0)
  out.set(u32(height), 4)
  out.set(u32(depth), 8)
  const view = new DataView(out.buffer)
  let to = 12
  for (let at = 0; at < pixels.length;) {
    let end = at + size
    while (end < pixels.length && samePixel(pixels, at, end, size)) end += size
    view.setUint32(to, (end - at) / size)
    for (let i = 0; i < size; i++) out[to + 4 + i] = pixels[at + i] ?? 0
    to += 4 + size
    at = end
  }
  return out.subarray(0, to)
}

function samePixel(pixels: Uint8Array, a: number, b: number, size: number): boolean {
  for (let i = 0; i < size; i++) if (pixels[a + i] !== pixels[b + i]) return false
  return true
}
