import { createLibp2p } from 'libp2p'
import { noise } from '@libp2p/noise'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { Connection, Libp2p, MultiaddrConnection, PrivateKey } from '@libp2p/interface'
import type { GossipSubComponents } from '@libp2p/gossipsub'
import type { Multiaddr } from '@multiformats/multiaddr'
import { PekkaError, isPekkaError } from '@pekka/node/protocol'
import { StreamChannel } from './channel.js'
import {
  DIAL_TIMEOUT_MS,
  MAX_EARLY_STREAMS,
  MAX_INBOUND_CONNECTIONS,
  MAX_INBOUND_CONNECTIONS_PER_ADDRESS,
  MAX_INBOUND_PER_SECOND,
  MAX_STREAMS_PER_PROTOCOL,
  NEGOTIATION_TIMEOUT_MS,
  READ_BUFFER_BYTES,
  STREAM_WINDOW_BYTES
} from './constants.js'
import { GossipMesh, type Gossip, type GossipInit } from './gossip.js'
import { recordListeners, type RecordedTransport } from './listeners.js'
import { noiseCrypto } from './noise-crypto.js'
import { writeAtOnce } from './one-write.js'
import type {
  ChannelHandler,
  HandleOptions,
  MessageChannel,
  NetworkHost,
  NetworkHostInit,
  OpenOptions
} from './index.js'

export interface NetworkHostComponents {
  /** The host's identity; see `loadPeerKey`. */
  key: PrivateKey
}

/** Our libp2p node: TCP, noise, yamux, identify and ping, gossip where it is asked for, and nothing that finds peers by itself. */
export class Libp2pHost implements NetworkHost {
  readonly peerId: string
  readonly #listened: () => Multiaddr[]
  readonly #heard = new WeakMap<Connection, number>()
  readonly #perAddress = new Map<string, number>()
  readonly #separate = new WeakSet<Connection>()
  /** The last dial to each peer. */
  readonly #dials = new Map<string, Promise<unknown>>()
  readonly #handlers = new Map<string, { handler: ChannelHandler; options: HandleOptions }>()
  readonly #stopping = new AbortController()
  #node: Libp2p | null = null
  /** What the node is made of, for the gossip. */
  #parts: GossipSubComponents | null = null
  #gossip: GossipMesh | null = null
  readonly #transport: RecordedTransport<Parameters<ReturnType<typeof tcp>>[0], ReturnType<ReturnType<typeof tcp>>>

  constructor(
    private readonly components: NetworkHostComponents,
    private readonly init: NetworkHostInit
  ) {
    this.peerId = peerIdFromPrivateKey(components.key).toString()
    this.#transport = recordListeners(tcp())
    this.#listened = this.#transport.addresses
  }

