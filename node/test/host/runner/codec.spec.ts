import {
  encodeRecord,
  MAX_HEADER_BYTES,
  MAX_RUNNER_RECORD_BYTES,
  RecordDecoder,
  type RawRecord
} from '@pekka/node/host/runner'
import { PekkaError } from '@pekka/node/protocol'
import fc from 'fast-check'
import assert from 'node:assert/strict'

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const decodeAll = (decoder: RecordDecoder, chunks: Uint8Array[]): RawRecord[] =>
  chunks.flatMap(chunk => [...decoder.push(chunk)])

const refused = (issue: RegExp) => (error: unknown) =>
  error instanceof PekkaError && error.code === 'RUNNER_PROTOCOL' && issue.test(String(error.data['issue']))

const anyRecord = fc.record({
  header: fc.dictionary(
    fc.string(),
    fc.jsonValue().filter(value => JSON.stringify(value) !== undefined)
  ),
  payload: fc.uint8Array({ maxLength: 300 })
})

describe('runner: records', () => {
  it('decodes the same records however the stream is split', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 30 }), (records, cuts) => {
        const stream = Buffer.concat(records.map(({ header, payload }) => encodeRecord(header, payload)))
        const at = [...new Set([0, ...cuts.map(cut => cut % (stream.length + 1)), stream.length])].sort((a, b) => a - b)
        const chunks = at.slice(1).map((end, index) => stream.subarray(at[index], end))
        const decoder = new RecordDecoder()
        const decoded = decodeAll(decoder, chunks)
        assert.equal(decoder.held, 0)
        assert.deepEqual(
          decoded.map(({ header, payload }) => [JSON.stringify(header), Buffer.from(payload).toString('hex')]),
          records.map(({ header, payload }) => [
            JSON.stringify(JSON.parse(JSON.stringify(header))),
            Buffer.from(payload).toString('hex')
          ])
        )
      }),
      { numRuns: 300 }
    )
  })

  it('decodes byte by byte', () => {
    const stream = Buffer.concat([encodeRecord({ type: 'ä' }, new Uint8Array([1, 2])), encodeRecord({})])
    const decoded = decodeAll(
      new RecordDecoder(),
      Array.from(stream, byte => new Uint8Array([byte]))
    )
    assert.deepEqual(decoded, [
      { header: { type: 'ä' }, payload: new Uint8Array([1, 2]) },
      { header: {}, payload: new Uint8Array() }
    ])
  })

  it('refuses sizes out of bounds before it has their bytes', () => {
    const cases: [Buffer, RegExp][] = [
      [u32(3), /record of 3 bytes/],
      [u32(MAX_RUNNER_RECORD_BYTES + 1), /a record of/],
      [u32(0xffffffff), /a record of/],
      [Buffer.concat([u32(10), u32(7)]), /header of 7 bytes in a record of 10/],
      [Buffer.concat([u32(MAX_HEADER_BYTES + 100), u32(MAX_HEADER_BYTES + 1)]), /a header of/]
    ]
    for (const [bytes, issue] of cases) assert.throws(() => [...new RecordDecoder().push(bytes)], refused(issue))
  })

  it('refuses headers that are no JSON object in UTF-8, and everything after', () => {
    for (const text of ['', 'x', '[]', 'null', '1', '"a"', '{"a":\xff}']) {
      const head = Buffer.from(text, 'latin1')
      const decoder = new RecordDecoder()
      assert.throws(
        () => [...decoder.push(Buffer.concat([u32(4 + head.length), u32(head.length), head]))],
        refused(/header/)
      )
      assert.throws(() => [...decoder.push(encodeRecord({}))], refused(/header/))
    }
  })

  it('never throws anything but its own error on random bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), chunks => {
        try {
          decodeAll(new RecordDecoder(), chunks)
        } catch (error) {
          assert.ok(error instanceof PekkaError && error.code === 'RUNNER_PROTOCOL')
        }
      })
    )
  })

  it('does not encode a header over the bound', () => {
    assert.throws(() => encodeRecord({ text: 'x'.repeat(MAX_HEADER_BYTES) }), refused(/a header of/))
  })
})
