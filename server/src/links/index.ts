/**
 * Providers' standing links and what else comes over libp2p: hello with its vouching, frames into the event log, blobs,
 * joining, and the ledger relayed. Nothing a peer sends is believed before its signature or hash holds.
 */
import type { BridgeMessage } from '@pekka/node/protocol'

export { LinkServer, type LinkServerComponents, type LinkServerInit } from './link-server.js'
export { ReaderGate } from './reader-gate.js'
export { Invites } from './invites.js'
export * from './constants.js'

/** A provider that is connected and has proved who it is. A new connection of the same provider is another object. */
export interface ProviderLink {
  readonly provider: Uint8Array
  /** Queues a message; a provider that doesn't read loses its link, never our memory. */
  tell(message: BridgeMessage): void
}

export interface LinkDirectory {
  of(provider: Uint8Array): ProviderLink | undefined
  /** A provider came (back); `resume` are the tasks it still holds frames of. */
  onArrival(listener: (link: ProviderLink, resume: Uint8Array[]) => void): void
}
