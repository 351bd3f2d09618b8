import { createHash } from 'node:crypto'
import { crc32, deflateRawSync } from 'node:zlib'

/** One entry of a zip archive, with whatever is wrong about it. */
export interface ZipPart {
  path: string
  bytes: Uint8Array
  /** Of the file on Unix. */
  mode?: number
  /** Not packed. */
  stored?: boolean
  /** What the directory says instead of the truth. */
  lie?: { size?: number; crc?: number; localName?: string; header?: number }
}

const text = (words: string): Uint8Array => new TextEncoder().encode(words)

/** A zip archive, as honest as its parts. */
export function zip(parts: readonly ZipPart[], comment = ''): Buffer {
  const local: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { path, bytes, mode = 0o100644, stored = false, lie = {} } of parts) {
    const packed = stored ? Buffer.from(bytes) : deflateRawSync(bytes)
    const name = Buffer.from(path)
    const localName = Buffer.from(lie.localName ?? path)
    const crc = lie.crc ?? crc32(bytes)
    const size = lie.size ?? bytes.length
    const method = stored ? 0 : 8
    const header = Buffer.alloc(30)
    header.writeUInt32LE(0x04034b50, 0)
    header.writeUInt16LE(20, 4)
    header.writeUInt16LE(method, 8)
    header.writeUInt32LE(crc, 14)
    header.writeUInt32LE(packed.length, 18)
    header.writeUInt32LE(size, 22)
    header.writeUInt16LE(localName.length, 26)
    local.push(header, localName, packed)
    const entry = Buffer.alloc(46)
    entry.writeUInt32LE(0x02014b50, 0)
    entry.writeUInt16LE((3 << 8) | 20, 4)
    entry.writeUInt16LE(20, 6)
    entry.writeUInt16LE(method, 10)
    entry.writeUInt32LE(crc, 16)
    entry.writeUInt32LE(packed.length, 20)
    entry.writeUInt32LE(size, 24)
    entry.writeUInt16LE(name.length, 28)
    entry.writeUInt32LE(mode * 0x10000, 38)
    entry.writeUInt32LE(lie.header ?? offset, 42)
    directory.push(entry, name)
    offset += header.length + localName.length + packed.length
  }
  const list = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(parts.length, 8)
  end.writeUInt16LE(parts.length, 10)
  end.writeUInt32LE(list.length, 12)
  end.writeUInt32LE(offset, 16)
  end.writeUInt16LE(Buffer.byteLength(comment), 20)
  return Buffer.concat([...local, list, end, Buffer.from(comment)])
}

export interface WheelInit {
  name: string
  version?: string
  /** Its modules and whatever else, by path. */
  files: Record<string, string>
  requires?: string[]
  /** Changes the parts, RECORD the last of them, before they are packed. */
  spoil?: (parts: ZipPart[]) => ZipPart[]
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url')

export const wheelMetadata = ({ name, version = '1.0', requires = [] }: WheelInit): string =>
  `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n${requires.map(one => `Requires-Dist: ${one}\n`).join('')}`

/** A wheel (PEP 427). */
export function wheel(init: WheelInit): Buffer {
  const { name, version = '1.0', files, spoil = parts => parts } = init
  const info = `${name.replaceAll('-', '_')}-${version}.dist-info`
  const parts: ZipPart[] = Object.entries(files).map(([path, words]) => ({ path, bytes: text(words) }))
  parts.push(
    { path: `${info}/METADATA`, bytes: text(wheelMetadata(init)) },
    { path: `${info}/WHEEL`, bytes: text('Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n') }
  )
  const record = parts.map(({ path, bytes }) => `${path},sha256=${sha256(bytes)},${bytes.length}\n`).join('')
  parts.push({ path: `${info}/RECORD`, bytes: text(`${record}${info}/RECORD,,\n`) })
  return zip(spoil(parts))
}

export const wheelFileOf = (name: string, version = '1.0'): string =>
  `${name.replaceAll('-', '_')}-${version}-py3-none-any.whl`

/** What a layer says of a wheel. */
export const packageOf = (name: string, bytes: Uint8Array, version = '1.0') => ({
  name,
  version,
  file: wheelFileOf(name, version),
  hash: new Uint8Array(createHash('sha256').update(bytes).digest()),
  size: bytes.length
})
