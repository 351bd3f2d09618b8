import { acceptableSignature, concat, fromHex, PekkaError, sha256 } from '@pekka/node/protocol'
import type { Aead, Agreement, Signer, Verifier, ViewKey } from '@pekka/node/protocol'

/** PKCS #8 prefixes of RFC 8410 for raw private keys, which WebCrypto takes in no shorter form. */
const X25519_PKCS8 = fromHex('302e020100300506032b656e04220420')

/** Our byte strings are never backed by shared memory, which is all that the stricter type says. */
const source = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => bytes as Uint8Array<ArrayBuffer>

const base64url = (text: string): Uint8Array =>
  Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), char => char.charCodeAt(0))

/** AES-256-GCM by the browser. */
export const webAead = (subtle: SubtleCrypto): Aead => {
  const importKey = async (key: Uint8Array, use: KeyUsage): Promise<CryptoKey> =>
    await subtle.importKey('raw', source(key), 'AES-GCM', false, [use])
  const algorithm = (nonce: Uint8Array, associated: Uint8Array): AesGcmParams => ({
    name: 'AES-GCM',
    iv: source(nonce),
    additionalData: source(associated)
  })
  return {
    async seal(key, nonce, plaintext, associated) {
      const imported = await importKey(key, 'encrypt')
      return new Uint8Array(await subtle.encrypt(algorithm(nonce, associated), imported, source(plaintext)))
    },
    async open(key, nonce, sealed, associated) {
      const imported = await importKey(key, 'decrypt')
      try {
        return new Uint8Array(await subtle.decrypt(algorithm(nonce, associated), imported, source(sealed)))
      } catch (cause) {
        throw new PekkaError('SEAL_BROKEN', {}, { cause })
      }
    }
  }
}

/** Less is hashed by ourselves sooner than the browser's own answers, bytes. */
const WORTH_A_CALL = 16 << 10

/** SHA-256 by the browser, in a thread of its own: a tenth of the time of ours. */
export const webHash =
  (subtle: SubtleCrypto) =>
  async (bytes: Uint8Array): Promise<Uint8Array> =>
    bytes.length < WORTH_A_CALL ? sha256(bytes) : new Uint8Array(await subtle.digest('SHA-256', source(bytes)))

/** X25519 by the browser. */
export const webAgreement = (subtle: SubtleCrypto): Agreement => {
  const importPrivate = async (raw: Uint8Array, extractable: boolean): Promise<CryptoKey> =>
    await subtle.importKey('pkcs8', source(concat(X25519_PKCS8, raw)), 'X25519', extractable, ['deriveBits'])
  return {
    async generate() {
      // The task schedule needs the raw bytes of these short-lived keys (PROTOCOL R5), so they are extractable.
      const pair = (await subtle.generateKey('X25519', true, ['deriveBits'])) as CryptoKeyPair // as the algorithm makes
      const jwk = await subtle.exportKey('jwk', pair.privateKey)
      return { publicKey: base64url(jwk.x ?? ''), privateKey: base64url(jwk.d ?? '') }
    },
    async publicKey(privateKey) {
      if (privateKey.length !== 32) throw new PekkaError('KEY_REFUSED')
      const jwk = await subtle.exportKey('jwk', await importPrivate(privateKey, true))
      return base64url(jwk.x ?? '')
    },
    async agree(privateKey, publicKey) {
      if (privateKey.length !== 32 || publicKey.length !== 32) throw new PekkaError('KEY_REFUSED')
      let shared: Uint8Array
      try {
        const other = await subtle.importKey('raw', source(publicKey), 'X25519', false, [])
        const own = await importPrivate(privateKey, false)
        shared = new Uint8Array(await subtle.deriveBits({ name: 'X25519', public: other }, own, 256))
      } catch (cause) {
        // A low-order point: WebCrypto refuses the all-zero result by itself.
        throw new PekkaError('KEY_REFUSED', {}, { cause })
      }
      if (shared.every(byte => byte === 0)) throw new PekkaError('KEY_REFUSED')
      return shared
    }
  }
}

/** Ed25519 by the browser, after the byte pre-check that makes all verifiers agree. */
export const webVerifier = (subtle: SubtleCrypto): Verifier => ({
  async verify(publicKey, message, signature) {
    if (!acceptableSignature(publicKey, signature)) return false
    try {
      const key = await subtle.importKey('raw', source(publicKey), 'Ed25519', false, ['verify'])
      return await subtle.verify('Ed25519', key, source(signature), source(message))
    } catch {
      // Not a point of the curve.
      return false
    }
  }
})

/** Signs with a key that the page itself can't read. */
export const webSigner = (subtle: SubtleCrypto, privateKey: CryptoKey, publicKey: Uint8Array): Signer => ({
  publicKey,
  sign: async message => new Uint8Array(await subtle.sign('Ed25519', privateKey, source(message)))
})

/** A fresh signing pair; the private half never leaves the browser's key store. */
export async function webSigningPair(subtle: SubtleCrypto): Promise<{ privateKey: CryptoKey; publicKey: Uint8Array }> {
  const pair = (await subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as CryptoKeyPair // as the algorithm makes
  return { privateKey: pair.privateKey, publicKey: new Uint8Array(await subtle.exportKey('raw', pair.publicKey)) }
}

/** Imports the view key so that it can derive and nothing else (R6). */
export const importViewKey = async (subtle: SubtleCrypto, secret: Uint8Array): Promise<CryptoKey> =>
  await subtle.importKey('raw', source(secret), 'HKDF', false, ['deriveBits'])

export const webViewKey = (subtle: SubtleCrypto, key: CryptoKey): ViewKey => ({
  async derive(info) {
    const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: source(info) }
    return new Uint8Array(await subtle.deriveBits(algorithm, key, 256))
  }
})
