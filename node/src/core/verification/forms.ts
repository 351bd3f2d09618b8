import { fromBase64, sortedJson, taggedHash, utf8 } from '../protocol/index.js'
import { canonicalHtml, canonicalSvg } from './markup.js'
import { chunksOf, decodePng, packPixels } from './png.js'
import { canonicalText, Names, withoutNames } from './text.js'

/** Canonical form of one value of a display, by its MIME type, as bytes to be hashed (R15, reproducibility.md §2.1). */
export function canonicalValue(mime: string, value: unknown): Uint8Array {
  if (typeof value !== 'string') return utf8(canonicalJson(value))
  switch (mime) {
    case 'image/png':
      return picture(value, canonicalPng)
    case 'image/jpeg':
      return picture(value, canonicalJpeg)
    case 'image/svg+xml':
      return utf8(canonicalSvg(value))
    case 'text/html':
      return utf8(canonicalHtml(value))
  }
  if (mime.startsWith('text/') || mime === 'application/javascript') return utf8(canonicalText(value))
  // Base64 of something else, or text of a type of somebody's own: white space in base64 is layout, the rest is content.
  return utf8(isBase64(value) ? value.replace(/\s/g, '') : canonicalText(value))
}

/** JSON with sorted keys, without names that are made up anew in each run (`uid` of plotly, UUIDs). */
export const canonicalJson = (value: unknown): string => withoutNames(sortedJson(withoutUids(value)), new Names())

function withoutUids(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUids)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).filter(([key]) => key !== 'uid')
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutUids(item)]))
}

const isBase64 = (text: string): boolean => text.length > 64 && /^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(text)

/** Bytes of a picture as Jupyter sends it; null where it isn't base64. */
export function pictureBytes(value: string): Uint8Array | null {
  try {
    return fromBase64(value.replace(/\s/g, ''))
  } catch {
    return null
  }
}

function picture(value: string, form: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  const bytes = pictureBytes(value)
  return bytes === null ? utf8(value) : form(bytes)
}

/** The pixels; where they can't be had, what determines them: the chunks that aren't remarks. */
export function canonicalPng(bytes: Uint8Array): Uint8Array {
  const decoded = decodePng(bytes)
  if (decoded !== null) return packPixels(decoded)
  const chunks = chunksOf(bytes)
  if (chunks === null) return bytes
  const drawn = chunks.filter(({ type }) => /^[A-Z]/.test(type) || type === 'tRNS')
  return taggedHash('pekka/png/v1', ...drawn.flatMap(({ type, data }) => [utf8(type), data]))
}

/** A JPEG without its remarks (APPn, COM): what is left is decoded to the same pixels everywhere that matters. */
export function canonicalJpeg(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return bytes
  const parts: Uint8Array[] = []
  let at = 2
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] ?? 0
    const size = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
    // From the start of scan on everything is the picture.
    if (marker === 0xda || size < 2) break
    // APP14 (Adobe) says how colours are to be read.
    const isRemark = (marker >= 0xe0 && marker <= 0xef && marker !== 0xee) || marker === 0xfe
    if (!isRemark) parts.push(bytes.subarray(at, at + 2 + size))
    at += 2 + size
  }
  return taggedHash('pekka/jpeg/v1', ...parts, bytes.subarray(Math.min(at, bytes.length)))
}
