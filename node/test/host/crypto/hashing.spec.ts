import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createHashing, random } from '@pekka/node/host/crypto'
import { scriptHashing } from '@pekka/node/ledger'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const versions = {
  'with hashtree': createHashing(),
  'without a binary of hashtree': createHashing(null),
  'in plain JavaScript': scriptHashing
}

for (const [name, hashing] of Object.entries(versions)) {
  describe(`SHA-256 for the ledger's trees, ${name}`, () => {
    it('hashes anything', () => {
      for (const length of [0, 1, 63, 64, 65, 95, 1000]) {
        const bytes = random.bytes(length + 3).subarray(3)
        assert.equal(hex(hashing.hash(bytes)), sha256(bytes))
      }
    })

    it('hashes each pair of a layer, of any number of pairs, also in a view', () => {
      for (const pairs of [0, 1, 2, 3, 4, 7, 16, 17, 100]) {
        const bytes = random.bytes(pairs * 64 + 8).subarray(8)
        const expected = Array.from({ length: pairs }, (_, at) => sha256(bytes.subarray(at * 64, at * 64 + 64)))
        assert.equal(hex(hashing.hashPairs(bytes)), expected.join(''))
      }
    })
  })
}

describe('SHA-256 for the ledger’s trees', () => {
  it('leaves layers to hashtree, and single pairs to sodium', () => {
    const asked: number[] = []
    const hashtree = {
      hash: (pairs: Uint8Array) => {
        asked.push(pairs.length / 64)
        return scriptHashing.hashPairs(pairs)
      }
    }
    for (const pairs of [1, 8]) createHashing(hashtree).hashPairs(new Uint8Array(64 * pairs))
    assert.deepEqual(asked, [8])
  })
})
