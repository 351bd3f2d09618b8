import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createVerifier } from '@pekka/node/host/crypto'
import { disagreements, type SignatureVectors } from '../../../node/test/support/signature-cases.js'
import { scriptVerifier, webVerifier } from '../../src/crypto/index.js'

const file = new URL('../../../docs/vectors/signatures.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as SignatureVectors // our own file

describe('every Ed25519 verifier that PEKKA uses answers alike', () => {
  const verifiers = {
    'the ledger’s (sodium)': createVerifier(),
    'the page’s (WebCrypto)': webVerifier(globalThis.crypto.subtle),
    'a page’s without WebCrypto (tweetnacl)': scriptVerifier()
  }
  for (const [name, verifier] of Object.entries(verifiers)) {
    it(`on every edge case: ${name}`, async () => {
      assert.deepEqual(await disagreements(vectors, verifier), [])
    })
  }

  it('the cases tell a verifier that lacks the pre-check apart', async () => {
    const { default: nacl } = await import('tweetnacl')
    const bare = {
      verify: async (key: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
        key.length === 32 && signature.length === 64 && nacl.sign.detached.verify(message, signature, key)
    }
    assert.ok((await disagreements(vectors, bare)).length >= 5)
  })
})
