import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Gossip, GossipVerdict, NetworkHost } from '@pekka/node/host/network'
import { GOSSIP_BURST_BYTES, GOSSIP_BYTES_PER_SECOND } from '../../../src/host/network/constants.js'
import { PacedStream } from '../../../src/host/network/paced-stream.js'
import { startHost } from '../../agents/witness/network/committee.js'

const text = new TextDecoder()
const bytes = (word: string): Uint8Array => new TextEncoder().encode(word)

interface Peer {
  host: NetworkHost
  gossip: Gossip
  /** What came, and over whom. */
  heard: { word: string; from: string }[]
}

describe('gossip among peers that are let in', function () {
  this.timeout(30_000)
  const peers: Peer[] = []

  /** What is said is rubbish, nothing new, or worth passing on. */
  const judge = (word: string): GossipVerdict =>
    word.startsWith('rubbish') ? 'reject' : word.startsWith('old') ? 'ignore' : 'forward'

  async function make(): Promise<Peer> {
    const host = await startHost(['/ip4/127.0.0.1/tcp/0'])
    const heard: Peer['heard'] = []
    const take = async (message: Uint8Array, from: string): Promise<GossipVerdict> => {
      const word = text.decode(message)
      heard.push({ word, from })
      return judge(word)
    }
    const peer = { host, gossip: await host.gossip({ topic: 'test/1', take }), heard }
    peers.push(peer)
    return peer
  }

  /** A connection between two, and each lets the other in. */
  async function meet(pairs: readonly (readonly [Peer, Peer])[]): Promise<void> {
    for (const [one, other] of pairs) {
      await other.host.handle('/test/1', channel => channel.close())
      await (await one.host.open(other.host.addresses()[0] ?? '', '/test/1')).close()
    }
    const known = (peer: Peer): string[] =>
      pairs.flatMap(([one, other]) => (one === peer ? [other.host.peerId] : other === peer ? [one.host.peerId] : []))
    for (const peer of new Set(pairs.flat())) peer.gossip.setPeers(known(peer))
    for (const peer of new Set(pairs.flat())) {
      await until(() => known(peer).every(id => peer.gossip.subscribers.includes(id)))
    }
  }

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await sleep(10)
  }

  afterEach(async () => {
    await Promise.all(peers.splice(0).map(({ host }) => host.stop()))
  })

  it('passes on what is worth it, once, and neither what is nothing new nor rubbish, which costs its sender the score', async () => {
    const [a, b, c] = [await make(), await make(), await make()]
    // a – b – c
    await meet([
      [a, b],
      [b, c]
    ])
    for (const word of ['news', 'old', 'rubbish', 'news', 'more news']) await a.gossip.publish(bytes(word))
    await until(() => c.heard.length === 2)
    assert.deepEqual(
      b.heard.map(({ word }) => word),
      ['news', 'old', 'rubbish', 'more news']
    )
    assert.deepEqual(c.heard, [
      { word: 'news', from: b.host.peerId },
      { word: 'more news', from: b.host.peerId }
    ])
    await until(() => b.gossip.scoreOf(a.host.peerId) < 0)
    assert.equal(c.gossip.scoreOf(b.host.peerId), 0)
  })

  it('is deaf to who goes on sending rubbish', async () => {
    const [a, b] = [await make(), await make()]
    await meet([[a, b]])
    for (let i = 0; b.gossip.scoreOf(a.host.peerId) >= -40; i++) {
      await a.gossip.publish(bytes(`rubbish ${i}`))
      await sleep(20)
    }
    // The library trusts whoever it has looked at for a second.
    await sleep(1_100)
    await a.gossip.publish(bytes('news'))
    await sleep(200)
    assert.ok(!b.heard.some(({ word }) => word === 'news'))
  })

  it('tells strangers nothing, and opens a stream again that was thrown away before both had let each other in', async () => {
    const [a, b] = [await make(), await make()]
    await b.host.handle('/test/1', channel => channel.close())
    await (await a.host.open(b.host.addresses()[0] ?? '', '/test/1')).close()
    a.gossip.setPeers([b.host.peerId])
    await sleep(200)
    assert.equal(await b.gossip.publish(bytes('for nobody')), 0)
    assert.deepEqual([a.heard, b.gossip.subscribers, a.gossip.subscribers], [[], [], []])
    b.gossip.setPeers([a.host.peerId])
    await until(() => b.gossip.subscribers.length === 1 && a.gossip.subscribers.length === 1)
    await a.gossip.publish(bytes('news'))
    await until(() => b.heard.length === 1)
  })

  it('has no streams with strangers, and with nobody who was put out', async () => {
    const [a, b] = [await make(), await make()]
    await meet([[a, b]])
    a.gossip.setPeers([])
    assert.equal(await a.gossip.publish(bytes('news')), 0)
    await b.gossip.publish(bytes('who is there'))
    // Let in again, over the same connection, it hears the next.
    a.gossip.setPeers([b.host.peerId])
    await until(() => b.gossip.subscribers.length === 1 && a.gossip.subscribers.length === 1)
    await b.gossip.publish(bytes('again'))
    await until(() => a.heard.length > 0)
    assert.deepEqual(
      a.heard.map(({ word }) => word),
      ['again']
    )
  })
})

describe('a paced stream', () => {
  /** A stream that hands over what it is told to, and notes when it is held back. */
  class Source extends EventTarget {
    status = 'open'
    readStatus = 'readable'
    held: Uint8Array[] = []
    give(data: Uint8Array): void {
      if (this.readStatus === 'paused') this.held.push(data)
      else this.dispatchEvent(Object.assign(new Event('message'), { data }))
    }
    pause(): void {
      this.readStatus = 'paused'
    }
    resume(): void {
      this.readStatus = 'readable'
      for (const data of this.held.splice(0)) this.give(data)
    }
    end(): void {
      this.dispatchEvent(new Event('close'))
    }
  }

  it('holds its sender back while nobody reads, loses nothing, and reads no faster than it may', async () => {
    const source = new Source()
    // It uses nothing else of a stream.
    const paced = new PacedStream(source as unknown as ConstructorParameters<typeof PacedStream>[0])
    const piece = 64 << 10
    const count = (GOSSIP_BURST_BYTES + GOSSIP_BYTES_PER_SECOND / 4) / piece
    for (let i = 0; i < count; i++) {
      source.give(new Uint8Array(piece).fill(i))
      await Promise.resolve()
    }
    assert.equal(source.readStatus, 'paused')
    assert.ok(source.held.length > count / 2, 'most of it waits with the sender')
    const began = performance.now()
    const got: number[] = []
    for await (const data of paced) {
      got.push(data[0] ?? -1)
      if (got.length === count) source.end()
    }
    assert.deepEqual(
      got,
      Array.from({ length: count }, (_, i) => i)
    )
    // A quarter of a second's worth over the burst; timers may be a little early.
    assert.ok(performance.now() - began > 200)
  })
})
