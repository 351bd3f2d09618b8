/**
 * Submit, follow, resume and verify tasks over HTTP and socket.io. The extension and the command line use the same code;
 * what differs between them (fetch, socket, primitives, clock, locks) comes in as components.
 *
 * ```ts
 * const client = new PekkaClient({ fetch, live, primitives, clock }, { base, identity })
 * const task = await client.submit({ program, cap: 500_000n, note })
 * const follower = await client.follow(task, { events: events => show(events) })
 * const { phase } = await follower.ended
 * ```
 *
 * @packageDocumentation
 */
export * from './auction.js'
export * from './client.js'
export * from './come-back.js'
export * from './credentials.js'
export * from './follow.js'
export * from './image-registry.js'
export * from './lane.js'
export * from './ledger-images.js'
export * from './ledger-tail.js'
export * from './live.js'
export * from './market.js'
export * from './offer.js'
export * from './owner.js'
export * from './proof-file.js'
export * from './proven-ledger.js'
export * from './reader.js'
export * from './receipt.js'
export * from './session.js'
export * from './transaction-file.js'
export * from './transport.js'
export * from './travel.js'
export * from './why.js'
export * from './words.js'
