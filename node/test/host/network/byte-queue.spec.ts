import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { ByteQueue } from '../../../src/host/network/byte-queue.js'
import { tries } from '../../support/effort.js'

const framed = (message: Uint8Array): Uint8Array => {
  const out = new Uint8Array(4 + message.length)
  new DataView(out.buffer).setUint32(0, message.length)
  out.set(message, 4)
  return out
}

/** Bytes of heap that something still holds: the pieces a test has thrown away do not count. */
function usedAfterCollection(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new Error('this Node can not collect on demand')
  collect()
  return process.memoryUsage().heapUsed
}

describe('ByteQueue', () => {
  it('gives messages back unchanged however their bytes were cut on the way', () => {
    const message = fc.uint8Array({ maxLength: 9000, size: 'max' })
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }),
        (messages, cuts) => {
          const wire = Buffer.concat(messages.map(framed))
          const queue = new ByteQueue()
          const got: Uint8Array[] = []
          let at = 0
          for (let i = 0; at < wire.length; i++) {
            const size = cuts[i % cuts.length] ?? 1
            queue.append(new Uint8Array(wire.subarray(at, at + size)))
            at += size
            // every third time only, so that pieces also pile up
            for (
              let length = queue.nextMessageLength();
              i % 3 === 0 && length !== null && queue.length >= 4 + length;
            ) {
              got.push(queue.takeMessage(length))
              length = queue.nextMessageLength()
            }
          }
          for (let length = queue.nextMessageLength(); length !== null; length = queue.nextMessageLength()) {
            got.push(queue.takeMessage(length))
          }
          assert.deepEqual(
            got.map(one => Buffer.from(one)),
            messages.map(one => Buffer.from(one))
          )
          assert.equal(queue.length, 0)
        }
      ),
      { numRuns: tries(60, 300) }
    )
  })

  it('keeps a million single bytes in a few blocks, not in a million objects', () => {
    const queue = new ByteQueue()
    const before = usedAfterCollection()
    for (let i = 0; i < 1_000_000; i++) queue.append(new Uint8Array(1))
    assert.equal(queue.length, 1_000_000)
    assert.ok(usedAfterCollection() - before < 40 << 20)
    assert.equal(queue.takeMessage(999_996).length, 999_996)
  })

  it('gives out messages in buffers of their own', () => {
    const queue = new ByteQueue()
    const piece = framed(new Uint8Array(8192).fill(7))
    queue.append(piece)
    const message = queue.takeMessage(8192)
    piece.fill(0)
    assert.ok(message.every(byte => byte === 7))
  })
})
