import { readFileSync } from 'node:fs'
import { viewKeyFrom } from '@pekka/node/protocol'
import { registerConformance } from '../../../node/test/support/primitives-conformance.js'
import type { PrimitiveVectors } from '../../../node/test/support/primitives-conformance.js'
import {
  createPrimitives,
  findSupport,
  importViewKey,
  scriptSigner,
  webRandom,
  webSigner,
  webSigningPair,
  webViewKey
} from '../../src/crypto/index.js'

const file = new URL('../../../docs/vectors/primitives.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as PrimitiveVectors // our own file

registerConformance('WebCrypto', vectors, async () => {
  const { subtle } = globalThis.crypto
  return {
    primitives: createPrimitives(await findSupport(subtle)),
    freshSigner: async () => {
      const { privateKey, publicKey } = await webSigningPair(subtle)
      return webSigner(subtle, privateKey, publicKey)
    },
    viewKey: async secret => webViewKey(subtle, await importViewKey(subtle, secret))
  }
})

registerConformance('pure JavaScript', vectors, async () => ({
  primitives: createPrimitives(await findSupport(undefined)),
  signer: async seed => scriptSigner(seed),
  freshSigner: async () => scriptSigner(webRandom.bytes(32)),
  viewKey: async secret => viewKeyFrom(secret)
}))
