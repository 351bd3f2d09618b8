import { createHash } from 'node:crypto'
import { z } from 'zod'
import {
  bytes32,
  bytesUpTo,
  certificateSchema,
  commitHeaderSchema,
  committeeSchema,
  concat,
  decodeCanonical,
  encodeCanonical,
  equalBytes,
  fromUtf8,
  MAX_TRANSACTION_BYTES,
  PekkaError,
  u32,
  utf8
} from '@pekka/node/protocol'
import { MAX_SNAPSHOT_RECORD_BYTES } from './constants.js'

/**
 * A snapshot: the state after the last commit of an epoch, and what a witness needs to go on from there. A stream of records, each canonical
 * CBOR behind its length (4 bytes, big-endian): `head`, then `steps`, `rows`, `commits` and `asks` in this order, `end` with the SHA-256 of all bytes
 * before it. docs/protocol.md has the bytes.
 */

/** The file's first bytes. */
export const MAGIC = utf8('pekka-snapshot/1\n')

const headSchema = z.strictObject({
  kind: z.literal('head'),
  /** Canonical bytes of the genesis. */
  genesis: bytesUpTo(MAX_SNAPSHOT_RECORD_BYTES),
  /** The checkpoint of the epoch's last commit, signed by that epoch's quorum. */
  certificate: certificateSchema,
  /** Where the next epoch begins, as records.ts encodes it, and the digest of the state that commit votes are about: what `resume` of the checkpoint names. */
  start: bytesUpTo(MAX_SNAPSHOT_RECORD_BYTES),
  state: bytes32
})
export type SnapshotHead = z.infer<typeof headSchema>

const rowSchema = z.tuple([z.string().max(1024), z.string().max(1024), bytesUpTo(MAX_SNAPSHOT_RECORD_BYTES)])

/** A commit as its successors name it, with what it ordered: [id, code; null: applied]. */
const commitSchema = commitHeaderSchema.omit({ signature: true }).extend({
  ordered: z.array(z.tuple([bytes32, z.string().max(64).nullable()]))
})
export type SnapshotCommit = z.infer<typeof commitSchema>

const recordSchema = z.discriminatedUnion('kind', [
  headSchema,
  /** From the first committee on: a certificate of each epoch before this one's, and the committee that it names. */
  z.strictObject({
    kind: z.literal('steps'),
    steps: z.array(z.strictObject({ certificate: certificateSchema, next: committeeSchema }))
  }),
  /** All rows of the state: table, key, bytes; in the order of tables and keys. */
  z.strictObject({ kind: z.literal('rows'), rows: z.array(rowSchema) }),
  /** The last commits, ascending, the checkpoint's own the last: which vertices may be parents, and what became of them. */
  z.strictObject({ kind: z.literal('commits'), commits: z.array(commitSchema) }),
  /** Transactions that published the asks of the state. */
  z.strictObject({ kind: z.literal('asks'), transactions: z.array(bytesUpTo(MAX_TRANSACTION_BYTES)) }),
  z.strictObject({ kind: z.literal('end'), hash: bytes32 })
])
export type SnapshotRecord = z.infer<typeof recordSchema>
/** What comes between `head` and `end`. */
export type SnapshotPart = Exclude<SnapshotRecord, { kind: 'head' | 'end' }>

const ORDER = ['head', 'steps', 'rows', 'commits', 'asks', 'end'] as const

const refuse = (issue: string): never => {
  throw new PekkaError('SNAPSHOT_INVALID', { issue })
}

/** The bytes of a snapshot, piece by piece. */
export async function* encodeSnapshot(
  head: SnapshotHead,
  parts: AsyncIterable<SnapshotPart>
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  const framed = (record: SnapshotRecord): Uint8Array => {
    const bytes = encodeCanonical(record)
    const piece = concat(u32(bytes.length), bytes)
    hash.update(piece)
    return piece
  }
  hash.update(MAGIC)
  yield MAGIC
  yield framed(head)
  for await (const part of parts) yield framed(part)
  const end: SnapshotRecord = { kind: 'end', hash: new Uint8Array(hash.digest()) }
  const bytes = encodeCanonical(end)
  yield concat(u32(bytes.length), bytes)
}

/**
 * The records of a snapshot, each within its bound, in their order, whole to the end. What they say isn't verified here.
 * @throws PekkaError SNAPSHOT_INVALID
 */
export async function* decodeSnapshot(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<SnapshotRecord> {
  const reader = new PieceReader(pieces)
  const magic = await reader.take(MAGIC.length)
  if (magic === null || !equalBytes(magic, MAGIC)) {
    const told = magic === null ? '' : fromUtf8(magic.subarray(0, 14))
    refuse(told === 'pekka-snapshot' ? 'it is of another version' : 'it is none')
  }
  const hash = createHash('sha256').update(MAGIC)
  let stage = 0
  for (;;) {
    const length = await reader.take(4)
    if (length === null) return refuse('it ends early')
    const size = new DataView(length.buffer, length.byteOffset).getUint32(0)
    if (size > MAX_SNAPSHOT_RECORD_BYTES) refuse('a record is too large')
    const bytes = await reader.take(size)
    if (bytes === null) return refuse('it ends early')
    const record = parse(bytes)
    const place = ORDER.indexOf(record.kind)
    if (place < stage || (stage === 0 && place !== 0) || (record.kind === 'head' && stage > 0))
      refuse('its records are out of order')
    stage = Math.max(place, 1)
    if (record.kind === 'end') {
      if (!equalBytes(record.hash, new Uint8Array(hash.digest()))) refuse('it was damaged on its way')
      if ((await reader.take(1)) !== null) refuse('there is more behind its end')
      return
    }
    hash.update(length).update(bytes)
    yield record
  }
}

function parse(bytes: Uint8Array): SnapshotRecord {
  try {
    return recordSchema.parse(decodeCanonical(bytes))
  } catch {
    return refuse('a record is not of this version')
  }
}

/** Pieces of any size, read in the sizes that are asked for. */
class PieceReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array()

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** null: there are fewer. */
  async take(size: number): Promise<Uint8Array | null> {
    const parts: Uint8Array[] = []
    let missing = size
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#pieces.next()
        if (next.done === true) return null
        this.#rest = next.value
        continue
      }
      const part = this.#rest.subarray(0, missing)
      this.#rest = this.#rest.subarray(part.length)
      parts.push(part)
      missing -= part.length
    }
    return concat(...parts)
  }
}
