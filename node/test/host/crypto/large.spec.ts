import assert from 'node:assert/strict'
import { randomBytes, webcrypto } from 'node:crypto'
import { createAead } from '@pekka/node/host/crypto'

describe('host/crypto: sealing what is large', () => {
  for (const size of [(256 << 10) - 1, 256 << 10, (256 << 10) + 1, (1 << 20) + 17])
    it(`gives the bytes that WebCrypto gives, of ${size} bytes`, async () => {
      const [key, nonce, plain, associated] = [32, 12, size, 32].map(length => new Uint8Array(randomBytes(length)))
      assert.ok(key && nonce && plain && associated)
      const sealed = await createAead().seal(key, nonce, plain, associated)
      const theirs = await webcrypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt'])
      const given = { name: 'AES-GCM', iv: nonce, additionalData: associated }
      assert.deepEqual(Buffer.from(sealed), Buffer.from(await webcrypto.subtle.encrypt(given, theirs, plain)))
    })
})
