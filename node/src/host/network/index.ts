/**
 * Streams between PEKKA's processes: a libp2p host, message channels that lose neither data nor memory, and on top of them
 * requests, standing links and the way to the ledger.
 *
 * ```ts
 * const host = createNetworkHost({ key: await loadPeerKey('/…/peer.key') }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
 * await host.handle('/pekka/echo/1', async channel => {
 *   for await (const message of channel) await channel.send(message)
 *   await channel.close()
 * })
 * await host.start()
 *
 * const channel = await other.open(host.addresses()[0], '/pekka/echo/1', { signal: AbortSignal.timeout(5_000) })
 * await channel.send(new Uint8Array([1, 2, 3]))
 * const answer = await channel.receive()
 * await channel.close()
 * ```
 */
import type { Gossip, GossipInit } from './gossip.js'
import { Libp2pHost, type NetworkHostComponents } from './host.js'

export { StreamChannel, type ChannelInit } from './channel.js'
export { loadPeerKey, peerIdOf, peerKeyFromSeed, publicKeyOfPeer } from './peer-key.js'
export { isLoopback } from './addresses.js'
export { TypedChannel } from './typed-channel.js'
export { request, serveRequests, type RequestOptions } from './request.js'
export { StandingLink, pause, type StandingLinkComponents, type StandingLinkInit } from './standing-link.js'
export { Liveness, type LivenessInit } from './liveness.js'
export { fetchBlob, fetchBlobTo, putBlob, serveBlobs, type BlobName, type BlobService } from './blobs.js'
export { serveLedger } from './ledger-server.js'
export type { Gossip, GossipInit, GossipVerdict } from './gossip.js'
export { isCommitMissing, LedgerClient, type LedgerClientComponents, type LedgerClientInit } from './ledger-client.js'
export * from './constants.js'
export type { NetworkHostComponents } from './host.js'

/** Something that is started once and stopped once. */
export interface Startable {
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * Messages in both directions over one stream, in order, each whole or not at all. On the wire a message is its length (u32,
 * big-endian) and its bytes. Errors are PekkaErrors: LINK_CLOSED (this side closed), LINK_LOST (the connection went without
 * a farewell), LINK_RESET (the other side threw it away), LINK_MESSAGE_TOO_LARGE. A wait that a signal ends throws the
 * signal's reason and leaves the channel usable.
 */
export interface MessageChannel extends AsyncIterable<Uint8Array> {
  /** The libp2p peer id of the other side, proven by the handshake. */
  readonly remotePeer: string
  readonly protocol: string
  /** Resolves once nothing more can come or go, whatever the reason. Never rejects. */
  readonly closed: Promise<void>
  /**
   * Sends a message. Resolves when the next one may be sent, i.e. while less than WRITE_HIGH_WATER_BYTES wait; not when
   * it has arrived. Calls are sent in the order in which they are made. The bytes are copied: the buffer is the caller's
   * again. A send that its signal ends has sent nothing.
   */
  send(message: Uint8Array, signal?: AbortSignal): Promise<void>
  /**
   * The next message, or null after the other side's half-close. The bytes are the caller's. What isn't taken stays with the
   * sender, but for a bounded amount (READ_HIGH_WATER_BYTES and two windows). One call at a time.
   */
  receive(signal?: AbortSignal): Promise<Uint8Array | null>
  /** Half-close: all that was sent still arrives, then the other side's receive gives null. */
  closeWrite(signal?: AbortSignal): Promise<void>
  /** Half-close, then drops what still comes until the other side has closed too; resets the stream after CLOSE_TIMEOUT_MS. */
  close(signal?: AbortSignal): Promise<void>
  /** Throws the stream away. The other side sees LINK_RESET. */
  abort(error: Error): void
}

/** Serves one stream. When it throws, the stream is reset. The signal is aborted when the host stops. */
export type ChannelHandler = (channel: MessageChannel, signal: AbortSignal) => Promise<void> | void

export interface HandleOptions {
  /** Bytes of the largest message of this protocol. Default DEFAULT_MAX_MESSAGE_BYTES; both sides use the same. */
  maxMessageBytes?: number
  /** Streams of this protocol that one connection may have open. */
  maxInboundStreams?: number
}

export interface OpenOptions {
  signal?: AbortSignal
  /** As in {@link HandleOptions}. */
  maxMessageBytes?: number
  /** On a connection of its own, which ends with the stream: bulk data that nothing else shall wait behind. */
  separate?: boolean
}

export interface NetworkHostInit {
  /** Multiaddresses to listen on, e.g. `/ip4/127.0.0.1/tcp/0`. None: this host only dials. */
  listen?: string[]
  /** Addresses that others are told instead; `/tcp/0` stands for the port that was got. Needed behind NAT or a wildcard. */
  announce?: string[]
  maxInboundConnections?: number
  maxInboundConnectionsPerAddress?: number
  /** Turns a peer away after the handshake. */
  refusePeer?: (peer: string) => boolean
  /** Told when a handler throws; the stream has been reset. */
  onHandlerError?: (protocol: string, peer: string, error: unknown) => void
}

export interface NetworkHost extends Startable {
  readonly peerId: string
  /** Where this host can be dialled, each with `/p2p/<peer id>`. Empty before `start` and for a host that only dials. */
  addresses(): string[]
  /** Serves a protocol; may be called before `start`. */
  handle(protocol: string, handler: ChannelHandler, options?: HandleOptions): Promise<void>
  /**
   * Opens a stream to a peer, dialling it where no connection is there.
   * @param address a multiaddress that ends in `/p2p/<peer id>`
   * @throws PekkaError PEER_UNREACHABLE; USAGE for an address without a peer; the signal's reason
   */
  open(address: string, protocol: string, options?: OpenOptions): Promise<MessageChannel>
  /** Gossip on one topic, of a host that is started; it ends the one before. It has no peers before `setPeers`. */
  gossip(init: GossipInit): Promise<Gossip>
  /** Closes all connections to a peer. */
  disconnect(peer: string): Promise<void>
  connectionCount(): number
}

/** Makes a host. It does nothing before `start`. */
export function createNetworkHost(components: NetworkHostComponents, init: NetworkHostInit = {}): NetworkHost {
  return new Libp2pHost(components, init)
}