  async start(): Promise<void> {
    if (this.#node !== null) return
    const maxInbound = this.init.maxInboundConnections ?? MAX_INBOUND_CONNECTIONS
    const node = await createLibp2p({
      start: false,
      privateKey: this.components.key,
      addresses: { listen: this.init.listen ?? [], announce: this.init.announce ?? [] },
      transports: [this.#transport.factory],
      connectionEncrypters: [noise({ crypto: noiseCrypto })],
      streamMuxers: [
        yamux({
          maxEarlyStreams: MAX_EARLY_STREAMS,
          streamOptions: {
            initialStreamWindowSize: STREAM_WINDOW_BYTES,
            maxStreamWindowSize: STREAM_WINDOW_BYTES,
            maxReadBufferLength: READ_BUFFER_BYTES
          }
        })
      ],
      services: {
        identify: identify(),
        ping: ping(),
        parts: (parts: GossipSubComponents) => {
          this.#parts = parts
          return {}
        }
      },
      // Its ping waits behind bulk data on a slow line and then cuts a healthy connection; links look after themselves.
      connectionMonitor: { enabled: false },
      connectionManager: {
        // Above our own limits, so that the library never prunes a connection that we let in.
        maxConnections: 2 * maxInbound + 64,
        maxIncomingPendingConnections: 128,
        inboundConnectionThreshold: MAX_INBOUND_PER_SECOND,
        dialTimeout: DIAL_TIMEOUT_MS,
        addressDialTimeout: DIAL_TIMEOUT_MS,
        inboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
        outboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS
      },
      connectionGater: {
        denyDialMultiaddr: () => false,
        denyOutboundConnection: (_, connection) => {
          writeAtOnce(connection)
          return false
        },
        denyInboundConnection: connection => {
          writeAtOnce(connection)
          return !this.#admits(connection, maxInbound)
        },
        denyInboundEncryptedConnection: peer => this.init.refusePeer?.(peer.toString()) ?? false
      }
    })
    this.#node = node
    for (const [protocol, { handler, options }] of this.#handlers)
      await this.#register(node, protocol, handler, options)
    await node.start()
  }

  async stop(): Promise<void> {
    const node = this.#node
    this.#node = null
    this.#stopping.abort(new PekkaError('LINK_CLOSED', {}))
    await this.#gossip?.stop()
    if (node === null) return
    await node.stop()
  }

  addresses(): string[] {
    const ports = this.#listened().map(
      address => address.getComponents().find(part => part.name === 'tcp')?.value ?? '0'
    )
    const announced = (this.init.announce ?? []).map(address =>
      address.replace(/\/tcp\/0(?=\/|$)/, `/tcp/${ports[0] ?? 0}`)
    )
    const plain = announced.length > 0 ? announced : this.#listened().map(address => address.toString())
    return plain.map(address => (address.includes('/p2p/') ? address : `${address}/p2p/${this.peerId}`))
  }

  async handle(protocol: string, handler: ChannelHandler, options: HandleOptions = {}): Promise<void> {
    this.#handlers.set(protocol, { handler, options })
    if (this.#node !== null) await this.#register(this.#node, protocol, handler, options)
  }

  async open(address: string, protocol: string, options: OpenOptions = {}): Promise<MessageChannel> {
    const node = this.#started()
    const target = parseAddress(address)
    const limit = AbortSignal.timeout(NEGOTIATION_TIMEOUT_MS)
    const signals = [limit, this.#stopping.signal, ...(options.signal === undefined ? [] : [options.signal])]
    const signal = AbortSignal.any(signals)
    let connection: Connection | undefined
    try {
      connection = await this.#connect(node, target, signal, options.separate === true)
      const stream = await connection.newStream([protocol], { signal, runOnLimitedConnection: false })
      const from = connection
      const channel = new StreamChannel(stream, from.remotePeer.toString(), {
        maxMessageBytes: options.maxMessageBytes,
        onHeard: () => this.#heard.set(from, Date.now())
      })
      if (options.separate === true)
        void channel.closed.then(() => from.close().catch((error: Error) => from.abort(error)))
      return channel
    } catch (cause) {
      options.signal?.throwIfAborted()
      if (limit.aborted && connection !== undefined && this.#silent(connection)) {
        // Nothing comes over this connection any more, and the library would give it to the next caller too.
        connection.abort(new PekkaError('LINK_TIMEOUT', { seconds: NEGOTIATION_TIMEOUT_MS / 1000 }))
      }
      if (isPekkaError(cause)) throw cause
      throw new PekkaError('PEER_UNREACHABLE', { address }, { cause })
    }
  }

  async gossip(init: GossipInit): Promise<Gossip> {
    this.#started()
    if (this.#parts === null) throw new TypeError('a started host has parts')
    await this.#gossip?.stop()
    this.#gossip = new GossipMesh({ parts: this.#parts, connectionTo: peer => this.#shared(peer) }, init)
    await this.#gossip.start()
    return this.#gossip
  }

  async disconnect(peer: string): Promise<void> {
    const connections = this.#node?.getConnections().filter(one => one.remotePeer.toString() === peer) ?? []
    await Promise.all(connections.map(one => one.close().catch((error: Error) => one.abort(error))))
  }

  connectionCount(): number {
    return this.#node?.getConnections().length ?? 0
  }

  /** A shared connection never is one that ends with somebody else's stream. */
  async #connect(node: Libp2p, target: Multiaddr, signal: AbortSignal, separate: boolean): Promise<Connection> {
    const peer = target.getComponents().findLast(part => part.name === 'p2p')?.value ?? ''
    if (separate) {
      const own = await this.#dial(peer, () => node.dial(target, { signal, force: true }))
      this.#separate.add(own)
      return own
    }
    const shared = (): Connection | undefined => this.#shared(peer)
    return (
      shared() ?? (await this.#dial(peer, async () => shared() ?? (await node.dial(target, { signal, force: true }))))
    )
  }

  #shared(peer: string): Connection | undefined {
    return this.#node
      ?.getConnections()
      .find(one => one.remotePeer.toString() === peer && one.status === 'open' && !this.#separate.has(one))
  }

  /**
   * One dial to a peer after the other: the library gives callers that dial at the same time one connection, and a separate one would
   * end under whoever else got it.
   */
  #dial(peer: string, dial: () => Promise<Connection>): Promise<Connection> {
    const mine = (this.#dials.get(peer) ?? Promise.resolve()).then(dial)
    const over = mine.catch(() => {})
    this.#dials.set(peer, over)
    void over.then(() => {
      if (this.#dials.get(peer) === over) this.#dials.delete(peer)
    })
    return mine
  }

  #started(): Libp2p {
    if (this.#node === null) throw new PekkaError('LINK_CLOSED', {})
    return this.#node
  }

  async #register(node: Libp2p, protocol: string, handler: ChannelHandler, options: HandleOptions): Promise<void> {
    const most = options.maxInboundStreams ?? MAX_STREAMS_PER_PROTOCOL
    await node.handle(
      protocol,
      (stream, connection) => {
        // Synchronously, or data that came with the stream's first packet would be lost (P5).
        const channel = new StreamChannel(stream, connection.remotePeer.toString(), {
          maxMessageBytes: options.maxMessageBytes,
          onHeard: () => this.#heard.set(connection, Date.now())
        })
        Promise.resolve()
          .then(() => handler(channel, this.#stopping.signal))
          .catch((error: unknown) => {
            channel.abort(error instanceof Error ? error : new Error(String(error)))
            this.init.onHandlerError?.(protocol, channel.remotePeer, error)
          })
      },
      { maxInboundStreams: most, maxOutboundStreams: most, force: true }
    )
  }

  #silent(connection: Connection): boolean {
    const last = this.#heard.get(connection)
    return last === undefined || Date.now() - last >= NEGOTIATION_TIMEOUT_MS
  }

  #admits(connection: MultiaddrConnection, most: number): boolean {
    const inbound = this.#node?.getConnections().filter(one => one.direction === 'inbound').length ?? 0
    if (inbound >= most) return false
    const from = connection.remoteAddr.getComponents()[0]?.value ?? 'unknown'
    const count = this.#perAddress.get(from) ?? 0
    if (count >= (this.init.maxInboundConnectionsPerAddress ?? MAX_INBOUND_CONNECTIONS_PER_ADDRESS)) return false
    this.#perAddress.set(from, count + 1)
    connection.addEventListener('close', () => {
      const left = (this.#perAddress.get(from) ?? 1) - 1
      if (left <= 0) this.#perAddress.delete(from)
      else this.#perAddress.set(from, left)
    })
    return true
  }
}

/** An address to dial must name the peer it belongs to: whoever answers there must prove that it is this peer. */
function parseAddress(address: string): Multiaddr {
  try {
    const parsed = multiaddr(address)
    if (parsed.getComponents().some(part => part.name === 'p2p')) return parsed
  } catch (cause) {
    throw new PekkaError('PEER_UNREACHABLE', { address }, { cause })
  }
  throw new PekkaError('USAGE', { issue: `The address ${address} names no peer (/p2p/…).` })
}
