/**
 * Node's implementation of the primitives of `core/protocol`: AES-256-GCM by node:crypto, X25519 and Ed25519 by sodium-native
 * (the only verifier of consensus, DESIGN §5).
 *
 * ```ts
 * const primitives = createPrimitives()
 * const signer = createSigner(primitives.random.bytes(32))
 * await primitives.verifier.verify(signer.publicKey, message, await signer.sign(message)) // true
 * ```
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto'
import { useSha256, type Clock, type Primitives } from '../../core/protocol/index.js'
import { createAead } from './aead.js'
import { createAgreement } from './agreement.js'
import { hash } from './hashing.js'
import { random } from './random.js'
import { createVerifier } from './signing.js'

export { createAead } from './aead.js'
export { createAgreement } from './agreement.js'
export { createHashing } from './hashing.js'
export { readSigner, writeSigner } from './key-file.js'
export { random } from './random.js'
export { createSigner, createVerifier, verifyNow } from './signing.js'

// Whoever imports this room runs on Node; hashing is a tenth of a ledger's work.
useSha256(hash)

export const systemClock: Clock = { now: () => Date.now() }

export const createPrimitives = (): Primitives => ({
  aead: createAead(),
  agreement: createAgreement(),
  verifier: createVerifier(),
  random,
  hasher: () => createHash('sha256')
})
