/** Runs in the browser: the conformance cases and the key store. Bundled by ../outputs/browser.ts. */
import { viewKeyFrom } from '@pekka/node/protocol'
import { conformanceCases } from '../../../node/test/support/primitives-conformance.js'
import type { PrimitivesUnderTest, PrimitiveVectors } from '../../../node/test/support/primitives-conformance.js'
import {
  createPrimitives,
  findSupport,
  importViewKey,
  KeyStore,
  scriptSigner,
  webRandom,
  webSigner,
  webSigningPair,
  webViewKey
} from '../../src/crypto/index.js'
import type { Support } from '../../src/crypto/index.js'

async function underTest(support: Support): Promise<PrimitivesUnderTest> {
  const { subtle } = support
  return {
    primitives: createPrimitives(support),
    freshSigner: async () => {
      if (subtle === undefined || !support.ed25519) return scriptSigner(webRandom.bytes(32))
      const { privateKey, publicKey } = await webSigningPair(subtle)
      return webSigner(subtle, privateKey, publicKey)
    },
    viewKey: async secret =>
      subtle === undefined ? viewKeyFrom(secret) : webViewKey(subtle, await importViewKey(subtle, secret))
  }
}

/** Runs every case; gives the names of those that failed, and the support that was found. */
export async function conformance(
  vectors: PrimitiveVectors,
  scriptOnly: boolean
): Promise<{ ran: number; failed: string[]; found: string }> {
  const support = await findSupport(scriptOnly ? undefined : globalThis.crypto.subtle)
  const under = await underTest(support)
  const failed: string[] = []
  const cases = conformanceCases(vectors)
  for (const { name, run } of cases) {
    try {
      await run(under)
    } catch (error) {
      failed.push(`${name}: ${String(error)}`)
    }
  }
  return { ran: cases.length, failed, found: `${support.subtle !== undefined} ${support.ed25519} ${support.x25519}` }
}

export async function store(scriptOnly = false): Promise<KeyStore> {
  const support = await findSupport(scriptOnly ? undefined : globalThis.crypto.subtle)
  return new KeyStore({ indexedDB, support, random: webRandom, locks: navigator.locks })
}

Object.assign(globalThis, { pkCrypto: { conformance, store } })
