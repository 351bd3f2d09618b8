import { decodeCbor, encodeCbor } from '@pekka/node/protocol'
import type { z } from 'zod'
import type { RawEntry } from '../eventlog/index.js'

/** CBOR heads: a map of 2, text of 4 and 7 bytes, a byte string of 32; see RFC 8949 §3. */
const MAP_2 = 0xa2
const TEXT = 0x60
const BYTES_32 = [0x58, 32]
const ARRAY = 4

/**
 * `{task, entries}` as CBOR, put together from entries that are CBOR already: what stands on disk goes out as it is. Keys
 * in dag-cbor's order, the shorter first.
 */
export function packEntries(task: Uint8Array, entries: RawEntry[]): Buffer {
  const head = [MAP_2, TEXT + 4, ...Buffer.from('task'), ...BYTES_32, ...task, TEXT + 7, ...Buffer.from('entries')]
  return Buffer.concat([Buffer.from(head), arrayHead(entries.length), ...entries.flatMap(({ pieces }) => pieces)])
}

function arrayHead(length: number): Buffer {
  if (length < 24) return Buffer.from([(ARRAY << 5) | length])
  if (length < 256) return Buffer.from([(ARRAY << 5) | 24, length])
  if (length < 65536) return Buffer.from([(ARRAY << 5) | 25, length >> 8, length & 255])
  const head = Buffer.alloc(5)
  head[0] = (ARRAY << 5) | 26
  head.writeUInt32BE(length, 1)
  return head
}

export const pack = (value: unknown): Buffer => Buffer.from(encodeCbor(value))

/** What a client sent, or null: it may be anything. */
export function unpack<T>(schema: z.ZodType<T>, packed: unknown): T | null {
  if (!(packed instanceof Uint8Array)) return null
  try {
    const parsed = schema.safeParse(decodeCbor(packed))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}
