import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { sha256 as portable } from '@noble/hashes/sha2.js'
import { createHashing, random } from '@pekka/node/host/crypto'
import { scriptHashing } from '@pekka/node/ledger'
import { hashPair, keyInfo, sha256 as protocolSha256, taggedHash, useSha256 } from '@pekka/node/protocol'

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
  it('leaves layers to hashtree, and single pairs to Node', () => {
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

describe('SHA-256 of the protocol', () => {
  const native = createHashing().hash
  after(() => useSha256(native))

  it('is the machine’s own once host/crypto is there, and gives what the portable one gives', () => {
    for (const length of [0, 1, 31, 32, 55, 56, 63, 64, 65, 1000, 70_000]) {
      const bytes = random.bytes(length + 3).subarray(3)
      const parts = [bytes.slice(0, 40), new Uint8Array(), bytes]
      const all = [native, portable].map(own => {
        useSha256(own)
        return [protocolSha256(bytes), taggedHash('pekka/é/v1', ...parts), hashPair(bytes, bytes)].map(hex)
      })
      assert.deepEqual(all[0], all[1])
      assert.equal(all[0]?.[0], sha256(bytes))
      assert.equal(all[0]?.[1], sha256(keyInfo('pekka/é/v1', ...parts)))
    }
  })

  it('is asked of what was named last', () => {
    useSha256(() => new Uint8Array([7]))
    assert.deepEqual(protocolSha256(new Uint8Array(3)), new Uint8Array([7]))
  })

  it('puts each part’s length before it, and the tag’s', () => {
    const part = random.bytes(300)
    const expected = [0, 0, 0, 2, 116, 49, 0, 0, 1, 44, ...part, 0, 0, 0, 1, 9]
    assert.deepEqual([...keyInfo('t1', part, new Uint8Array([9]))], expected)
    assert.deepEqual([...keyInfo('t1', part, new Uint8Array([9]))], expected, 'a tag that came before')
  })
})
