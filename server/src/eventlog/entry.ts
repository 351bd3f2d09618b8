import { encodeCbor, type LogEntry } from '@pekka/node/protocol'

/** An entry as it stands on disk and goes out to clients: CBOR of a LogEntry, in pieces that follow one another. */
export interface RawEntry {
  n: number
  pieces: Uint8Array[]
  /** Bytes of all pieces. */
  size: number
}

const EMPTY = new Uint8Array()
/** dag-cbor sorts keys by length, so a frame's `attempt` stands last, behind its sealed bytes. */
const AFTER_SEALED = encodeCbor('attempt').length

/** An entry's CBOR. A frame's sealed bytes stay where they are: they go to disk and clients as they came. */
export function rawEntry(entry: LogEntry): RawEntry {
  if (entry.kind !== 'frame') return entryOf(entry.n, [encodeCbor(entry)])
  const { n, sealed, attempt } = entry
  const around = encodeCbor({ ...entry, sealed: EMPTY })
  const end = around.length - AFTER_SEALED - encodeCbor(attempt).length
  // The byte before `end` is the empty byte string in whose place the sealed bytes stand.
  return entryOf(n, [around.subarray(0, end - 1), bytesHead(sealed.length), sealed, around.subarray(end)])
}

export const entryOf = (n: number, pieces: Uint8Array[]): RawEntry => ({
  n,
  pieces,
  size: pieces.reduce((sum, { length }) => sum + length, 0)
})

/** CBOR of an entry in one piece. */
export const bytesOf = ({ pieces }: RawEntry): Uint8Array => Buffer.concat(pieces)

/** Head of a CBOR byte string (RFC 8949 §3). */
function bytesHead(length: number): Uint8Array {
  const major = 2 << 5
  if (length < 24) return Uint8Array.of(major | length)
  if (length < 1 << 8) return Uint8Array.of(major | 24, length)
  if (length < 1 << 16) return Uint8Array.of(major | 25, length >> 8, length & 255)
  const head = new Uint8Array(5)
  head[0] = major | 26
  new DataView(head.buffer).setUint32(1, length)
  return head
}
