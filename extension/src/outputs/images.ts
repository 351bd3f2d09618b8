import { MAX_IMAGE_BYTES, MAX_PIXELS } from './constants.js'

/** Picture formats that are shown, by what their bytes must begin with. */
export const IMAGE_MIMES = ['image/png', 'image/jpeg', 'image/gif'] as const
export type ImageMime = (typeof IMAGE_MIMES)[number]

/** Bytes of a picture's head that are looked at. A JPEG's frame header may stand behind 64 KiB segments of colour profile. */
const HEAD_BYTES = 1 << 20

/** Decodes the first `bytes` of a base64 text; undefined where that isn't base64. */
function head(base64: string, bytes: number): Uint8Array | undefined {
  const part = base64.slice(0, Math.ceil(bytes / 3) * 4)
  try {
    const binary = atob(part)
    return Uint8Array.from(binary, char => char.charCodeAt(0))
  } catch {
    return undefined
  }
}

const u16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
const u32 = (bytes: Uint8Array, at: number): number => u16(bytes, at) * 65536 + u16(bytes, at + 2)
const begins = (bytes: Uint8Array, ...magic: number[]): boolean => magic.every((byte, i) => bytes[i] === byte)

interface Size {
  width: number
  height: number
}

function pngSize(bytes: Uint8Array): Size | undefined {
  if (!begins(bytes, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a) || u32(bytes, 12) !== 0x49484452) return undefined
  return { width: u32(bytes, 16), height: u32(bytes, 20) }
}

function gifSize(bytes: Uint8Array): Size | undefined {
  if (!begins(bytes, 0x47, 0x49, 0x46, 0x38) || (bytes[4] !== 0x37 && bytes[4] !== 0x39)) return undefined
  return { width: (bytes[6] ?? 0) | ((bytes[7] ?? 0) << 8), height: (bytes[8] ?? 0) | ((bytes[9] ?? 0) << 8) }
}

function jpegSize(bytes: Uint8Array): Size | undefined {
  if (!begins(bytes, 0xff, 0xd8, 0xff)) return undefined
  for (let at = 2; at + 9 < bytes.length;) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1] ?? 0
    if (marker === 0xff) at += 1
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { height: u16(bytes, at + 5), width: u16(bytes, at + 7) }
    } else at += 2 + u16(bytes, at + 2)
  }
  return undefined
}

const SIZES: Record<ImageMime, (bytes: Uint8Array) => Size | undefined> = {
  'image/png': pngSize,
  'image/jpeg': jpegSize,
  'image/gif': gifSize
}

/**
 * Checks a base64 picture: bytes that begin as its type says, a size within bounds. Returns the base64 without white space.
 * The rest of the file is the browser's decoder's business, which is the same for any picture of any page.
 */
export function cleanImage(mime: ImageMime, value: unknown): string | undefined {
  const raw = Array.isArray(value) ? value.join('') : value
  if (typeof raw !== 'string' || raw.length > (MAX_IMAGE_BYTES / 3) * 4 + (1 << 16)) return undefined
  const base64 = /\s/.test(raw) ? raw.replace(/\s+/g, '') : raw
  if (base64.length === 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
  const bytes = head(base64, HEAD_BYTES)
  const size = bytes === undefined ? undefined : SIZES[mime](bytes)
  if (size === undefined || size.width < 1 || size.height < 1 || size.width * size.height > MAX_PIXELS) return undefined
  return base64
}
