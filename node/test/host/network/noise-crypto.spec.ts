import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { defaultCrypto } from '@libp2p/noise/crypto'
import { Uint8ArrayList } from 'uint8arraylist'
import { noiseCrypto } from '../../../src/host/network/noise-crypto.js'

const key = new Uint8Array(randomBytes(32))
const nonce = new Uint8Array(randomBytes(12))
const nothing = new Uint8Array(0)

/** The same bytes cut into pieces. */
function cut(bytes: Uint8Array, ...ends: number[]): Uint8ArrayList {
  const list = new Uint8ArrayList()
  let at = 0
  for (const end of [...ends, bytes.length]) {
    list.append(bytes.subarray(at, end))
    at = end
  }
  return list
}

describe('the noise layer’s primitives', () => {
  const sizes = [0, 1, 1199, 1200, 1216, 4096, 65_519]

  it('seal to the bytes that the library’s own do, in one piece and in several', () => {
    for (const size of sizes) {
      const plain = new Uint8Array(randomBytes(size))
      const expected = defaultCrypto.chaCha20Poly1305Encrypt(plain, nonce, nothing, key).subarray()
      for (const form of [plain, cut(plain), cut(plain, size >> 1), cut(plain, size >> 2, size >> 1)])
        assert.deepEqual(
          Buffer.from(noiseCrypto.chaCha20Poly1305Encrypt(form, nonce, nothing, key).subarray()),
          Buffer.from(expected)
        )
    }
  })

  it('open what the library’s own sealed, however it was cut on the way, also inside the tag', () => {
    for (const size of sizes) {
      const plain = Buffer.from(randomBytes(size))
      const sealed = defaultCrypto.chaCha20Poly1305Encrypt(plain, nonce, nothing, key).subarray()
      for (const form of [sealed, cut(sealed), cut(sealed, size >> 1), cut(sealed, size >> 1, size + 7)])
        assert.deepEqual(Buffer.from(noiseCrypto.chaCha20Poly1305Decrypt(form, nonce, nothing, key).subarray()), plain)
    }
  })

  it('refuse a changed byte anywhere, another nonce and another key', () => {
    const plain = new Uint8Array(randomBytes(5000))
    const sealed = defaultCrypto.chaCha20Poly1305Encrypt(plain, nonce, nothing, key).subarray()
    for (const at of [0, 2500, 4999, 5000, 5015]) {
      const bad = sealed.slice()
      bad[at] = (bad[at] ?? 0) ^ 1
      assert.throws(() => noiseCrypto.chaCha20Poly1305Decrypt(cut(bad, 3000), nonce, nothing, key))
    }
    const other = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
    assert.throws(() => noiseCrypto.chaCha20Poly1305Decrypt(cut(sealed, 3000), other(nonce), nothing, key))
    assert.throws(() => noiseCrypto.chaCha20Poly1305Decrypt(cut(sealed, 3000), nonce, nothing, other(key)))
  })
})
