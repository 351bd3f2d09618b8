import { readFileSync } from 'node:fs'
import { createPrimitives, createSigner, random } from '@pekka/node/host/crypto'
import { viewKeyFrom } from '@pekka/node/protocol'
import { registerConformance, type PrimitiveVectors } from '../../support/primitives-conformance.js'

// The file is ours; the conformance suite reads every field of it.
const vectors = JSON.parse(
  readFileSync(new URL('../../../../docs/vectors/primitives.json', import.meta.url), 'utf8')
) as PrimitiveVectors

registerConformance('Node', vectors, async () => ({
  primitives: createPrimitives(),
  signer: async seed => createSigner(seed),
  freshSigner: async () => createSigner(random.bytes(32)),
  viewKey: async secret => viewKeyFrom(secret)
}))
