import { PekkaError, type TravelFile, type TravelValue } from '@pekka/node/protocol'
import { encodeRecord, type RawRecord } from './codec.js'

/** Something that is put into a sandbox before its run; `pieces` come in order and may be made as they are asked for. */
export type Put = (
  | ({ kind: 'file' } & Pick<TravelFile, 'path' | 'executable'>)
  | ({ kind: 'value' } & Pick<TravelValue, 'name' | 'codec' | 'type' | 'python'>)
) & { pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array> }

/** Bytes of one record: small enough for the runner to write each before the next is here. */
const PUT_BYTES = 4 << 20
/** Values up to this size share a record, and in the sandbox a file. */
const SMALL_BYTES = 32 << 10
/** Bytes of such a record. */
const PACK_BYTES = 1 << 20
/** Values of one, so that its header stays far below what one may have. */
const PACK_VALUES = 500
/** The first runner that takes several values in a record (`ready`). */
const PACKS_SINCE = 2

/** The records of one put, the last one marked. */
export async function* encodePut({ pieces, ...header }: Put): AsyncGenerator<Uint8Array> {
  let held: Uint8Array = new Uint8Array()
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += PUT_BYTES) {
      if (held.length > 0) yield encodeRecord({ op: 'put', ...header, last: false }, held)
      held = piece.subarray(at, at + PUT_BYTES)
    }
  }
  yield encodeRecord({ op: 'put', ...header, last: true }, held)
}

/** The records of many, in their order. Small values whose bytes are here share one where the runner knows of that. */
export async function* encodePuts(puts: Iterable<Put>, runner: string): AsyncGenerator<Uint8Array> {
  let small: { entry: object; bytes: Uint8Array }[] = []
  let held = 0
  const pack = (): Uint8Array => {
    const record = encodeRecord(
      { op: 'put', kind: 'values', values: small.map(({ entry }) => entry) },
      Buffer.concat(small.map(({ bytes }) => bytes))
    )
    small = []
    held = 0
    return record
  }
  for (const put of puts) {
    const bytes = Number(runner) >= PACKS_SINCE ? smallBytes(put) : null
    if (small.length > 0 && (bytes === null || small.length === PACK_VALUES || held + bytes.length > PACK_BYTES))
      yield pack()
    if (bytes === null || put.kind !== 'value') {
      yield* encodePut(put)
      continue
    }
    const { name, codec, type, python } = put
    small.push({ entry: { name, codec, type, python, size: bytes.length }, bytes })
    held += bytes.length
  }
  if (small.length > 0) yield pack()
}

/** The bytes of a small value that are here; null where they are still to come, or are too many. */
function smallBytes({ kind, pieces }: Put): Uint8Array | null {
  if (kind !== 'value' || !Array.isArray(pieces)) return null
  const [bytes] = pieces as readonly Uint8Array[] // an array of what it iterates over
  return pieces.length === 1 && bytes !== undefined && bytes.length <= SMALL_BYTES ? bytes : null
}

/** A piece of a file or value that comes back: of the entry `index` in the event `of` that follows. */
export interface ReturnedPart {
  of: 'files' | 'values'
  index: number
  bytes: Uint8Array
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
const malformed = (issue: string): PekkaError => new PekkaError('RUNNER_PROTOCOL', { issue })

/** What a record brings: one part, or several small values, each whole. @throws PekkaError RUNNER_PROTOCOL */
export function parseParts({ header, payload }: RawRecord): ReturnedPart[] {
  const { of, index, packed } = header
  if (of !== 'files' && of !== 'values') throw malformed('a part of nothing')
  if (packed === undefined) {
    if (!isWhole(index)) throw malformed('a part of nothing')
    return [{ of, index, bytes: payload }]
  }
  if (!Array.isArray(packed) || packed.length > PACK_VALUES) throw malformed('parts without sizes')
  let at = 0
  const parts = (packed as readonly unknown[]).map((entry): ReturnedPart => {
    const [place, size] = Array.isArray(entry) ? (entry as readonly unknown[]) : []
    if (!isWhole(place) || !isWhole(size)) throw malformed('parts without sizes')
    const bytes = payload.subarray(at, at + size)
    at += size
    return { of, index: place, bytes }
  })
  if (at !== payload.length) throw malformed('parts that do not fill the payload')
  return parts
}
