/**
 * What crosses a wire or is signed: schemas, canonical encoding, ids, key schedule, frame chain, HTTP schemas, event map
 * and errors. Pure and browser-safe; imports nothing of ours. The bytes are described in docs/protocol.md, with vectors.
 *
 * @packageDocumentation
 */
export * from './account.js'
export * from './ask.js'
export * from './bodies.js'
export * from './bundle.js'
export * from './bytes.js'
export * from './encoding.js'
export * from './errors.js'
export * from './events.js'
export * from './frames.js'
export * from './hash.js'
export * from './ids.js'
export * from './image.js'
export * from './keys.js'
export * from './limits.js'
export * from './manifest.js'
export * from './primitives.js'
export * from './schema.js'
export * from './signature.js'
export * from './task.js'
export * from './transaction.js'
export * from './http.js'
export * from './ledger-wire.js'
export * from './link.js'
export * from './log.js'
export * from './pairing.js'
export * from './parameters.js'
export * from './receipt.js'
export * from './socket.js'
