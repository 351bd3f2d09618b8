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
export * from './task/auction.js'
export * from './client.js'
export * from './task/come-back.js'
export * from './credentials.js'
export * from './task/follow.js'
export * from './ledger/evidence-file.js'
export * from './ledger/image-registry.js'
export * from './ledger/lane.js'
export * from './ledger/ledger-images.js'
export * from './ledger/ledger-tail.js'
export * from './live.js'
export * from './market.js'
export * from './task/offer.js'
export * from './ledger/owner.js'
export * from './ledger/proof-file.js'
export * from './ledger/proven-ledger.js'
export type { Quote } from './quote.js'
export * from './task/reader.js'
export * from './task/receipt.js'
export * from './task/session.js'
export * from './ledger/transaction-file.js'
export * from './ledger/trusted-proof.js'
export * from './transport.js'
export * from './task/travel.js'
export * from './why.js'
export * from './words.js'
