import { PekkaError, type TravelFile, type TravelValue } from '@pekka/node/protocol'
import { encodeRecord, type RawRecord } from './codec.js'

/** Something that is put into a sandbox before its run; `pieces` come in order and may be made as they are asked for. */
export type Put = (
  | ({ kind: 'file' } & Pick<TravelFile, 'path' | 'executable'>)
  | ({ kind: 'value' } & Pick<TravelValue, 'name' | 'codec' | 'type' | 'python'>)
) & { pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array> }

/** Bytes of one record: small enough for the runner to write each before the next is here. */
const PUT_BYTES = 4 << 20

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

/** A piece of a file or value that comes back: of the entry `index` in the event `of` that follows. */
export interface ReturnedPart {
  of: 'files' | 'values'
  index: number
  bytes: Uint8Array
}

/** @throws PekkaError RUNNER_PROTOCOL */
export function parsePart({ header, payload }: RawRecord): ReturnedPart {
  const { of, index } = header
  if ((of !== 'files' && of !== 'values') || typeof index !== 'number' || !Number.isSafeInteger(index) || index < 0)
    throw new PekkaError('RUNNER_PROTOCOL', { issue: 'a part of nothing' })
  return { of, index, bytes: payload }
}
