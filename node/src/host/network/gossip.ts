import { createHash } from 'node:crypto'
import { isStartable, start, stop, type Connection, type Stream, type Topology } from '@libp2p/interface'
import type { GossipSub, GossipSubComponents } from '@libp2p/gossipsub'
import { peerIdFromString } from '@libp2p/peer-id'
import { PekkaError } from '@pekka/node/protocol'
import {
  GOSSIP_BURST_MESSAGES,
  GOSSIP_MESSAGES_PER_SECOND,
  GOSSIP_OUTBOX_BYTES,
  GOSSIP_RPC_BYTES,
  GOSSIP_SEEN_MS
} from './constants.js'
import { PacedStream, Pacer } from './paced-stream.js'

/** What becomes of a message. `reject`: no honest peer passes it on; it costs the sender its score. */
export type GossipVerdict = 'forward' | 'ignore' | 'reject'

export interface GossipInit {
  topic: string
  /** Judges a message and takes it in; until it has answered nothing is passed on, and nothing more is read of that peer. */
  take: (message: Uint8Array, from: string) => Promise<GossipVerdict>
}

/** One topic among peers that were let in. */
export interface Gossip {
  /** Who may send and is sent to; everybody else's streams are thrown away. */
  setPeers(peers: readonly string[]): void
  /** To all of them that are there. @returns how many it goes to */
  publish(message: Uint8Array): Promise<number>
  /** 0 as long as a peer keeps to the rules; below it nothing is passed on to it, and below GOSSIP_DEAF nothing is taken of it. */
  scoreOf(peer: string): number
  /** Peers that have named the topic. */
  readonly subscribers: readonly string[]
  stop(): Promise<void>
}

export interface GossipMeshComponents {
  /** Of the libp2p node. */
  parts: GossipSubComponents
  connectionTo: (peer: string) => Connection | undefined
}

/** Square of the messages rejected of late, times this; half of them are forgotten in a minute. Three make a peer deaf. */
const REJECTED_WEIGHT = -10
const REJECTED_DECAY = 0.99
/** Nothing is earned that could be spent on rubbish, and nobody owes traffic: as a rule there is none. */
const TOPIC_SCORE = {
  topicWeight: 1,
  timeInMeshWeight: 0,
  timeInMeshQuantum: 1,
  timeInMeshCap: 1,
  firstMessageDeliveriesWeight: 0,
  firstMessageDeliveriesDecay: 0.5,
  firstMessageDeliveriesCap: 1,
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 1,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 1_000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  invalidMessageDeliveriesWeight: REJECTED_WEIGHT,
  invalidMessageDeliveriesDecay: REJECTED_DECAY
}

/** From here on nothing of a peer is read but its bytes. */
const GOSSIP_DEAF = -40

/**
 * Gossipsub 1.2 over libp2p, for one topic and with one version of everything. It is the library's, but for three things that it
 * doesn't do: only peers that were let in get a stream, streams are read at a bounded pace (paced-stream.ts), and a stream that
 * broke is opened again at the next heartbeat.
 *
 * Messages are unsigned (StrictNoSign): what they carry is signed. Their id is the hash of their content. There is no lazy pull (IHAVE,
 * IWANT): a publisher sends to all its peers, whoever takes it in passes it on, and what is lost comes in a block.
 */
export class GossipMesh implements Gossip {
  #node: GossipSub | null = null
  /** Who is let in, and how fast it may bring messages: the library remembers each for two minutes. */
  #peers = new Map<string, Pacer>()
  #topology: Topology = {}
  /** What goes out to each of them. */
  readonly #streams = new Map<string, Stream>()

  constructor(
    private readonly components: GossipMeshComponents,
    private readonly init: GossipInit
  ) {}

