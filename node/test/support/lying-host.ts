import type {
  ChannelHandler,
  Gossip,
  GossipInit,
  HandleOptions,
  MessageChannel,
  NetworkHost,
  OpenOptions
} from '@pekka/node/host/network'

/** What becomes of a message before it is sent: none, one or several. */
export type Tamper = (protocol: string, peer: string, message: Uint8Array) => Promise<readonly Uint8Array[]>

/** A host whose messages are tampered with on their way out. What is above it is the production code, and doesn't know. */
export class LyingHost implements NetworkHost {
  constructor(
    private readonly host: NetworkHost,
    private readonly tamper: Tamper
  ) {}

  get peerId(): string {
    return this.host.peerId
  }

  start = (): Promise<void> => this.host.start()
  stop = (): Promise<void> => this.host.stop()
  addresses = (): string[] => this.host.addresses()
  disconnect = (peer: string): Promise<void> => this.host.disconnect(peer)
  gossip = (init: GossipInit): Promise<Gossip> => this.host.gossip(init)
  connectionCount = (): number => this.host.connectionCount()

  handle(protocol: string, handler: ChannelHandler, options?: HandleOptions): Promise<void> {
    return this.host.handle(protocol, (channel, signal) => handler(this.#lying(channel), signal), options)
  }

  async open(address: string, protocol: string, options?: OpenOptions): Promise<MessageChannel> {
    return this.#lying(await this.host.open(address, protocol, options))
  }

  #lying(channel: MessageChannel): MessageChannel {
    const { tamper } = this
    // One after the other: a lie takes longer than the truth.
    let before: Promise<unknown> = Promise.resolve()
    const send: MessageChannel['send'] = (message, signal) => {
      const bytes = message.slice()
      const sent = before.then(async () => {
        for (const each of await tamper(channel.protocol, channel.remotePeer, bytes)) await channel.send(each, signal)
      })
      before = sent.catch(() => {})
      return sent
    }
    return new Proxy(channel, {
      get(target, name) {
        if (name === 'send') return send
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  }
}
