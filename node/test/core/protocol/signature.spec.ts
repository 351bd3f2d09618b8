import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import nacl from 'tweetnacl'
import { acceptableSignature, fromHex } from '@pekka/node/protocol'
import { verifyNow } from '@pekka/node/host/crypto'

interface Vector {
  name: string
  publicKey: string
  message: string
  signature: string
  valid: boolean
}
const path = new URL('../../../../docs/vectors/signatures.json', import.meta.url)
// The file is ours, and what follows reads every field of it.
const { vectors } = JSON.parse(readFileSync(path, 'utf8')) as { vectors: Vector[] }

/** DER prefix of a raw Ed25519 public key (RFC 8410). */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

/** A verifier that throws on malformed input says no. */
const quietly = (work: () => boolean): boolean => {
  try {
    return work()
  } catch {
    return false
  }
}
const nodeVerifies = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  quietly(() => {
    const publicKey = createPublicKey({ key: Buffer.concat([SPKI, key]), format: 'der', type: 'spki' })
    return verify(null, message, publicKey, signature)
  })
const naclVerifies = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  quietly(() => nacl.sign.detached.verify(message, signature, key))

const inputOf = (vector: Vector) =>
  [fromHex(vector.publicKey), fromHex(vector.message), fromHex(vector.signature)] as const

describe('protocol: the one signature rule (docs/vectors/signatures.json)', () => {
  for (const vector of vectors) {
    it(`${vector.valid ? 'accepts' : 'refuses'}: ${vector.name}`, () => {
      const input = inputOf(vector)
      const acceptable = acceptableSignature(input[0], input[2])
      assert.equal(verifyNow(...input), vector.valid, 'the node (sodium)')
      // With the byte pre-check every cofactorless verifier answers alike, the browser's fallback too.
      assert.equal(acceptable && nodeVerifies(...input), vector.valid, 'pre-check and node:crypto')
      assert.equal(acceptable && naclVerifies(...input), vector.valid, 'pre-check and tweetnacl')
    })
  }

  it('the vectors tell verifiers apart: without the pre-check they disagree', () => {
    const disagree = vectors.filter(vector => {
      const input = inputOf(vector)
      return new Set([verifyNow(...input), nodeVerifies(...input), naclVerifies(...input)]).size > 1
    })
    assert.ok(disagree.length >= 5, `${disagree.length} vectors`)
  })
})
