/** Small pure tools for byte strings; nothing here knows what the bytes mean. */

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/** Decodes UTF-8; throws on malformed input instead of putting replacement characters. */
export const fromUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes)

export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Equal content. Not constant-time: never compare secrets with it. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Lexicographic order of two byte strings: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

const HEX_DIGITS = Uint8Array.from('0123456789abcdef', digit => digit.charCodeAt(0))
/** Bytes that become text in one call: an id. */
const HEX_CHUNK = 32
const hexChunk: number[] = Array.from({ length: 2 * HEX_CHUNK }, () => 0)

/**
 * Lower-case hexadecimal. Ids are keys of maps everywhere: text that is put together of its digits at once lies in one piece, text that grew
 * piece by piece is copied once more by the first map that it meets.
 */
export function toHex(bytes: Uint8Array): string {
  let out = ''
  for (let from = 0; from < bytes.length; from += HEX_CHUNK) {
    const length = Math.min(HEX_CHUNK, bytes.length - from)
    for (let i = 0; i < length; i++) {
      const byte = bytes[from + i] ?? 0
      hexChunk[2 * i] = HEX_DIGITS[byte >> 4] ?? 0
      hexChunk[2 * i + 1] = HEX_DIGITS[byte & 15] ?? 0
    }
    out += String.fromCharCode.apply(null, length === HEX_CHUNK ? hexChunk : hexChunk.slice(0, 2 * length))
  }
  return out
}

/** @throws TypeError when `text` is not an even number of lower-case hexadecimal digits. */
export function fromHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new TypeError('not lower-case hexadecimal')
  const out = new Uint8Array(text.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return out
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const VALUES = new Map(Array.from(ALPHABET, (char, value) => [char, value]))

/** RFC 4648 base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  let out = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i] ?? 0, bytes[i + 1], bytes[i + 2]]
    const word = (a << 16) | ((b ?? 0) << 8) | (c ?? 0)
    out += (ALPHABET[word >> 18] ?? '') + (ALPHABET[(word >> 12) & 63] ?? '')
    out += b === undefined ? '=' : (ALPHABET[(word >> 6) & 63] ?? '')
    out += c === undefined ? '=' : (ALPHABET[word & 63] ?? '')
  }
  return out
}

/** @throws TypeError when `text` is not canonical RFC 4648 base64 with padding. */
export function fromBase64(text: string): Uint8Array {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) throw new TypeError('not base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const out = new Uint8Array((text.length / 4) * 3 - padding)
  let at = 0
  for (let i = 0; i < text.length; i += 4) {
    let word = 0
    for (let k = 0; k < 4; k++) word = (word << 6) | (VALUES.get(text[i + k] ?? 'A') ?? 0)
    for (const byte of [word >> 16, (word >> 8) & 255, word & 255]) if (at < out.length) out[at++] = byte
  }
  if (toBase64(out.subarray(out.length - (out.length % 3 || 3))) !== text.slice(-4))
    throw new TypeError('not canonical base64')
  return out
}

/** `value` as 4 big-endian bytes. */
export function u32(value: number): Uint8Array {
  // Without a DataView: asking for a small array's `buffer` makes the engine move it off its heap, which costs 20 times as much.
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

/** `value` as 8 big-endian bytes. */
export function u64(value: number | bigint): Uint8Array {
  if (typeof value === 'bigint') {
    const low = Number(value & 0xffffffffn)
    const high = Number((value >> 32n) & 0xffffffffn)
    return Uint8Array.of(high >>> 24, high >>> 16, high >>> 8, high, low >>> 24, low >>> 16, low >>> 8, low)
  }
  if (!Number.isInteger(value)) throw new RangeError('not a whole number')
  const high = Math.floor(value / 2 ** 32)
  return Uint8Array.of(high >>> 24, high >>> 16, high >>> 8, high, value >>> 24, value >>> 16, value >>> 8, value)
}
