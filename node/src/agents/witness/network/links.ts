import {
  encodeCbor,
  equalBytes,
  isPekkaError,
  PekkaError,
  toHex,
  type Signer,
  type Verifier
} from '@pekka/node/protocol'
import {
  Liveness,
  StandingLink,
  TypedChannel,
  type MessageChannel,
  type NetworkHost,
  type Startable
} from '@pekka/node/host/network'
import {
  BAN_MS,
  HELLO_TIMEOUT_MS,
  MAX_BROKEN,
  MAX_OBSERVERS,
  MAX_OUTBOX_BYTES,
  MAX_SESSIONS_PER_PEER,
  REDIAL_MAX_MS,
  WITNESS_MESSAGE_BYTES,
  WITNESS_PING_MS,
  WITNESS_PROTOCOL,
  WITNESS_SILENCE_MS
} from './constants.js'
import { helloMessage, witnessMessageSchema, type WitnessMessage } from './messages.js'

type Hello = Extract<WitnessMessage, { type: 'hello' }>
/** What is said after the introduction. */
export type Said = Exclude<WitnessMessage, { type: 'hello' | 'ping' }>

export interface WitnessLinksComponents {
  host: NetworkHost
  /** The block key. */
  signer: Signer
  verifier: Verifier
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
  /** Milliseconds that only go forward. */
  monotonic: () => number
}

export interface WitnessLinksInit {
  network: Uint8Array
  /** Other witnesses, each with `/p2p/…`. One of them is enough: blocks are passed on. */
  addresses: readonly string[]
  /** Whether a block key sits in a committee of now. */
  isMember: (key: Uint8Array) => boolean
  /** Index of the own last commit. */
  commit: () => number
  /** An address can't be reached, or whoever answers there is none of us; told at each try. */
  onTrouble?: (address: string, error: unknown) => void
  /** Who is connected has changed. */
  onPeers: (peers: readonly string[]) => void
  /** The next message of this peer is read when it resolves. `broken`: no honest witness says this. */
  onMessage: (peer: string, message: Said) => Promise<'taken' | 'broken'>
}

/** One stream to or from a peer that has introduced itself. */
interface Session {
  readonly channel: MessageChannel
  /** The block key that it has proven; null: none. It may get a seat, or lose it, while it is connected. */
  readonly key: Uint8Array | null
  /** Index of its last commit when it introduced itself. */
  readonly commit: number
  outbox: number
}

/**
 * Streams between witnesses. Each witness dials those it was told of and takes whoever dials; which side dialled makes no difference.
 * A peer is connected while it has a stream; messages to it go over the newest.
 */
export class WitnessLinks implements Startable {
  readonly #sessions = new Map<string, Session[]>()
  readonly #links: StandingLink[]
  readonly #broken = new Map<string, number>()
  readonly #banned = new Map<string, number>()

