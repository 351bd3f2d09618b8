import { crc32, deflateSync } from 'node:zlib'

export interface PngInit {
  width: number
  height: number
  colour: number
  depth: number
  filter: number
  level: number
  /** Unfiltered rows; by default a drawing in RGBA. */
  rows: Buffer[]
  /** A tEXt chunk. */
  text: string
  palette: Buffer
  transparent: Buffer
  /** One pixel of the drawing is another. */
  change: boolean
  /** Size in the header, where it lies. */
  claimed: [number, number]
}

const chunk = (type: string, data: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from(type), data])
  const out = Buffer.alloc(8 + body.length)
  out.writeUInt32BE(data.length, 0)
  out.set(body, 4)
  out.writeUInt32BE(crc32(body), 4 + body.length)
  return out
}

/** A PNG file with the parts asked for; encodes with any of the filters. */
export function pngFile(init: Partial<PngInit>): Buffer {
  const { width = 31, height = 17, colour = 6, depth = 8, filter = 0, level = 9, change = false } = init
  const rows = init.rows ?? drawing(width, height, change)
  const pixel = Math.max(1, ({ 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colour] ?? 1) * (depth / 8))
  const filtered = rows.map((row, y) => Buffer.concat([Buffer.from([filter]), encode(row, rows[y - 1], filter, pixel)]))
  const header = Buffer.alloc(13)
  const [claimedWidth, claimedHeight] = init.claimed ?? [width, height]
  header.writeUInt32BE(claimedWidth, 0)
  header.writeUInt32BE(claimedHeight, 4)
  header.set([depth, colour, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...(init.text ? [chunk('tEXt', Buffer.from(init.text))] : []),
    ...(init.palette ? [chunk('PLTE', init.palette)] : []),
    ...(init.transparent ? [chunk('tRNS', init.transparent)] : []),
    chunk('IDAT', deflateSync(Buffer.concat(filtered), { level })),
    chunk('IEND', Buffer.alloc(0))
  ])
}

function drawing(width: number, height: number, change: boolean): Buffer[] {
  return Array.from({ length: height }, (_, y) => {
    const row = Buffer.alloc(width * 4, 255)
    for (let x = 0; x < width; x += 3) row.set([x * 7, y * 13, (x * y) % 256, 255], x * 4)
    if (change && y === 3) row[5] = 0
    return row
  })
}

function encode(row: Buffer, above: Buffer | undefined, filter: number, pixel: number): Buffer {
  const out = Buffer.alloc(row.length)
  for (let i = 0; i < row.length; i++) {
    const a = i >= pixel ? (row[i - pixel] ?? 0) : 0
    const b = above?.[i] ?? 0
    const c = i >= pixel ? (above?.[i - pixel] ?? 0) : 0
    const p = a + b - c
    const [x, y, z] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)]
    const guess = [0, a, b, (a + b) >> 1, x <= y && x <= z ? a : y <= z ? b : c][filter] ?? 0
    out[i] = ((row[i] ?? 0) - guess) & 255
  }
  return out
}
