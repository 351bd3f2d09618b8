import { generateKeyPair } from '@libp2p/crypto/keys'
import {
  createNetworkHost,
  type MessageChannel,
  type NetworkHost,
  type NetworkHostInit
} from '@pekka/node/host/network'
import { DelayProxy, type DelayProxyInit } from '../../support/delay-proxy.js'

/** Hosts and proxies of one test; `stop` ends them all. */
export class TestNetwork {
  readonly #parts: { stop(): Promise<void> }[] = []

  async host(init: NetworkHostInit = {}): Promise<NetworkHost> {
    const host = createNetworkHost({ key: await generateKeyPair('Ed25519') }, init)
    this.#parts.push(host)
    await host.start()
    return host
  }

  listener(init: NetworkHostInit = {}): Promise<NetworkHost> {
    return this.host({ listen: ['/ip4/127.0.0.1/tcp/0'], ...init })
  }

  /** A proxy before a host, and the address by which the host is reached through it. */
  async proxy(host: NetworkHost, init: Omit<DelayProxyInit, 'target'> = {}): Promise<[DelayProxy, string]> {
    return await this.#proxyTo(firstAddress(host), init)
  }

  /** The same address, reached through a proxy. */
  async before(address: string, init: Omit<DelayProxyInit, 'target'>): Promise<string> {
    return (await this.#proxyTo(address, init))[1]
  }

  async #proxyTo(address: string, init: Omit<DelayProxyInit, 'target'>): Promise<[DelayProxy, string]> {
    const port = Number(/\/tcp\/(\d+)/.exec(address)?.[1])
    const proxy = new DelayProxy({ target: { host: '127.0.0.1', port }, ...init })
    const own = await proxy.start()
    this.#parts.push(proxy)
    return [proxy, address.replace(/\/tcp\/\d+/, `/tcp/${own}`)]
  }

  /** Both ends of one stream. */
  async pair(
    options: { delay?: number; bytesPerSecond?: number; maxMessageBytes?: number } = {}
  ): Promise<ChannelPair> {
    const { maxMessageBytes } = options
    const server = await this.listener()
    const [proxy, address] = await this.proxy(server, options)
    const accepted = Promise.withResolvers<MessageChannel>()
    await server.handle('/pekka/test/1', channel => accepted.resolve(channel), { maxMessageBytes })
    const client = await this.host()
    const near = await client.open(address, '/pekka/test/1', { maxMessageBytes })
    return { near, far: await accepted.promise, client, server, proxy, address }
  }

  async stop(): Promise<void> {
    for (const part of this.#parts.splice(0).reverse()) await part.stop()
  }
}

export interface ChannelPair {
  near: MessageChannel
  far: MessageChannel
  client: NetworkHost
  server: NetworkHost
  proxy: DelayProxy
  address: string
}

export function firstAddress(host: NetworkHost): string {
  const [address] = host.addresses()
  if (address === undefined) throw new Error('the host does not listen')
  return address
}

/** `size` bytes that differ from message to message and place to place, so that a mix-up is seen. */
export function pattern(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let state = (seed * 2654435761 + 1) >>> 0
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}
