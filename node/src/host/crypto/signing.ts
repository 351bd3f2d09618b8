import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto'
import sodium from 'sodium-native'
import { acceptableSignature, concat, fromHex, type Signer, type Verifier } from '../../core/protocol/index.js'

/** DER prefix of RFC 8410 for a raw Ed25519 seed. */
const PKCS8 = fromHex('302e020100300506032b657004220420')

/** Signs with the Ed25519 key of a 32-byte seed (RFC 8032). */
export function createSigner(seed: Uint8Array): Signer {
  const key: KeyObject = createPrivateKey({ key: Buffer.from(concat(PKCS8, seed)), format: 'der', type: 'pkcs8' })
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return {
    publicKey: new Uint8Array(der.subarray(der.length - 32)),
    sign: async message => new Uint8Array(sign(null, message, key))
  }
}

/** The one strict rule, synchronous: for the ledger, which verifies many at once. */
export const verifyNow = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  acceptableSignature(publicKey, signature) &&
  sodium.crypto_sign_verify_detached(Buffer.from(signature), Buffer.from(message), Buffer.from(publicKey))

export const createVerifier = (): Verifier => ({
  verify: async (publicKey, message, signature) => verifyNow(publicKey, message, signature)
})
