import { crc32 } from 'node:zlib'
import { MAX_RECORD_BYTES, RECORD_HEADER_BYTES } from './constants.js'

/** A record on disk: u32 length, u32 CRC-32 of the payload (both big-endian), payload. @param payload in pieces */
export function recordHeader(payload: Uint8Array[]): Uint8Array {
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  let length = 0
  let sum = 0
  for (const piece of payload) {
    length += piece.length
    sum = crc32(piece, sum)
  }
  header.writeUInt32BE(length, 0)
  header.writeUInt32BE(sum, 4)
  return header
}

/**
 * The record that starts at `at`, or null where `bytes` ends before it does. A view into `bytes`.
 * @returns `'damaged'` for a length that can't be or a sum that doesn't hold
 */
export function readRecord(bytes: Buffer, at: number): Uint8Array | null | 'damaged' {
  if (at + RECORD_HEADER_BYTES > bytes.length) return null
  const length = bytes.readUInt32BE(at)
  if (length === 0 || length > MAX_RECORD_BYTES) return 'damaged'
  const start = at + RECORD_HEADER_BYTES
  if (start + length > bytes.length) return null
  const payload = bytes.subarray(start, start + length)
  return crc32(payload) === bytes.readUInt32BE(at + 4) ? payload : 'damaged'
}
