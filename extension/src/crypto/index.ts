/**
 * The browser's implementation of the primitives of `core/protocol`: WebCrypto where the page has it, pure JavaScript (tweetnacl,
 * noble) where it doesn't. Both pass the same conformance suite as Node's (node/test/support/primitives-conformance.ts).
 *
 * ```ts
 * const support = await findSupport(globalThis.crypto.subtle)
 * const primitives = createPrimitives(support)
 * const store = new KeyStore({ indexedDB, support, random: primitives.random, locks: navigator.locks })
 * const { signer, view } = await store.keys('default')
 * ```
 */
import type { Primitives, Random } from '@pekka/node/protocol'
import { scriptAead, scriptAgreement, scriptVerifier } from './fallback.js'
import type { Support } from './support.js'
import { webAead, webAgreement, webHash, webVerifier } from './webcrypto.js'

export { scriptAead, scriptAgreement, scriptSigner, scriptVerifier } from './fallback.js'
export { KeyStore } from './key-store.js'
export type { Keys, KeyStoreComponents } from './key-store.js'
export { findSupport } from './support.js'
export type { Support } from './support.js'
export {
  importViewKey,
  webAead,
  webAgreement,
  webHash,
  webSigner,
  webSigningPair,
  webVerifier,
  webViewKey
} from './webcrypto.js'

/** The browser's random numbers, which every page has, secure or not. */
export const webRandom: Random = {
  bytes: length => {
    const bytes = new Uint8Array(length)
    // One call gives at most 65,536 bytes (WebCrypto).
    for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
    return bytes
  }
}

/** The best primitives that the page allows. */
export function createPrimitives({ subtle, ed25519, x25519 }: Support): Primitives {
  return {
    aead: subtle === undefined ? scriptAead() : webAead(subtle),
    agreement: subtle !== undefined && x25519 ? webAgreement(subtle) : scriptAgreement(webRandom),
    verifier: subtle !== undefined && ed25519 ? webVerifier(subtle) : scriptVerifier(),
    random: webRandom,
    ...(subtle !== undefined && { hash: webHash(subtle) })
  }
}
