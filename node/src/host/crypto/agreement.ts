import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto'
import { PekkaError, concat, fromHex, type Agreement } from '../../core/protocol/index.js'

/** DER prefixes of RFC 8410 for raw X25519 keys. */
const PKCS8 = fromHex('302e020100300506032b656e04220420')
const SPKI = fromHex('302a300506032b656e032100')

const privateObject = (raw: Uint8Array) =>
  createPrivateKey({ key: Buffer.from(concat(PKCS8, raw)), format: 'der', type: 'pkcs8' })
const publicObject = (raw: Uint8Array) =>
  createPublicKey({ key: Buffer.from(concat(SPKI, raw)), format: 'der', type: 'spki' })
const rawPublic = (der: Buffer): Uint8Array => new Uint8Array(der.subarray(der.length - 32))

/** X25519 by node:crypto. */
export const createAgreement = (): Agreement => ({
  async generate() {
    const pair = generateKeyPairSync('x25519')
    const privateDer = pair.privateKey.export({ format: 'der', type: 'pkcs8' })
    return {
      publicKey: rawPublic(pair.publicKey.export({ format: 'der', type: 'spki' })),
      privateKey: new Uint8Array(privateDer.subarray(privateDer.length - 32))
    }
  },

  async publicKey(privateKey) {
    return rawPublic(createPublicKey(privateObject(privateKey)).export({ format: 'der', type: 'spki' }))
  },

  async agree(privateKey, publicKey) {
    if (privateKey.length !== 32 || publicKey.length !== 32) throw new PekkaError('KEY_REFUSED')
    let shared: Uint8Array
    try {
      shared = new Uint8Array(
        diffieHellman({ privateKey: privateObject(privateKey), publicKey: publicObject(publicKey) })
      )
    } catch (cause) {
      // OpenSSL refuses low-order points by itself.
      throw new PekkaError('KEY_REFUSED', {}, { cause })
    }
    if (shared.every(byte => byte === 0)) throw new PekkaError('KEY_REFUSED')
    return shared
  }
})
