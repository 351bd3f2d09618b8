import { gcm } from '@noble/ciphers/aes.js'
import { acceptableSignature, PekkaError } from '@pekka/node/protocol'
import type { Aead, Agreement, Random, Signer, Verifier } from '@pekka/node/protocol'
import nacl from 'tweetnacl'

/**
 * Pure JavaScript, for pages without WebCrypto (http to a host that isn't this machine) or without its newer curves. About a
 * hundred times slower, and keys can be read by the page; settings say so where it matters.
 */
export const scriptAead = (): Aead => ({
  async seal(key, nonce, plaintext, associated) {
    return gcm(key, nonce, associated).encrypt(plaintext)
  },
  async open(key, nonce, sealed, associated) {
    try {
      return gcm(key, nonce, associated).decrypt(sealed)
    } catch (cause) {
      throw new PekkaError('SEAL_BROKEN', {}, { cause })
    }
  }
})

/** X25519 by tweetnacl. */
export const scriptAgreement = (random: Random): Agreement => ({
  async generate() {
    const privateKey = random.bytes(32)
    return { privateKey, publicKey: nacl.scalarMult.base(privateKey) }
  },
  async publicKey(privateKey) {
    if (privateKey.length !== 32) throw new PekkaError('KEY_REFUSED')
    return nacl.scalarMult.base(privateKey)
  },
  async agree(privateKey, publicKey) {
    if (privateKey.length !== 32 || publicKey.length !== 32) throw new PekkaError('KEY_REFUSED')
    const shared = nacl.scalarMult(privateKey, publicKey)
    if (shared.every(byte => byte === 0)) throw new PekkaError('KEY_REFUSED')
    return shared
  }
})

/** Ed25519 by tweetnacl, after the byte pre-check: alone it accepts signatures that others refuse. */
export const scriptVerifier = (): Verifier => ({
  verify: async (publicKey, message, signature) =>
    acceptableSignature(publicKey, signature) && nacl.sign.detached.verify(message, signature, publicKey)
})

/** Signs with the Ed25519 key of a 32-byte seed. */
export function scriptSigner(seed: Uint8Array): Signer {
  const { publicKey, secretKey } = nacl.sign.keyPair.fromSeed(seed)
  return { publicKey, sign: async message => nacl.sign.detached(message, secretKey) }
}
