import assert from 'node:assert/strict'
import { encodeCbor, type LogEntry } from '@pekka/node/protocol'
import { bytesOf, rawEntry } from '../../src/eventlog/entry.js'

describe('an entry of the log', () => {
  const sizes = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 65_552]
  const attempts = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER]

  it('is the CBOR of it, whatever the size of its parts', () => {
    for (const size of sizes)
      for (const attempt of attempts) {
        const sealed = new Uint8Array(size).fill(0x40)
        const entry: LogEntry = { n: attempt, kind: 'frame', attempt, run: 7, index: size, sealed }
        const raw = rawEntry(entry)
        assert.deepEqual(new Uint8Array(bytesOf(raw)), encodeCbor(entry), `${size} bytes, attempt ${attempt}`)
        assert.equal(raw.size, encodeCbor(entry).length)
      }
  })

  it('refers to the sealed bytes instead of copying them', () => {
    const sealed = new Uint8Array(65_552)
    const raw = rawEntry({ n: 0, kind: 'frame', attempt: 1, run: 1, index: 0, sealed })
    assert.ok(raw.pieces.includes(sealed))
  })
})