  async start(): Promise<void> {
    // Most processes never gossip.
    const { gossipsub, multicodec, StrictNoSign, TopicValidatorResult } = await import('@libp2p/gossipsub')
    const { topic } = this.init
    const { parts } = this.components
    const make = gossipsub({
      globalSignaturePolicy: StrictNoSign,
      msgIdFn: ({ data }) => createHash('sha256').update(data).digest(),
      fallbackToFloodsub: false,
      allowedTopics: [topic],
      allowPublishToZeroTopicPeers: true,
      ignoreDuplicatePublishError: true,
      tagMeshPeers: false,
      // Backpressure: no message before the one before it is judged.
      awaitRpcHandler: true,
      awaitRpcMessageHandler: true,
      maxInboundDataLength: GOSSIP_RPC_BYTES,
      maxOutboundBufferSize: GOSSIP_OUTBOX_BYTES,
      maxTopicBytesPerPeer: 2048,
      seenTTL: GOSSIP_SEEN_MS,
      Dlazy: 0,
      gossipFactor: 0,
      decodeRpcLimits: {
        maxSubscriptions: 4,
        maxMessages: 16,
        maxControlMessages: 16,
        maxIhaveMessageIDs: 1,
        maxIwantMessageIDs: 1,
        maxIdontwantMessageIDs: 64,
        maxPeerInfos: 1
      },
      scoreParams: {
        // A committee on one computer, or behind one address, is no attack.
        IPColocationFactorWeight: 0,
        appSpecificWeight: 0,
        retainScore: 60_000,
        topics: {
          [topic]: TOPIC_SCORE
        }
      },
      scoreThresholds: { gossipThreshold: -1, publishThreshold: -1, graylistThreshold: GOSSIP_DEAF }
    })
    // One by one: they are no properties that could be spread.
    const { privateKey, peerId, peerStore, connectionManager, logger } = parts
    const registrar = this.#registrar(parts.registrar)
    const node = make({ privateKey, peerId, peerStore, registrar, connectionManager, logger })
    node.protocols = [multicodec]
    const results = {
      forward: TopicValidatorResult.Accept,
      ignore: TopicValidatorResult.Ignore,
      reject: TopicValidatorResult.Reject
    }
    node.topicValidators.set(topic, async (from, { data }) => results[await this.#take(data, from.toString())])
    node.addEventListener('gossipsub:heartbeat', () => this.#reconnect())
    await start(node)
    this.#node = node
    node.subscribe(topic)
    this.#reconnect()
  }

  async stop(): Promise<void> {
    const node = this.#node
    this.#node = null
    this.#peers.clear()
    this.#streams.clear()
    if (isStartable(node)) await stop(node)
  }

  setPeers(peers: readonly string[]): void {
    const before = this.#peers
    const pacer = (): Pacer => new Pacer(GOSSIP_MESSAGES_PER_SECOND, GOSSIP_BURST_MESSAGES)
    this.#peers = new Map(peers.map(peer => [peer, before.get(peer) ?? pacer()]))
    const gone = [...before.keys()].filter(peer => !this.#peers.has(peer))
    for (const peer of gone) {
      this.#streams.delete(peer)
      this.#topology.onDisconnect?.(peerIdFromString(peer))
    }
    this.#reconnect()
  }

  async publish(message: Uint8Array): Promise<number> {
    return (await this.#node?.publish(this.init.topic, message))?.recipients.length ?? 0
  }

  scoreOf(peer: string): number {
    const node = this.#node
    // The interface leaves it out.
    const known = node !== null && 'getScore' in node && typeof node.getScore === 'function'
    return known ? Number((node.getScore as (peer: string) => number)(peer)) : 0
  }

  get subscribers(): string[] {
    return (this.#node?.getSubscribers(this.init.topic) ?? []).map(String)
  }

  /** What came before somebody was put out isn't taken in any more. */
  async #take(message: Uint8Array, from: string): Promise<GossipVerdict> {
    await this.#peers.get(from)?.pay(1)
    return this.#peers.has(from) ? await this.init.take(message, from) : 'ignore'
  }

  /** The library opens a stream to each of them that it has none to; a peer may not have let us in when it was tried last. */
  #reconnect(): void {
    if (this.#node === null) return
    for (const peer of this.#peers.keys()) {
      const connection = this.components.connectionTo(peer)
      if (connection === undefined) continue
      // One that ended while it was being opened the library takes for a living one: it didn't listen yet.
      const lost = this.#streams.get(peer)?.status
      if (lost !== undefined && lost !== 'open') {
        this.#streams.delete(peer)
        this.#topology.onDisconnect?.(connection.remotePeer)
      }
      this.#topology.onConnect?.(connection.remotePeer, this.#noting(connection))
    }
  }

  /** The connection, of which we see what streams are opened on it. */
  #noting(connection: Connection): Connection {
    const newStream: Connection['newStream'] = async (protocols, options) => {
      const stream = await connection.newStream(protocols, options)
      this.#streams.set(connection.remotePeer.toString(), stream)
      return stream
    }
    return new Proxy(connection, {
      get: (target, name) => {
        if (name === 'newStream') return newStream
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  }

  /** What the library registers with. It learns of peers from {@link setPeers} alone. */
  #registrar(real: GossipSubComponents['registrar']): GossipSubComponents['registrar'] {
    return {
      getProtocols: () => real.getProtocols(),
      getHandler: protocol => real.getHandler(protocol),
      getTopologies: () => [this.#topology],
      use: (protocol, middleware) => real.use(protocol, middleware),
      unuse: protocol => real.unuse(protocol),
      getMiddleware: protocol => real.getMiddleware(protocol),
      unhandle: (protocol, options) => real.unhandle(protocol, options),
      handle: async (protocol, handler, options) => {
        const admit = (stream: Stream, connection: Connection): void => {
          if (!this.#peers.has(connection.remotePeer.toString())) {
            return stream.abort(new PekkaError('LINK_PROTOCOL', { issue: 'no gossip with strangers' }))
          }
          // The library iterates over it, closes it, throws it away, and uses nothing else of a stream that came in.
          void handler(new PacedStream(stream) as unknown as Stream, this.#noting(connection))
        }
        await real.handle(protocol, admit, { ...options, maxInboundStreams: 2, force: true })
      },
      register: async (protocol, topology) => {
        this.#topology = topology
        return protocol
      },
      unregister: () => (this.#topology = {})
    }
  }
}