  constructor(
    private readonly components: WitnessLinksComponents,
    private readonly init: WitnessLinksInit
  ) {
    const { host, log } = components
    const others = init.addresses.filter(address => !address.endsWith(`/p2p/${host.peerId}`))
    this.#links = others.map(
      address =>
        new StandingLink(
          { host, log },
          {
            addresses: [address],
            protocol: WITNESS_PROTOCOL,
            maxMessageBytes: WITNESS_MESSAGE_BYTES,
            maxDelay: REDIAL_MAX_MS,
            onFailure: error => this.init.onTrouble?.(address, error),
            serve: (channel, signal, established) => this.#serve(channel, signal, established)
          }
        )
    )
  }

  async start(): Promise<void> {
    await this.components.host.handle(WITNESS_PROTOCOL, (channel, signal) => this.#serve(channel, signal), {
      maxMessageBytes: WITNESS_MESSAGE_BYTES,
      maxInboundStreams: MAX_SESSIONS_PER_PEER
    })
    for (const link of this.#links) await link.start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#links.map(link => link.stop()))
    for (const sessions of this.#sessions.values()) {
      for (const { channel } of sessions) channel.abort(new PekkaError('LINK_CLOSED', {}))
    }
  }

  /** Peer ids, ascending. */
  get peers(): string[] {
    return [...this.#sessions.keys()].sort()
  }

  /** Block key of a connected peer that has a seat now, hex; null: an observer. */
  keyOf(peer: string): string | null {
    return this.#seatOf(this.#sessions.get(peer)?.at(-1))
  }

  /** Block key that a connected peer has proven, hex, whether it has a seat or not; null: none. */
  provenKeyOf(peer: string): string | null {
    const key = this.#sessions.get(peer)?.at(-1)?.key ?? null
    return key === null ? null : toHex(key)
  }

  #seatOf(session: Session | undefined): string | null {
    const key = session?.key ?? null
    return key !== null && this.init.isMember(key) ? toHex(key) : null
  }

  /** Index of the last commit of a connected peer when it introduced itself; −1: before the first, or not connected. */
  commitOf(peer: string): number {
    return this.#sessions.get(peer)?.at(-1)?.commit ?? -1
  }

  /**
   * Sends to each of these peers that is connected. What a peer is too slow for is dropped: it fetches what it lacks.
   * @returns how many it goes to
   */
  send(to: readonly string[], message: Said): number {
    const encoded = encodeCbor(message)
    let sent = 0
    for (const peer of to) {
      const session = this.#sessions.get(peer)?.at(-1)
      if (session === undefined || session.outbox + encoded.length > MAX_OUTBOX_BYTES) continue
      void this.#post(session, encoded)
      sent += 1
    }
    return sent
  }

  /** As {@link send} to one peer; resolves when the next message may be sent. */
  async sendSlowly(peer: string, message: Said): Promise<void> {
    const session = this.#sessions.get(peer)?.at(-1)
    if (session !== undefined) await this.#post(session, encodeCbor(message))
  }

  async #post(session: Session, encoded: Uint8Array): Promise<void> {
    session.outbox += encoded.length
    try {
      await session.channel.send(encoded)
    } catch {
      // The stream is gone, which its reader finds out.
    } finally {
      session.outbox -= encoded.length
    }
  }

  async #serve(channel: MessageChannel, stopping: AbortSignal, established: () => void = () => {}): Promise<void> {
    const peer = channel.remotePeer
    if ((this.#banned.get(peer) ?? 0) > this.components.monotonic()) {
      throw new PekkaError('LINK_PROTOCOL', { issue: 'this peer sent what no witness sends' })
    }
    const typed = new TypedChannel<WitnessMessage, WitnessMessage>(channel, witnessMessageSchema)
    const session = { channel, ...(await this.#greet(typed, stopping)), outbox: 0 }
    this.#enter(peer, session)
    established()
    const liveness = new Liveness(channel, {
      ping: () => typed.send({ type: 'ping' }),
      pingInterval: WITNESS_PING_MS,
      silenceLimit: WITNESS_SILENCE_MS
    })
    try {
      for (let message; (message = await typed.receive(stopping)) !== null;) {
        liveness.heard()
        if (message.type === 'hello') throw new PekkaError('LINK_PROTOCOL', { issue: 'a second hello' })
        if (message.type !== 'ping' && (await this.init.onMessage(peer, message)) === 'broken') this.#score(peer)
        // A busy reader isn't a silent peer.
        liveness.heard()
      }
    } finally {
      liveness.stop()
      this.#leave(peer, session)
    }
  }

  /** Both sides say who they are. */
  async #greet(
    typed: TypedChannel<WitnessMessage, WitnessMessage>,
    stopping: AbortSignal
  ): Promise<Pick<Session, 'key' | 'commit'>> {
    const { host, signer, verifier } = this.components
    const { network, isMember } = this.init
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(HELLO_TIMEOUT_MS)])
    const signature = await signer.sign(helloMessage(network, host.peerId))
    const commit = this.init.commit()
    await typed.send({ type: 'hello', v: 1, network, key: signer.publicKey, signature, commit }, signal)
    const hello = await typed.expect(signal)
    const refuse = (issue: string): never => {
      throw new PekkaError('LINK_PROTOCOL', { issue })
    }
    if (hello.type !== 'hello') return refuse('no hello')
    if (!equalBytes(hello.network, network)) throw new PekkaError('NETWORK_MISMATCH')
    const key = await provenKey(hello, typed.remotePeer, verifier)
    if (key !== null && isMember(key)) return { key, commit: hello.commit }
    const observers = [...this.#sessions.values()].filter(sessions => this.#seatOf(sessions.at(-1)) === null).length
    if (observers >= MAX_OBSERVERS) return refuse('there are enough observers')
    return { key, commit: hello.commit }
  }

  #enter(peer: string, session: Session): void {
    const sessions = this.#sessions.get(peer) ?? []
    if (sessions.length >= MAX_SESSIONS_PER_PEER) throw new PekkaError('LINK_PROTOCOL', { issue: 'too many streams' })
    this.#sessions.set(peer, [...sessions, session])
    if (sessions.length === 0) {
      this.components.log.info({ peer, key: this.#seatOf(session) }, 'peer connected')
      this.init.onPeers(this.peers)
    }
  }

  #leave(peer: string, session: Session): void {
    const left = (this.#sessions.get(peer) ?? []).filter(other => other !== session)
    if (left.length > 0) return void this.#sessions.set(peer, left)
    this.#sessions.delete(peer)
    this.#broken.delete(peer)
    this.components.log.info({ peer }, 'peer gone')
    this.init.onPeers(this.peers)
  }

  /** The member with this block key, hex, signed what no honest one signs. Where it isn't connected itself nobody is to blame. */
  accuseMember(key: string): void {
    for (const peer of this.peers) if (this.keyOf(peer) === key) this.accuse(peer)
  }

  /** A peer has sent over another way what no witness sends. */
  accuse(peer: string): void {
    try {
      this.#score(peer)
    } catch (error) {
      if (!isPekkaError(error)) throw error
      for (const { channel } of this.#sessions.get(peer) ?? []) channel.abort(error)
    }
  }

  #score(peer: string): void {
    const broken = (this.#broken.get(peer) ?? 0) + 1
    this.#broken.set(peer, broken)
    if (broken < MAX_BROKEN) return
    const now = this.components.monotonic()
    for (const [other, until] of this.#banned) if (until <= now) this.#banned.delete(other)
    this.#banned.set(peer, now + BAN_MS)
    this.components.log.warn({ peer }, 'peer cut off: it sends what no witness sends')
    throw new PekkaError('LINK_PROTOCOL', { issue: 'this peer sends what no witness sends' })
  }
}

async function provenKey(
  { key, signature, network }: Hello,
  peer: string,
  verifier: Verifier
): Promise<Uint8Array | null> {
  if (key === null || signature === null) return null
  return (await verifier.verify(key, helloMessage(network, peer), signature)) ? key : null
}
