/** Runs in the browser: the conformance cases, the ledger's proofs and the key store. Bundled by ../outputs/browser.ts. */
import { fromHex, trustSchema, verifyProof, viewKeyFrom } from '@pekka/node/protocol'
import type { Trust } from '@pekka/node/protocol'
import { conformanceCases } from '../../../node/test/support/primitives-conformance.js'
import type { PrimitivesUnderTest, PrimitiveVectors } from '../../../node/test/support/primitives-conformance.js'
import { disagreements, type SignatureVectors } from '../../../node/test/support/signature-cases.js'
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

/** Names of the edge cases of signatures that this page's verifier answers otherwise than the rule. */
export async function signatures(vectors: SignatureVectors, scriptOnly: boolean): Promise<string[]> {
  const support = await findSupport(scriptOnly ? undefined : globalThis.crypto.subtle)
  return await disagreements(vectors, createPrimitives(support).verifier)
}

/** A trusted committee as JSON carries it. */
export interface PlainTrust {
  network: string
  epoch: number
  members: [string, string][]
}

const trustOf = ({ network, epoch, members }: PlainTrust): Trust =>
  trustSchema.parse({
    network: fromHex(network),
    epoch,
    members: members.map(([key, stake]) => [fromHex(key), BigInt(stake)])
  })

/** What each proof shows, or the code it is refused with, and the shortest time that one took, ms. */
export async function proofs(
  trust: PlainTrust,
  encoded: string[],
  scriptOnly: boolean
): Promise<{ shown: string[]; shortest: number }> {
  const support = await findSupport(scriptOnly ? undefined : globalThis.crypto.subtle)
  const { verifier } = createPrimitives(support)
  const shown: string[] = []
  let shortest = Infinity
  for (const proof of encoded) {
    const from = performance.now()
    try {
      const { facts } = await verifyProof(fromHex(proof), trustOf(trust), verifier)
      shown.push(facts.map(({ kind }) => kind).join())
    } catch (error) {
      shown.push((error as { code?: string }).code ?? String(error)) // any error may come; its code is looked at
    }
    shortest = Math.min(shortest, performance.now() - from)
  }
  return { shown, shortest }
}

export async function store(scriptOnly = false): Promise<KeyStore> {
  const support = await findSupport(scriptOnly ? undefined : globalThis.crypto.subtle)
  return new KeyStore({ indexedDB, support, random: webRandom, locks: navigator.locks })
}

Object.assign(globalThis, { pkCrypto: { conformance, signatures, proofs, store } })
