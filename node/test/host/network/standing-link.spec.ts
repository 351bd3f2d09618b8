import assert from 'node:assert/strict'
import { Liveness, StandingLink, type MessageChannel } from '@pekka/node/host/network'
import { TestNetwork } from './support.js'

const log = { info: () => {}, warn: () => {} }
const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

/** Collects what a test waits for, one by one. */
class Queue<T> {
  readonly #items: T[] = []
  #wake: (() => void) | null = null

  push(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  async next(): Promise<T> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) return item
      await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }
}

describe('StandingLink', () => {
  const network = new TestNetwork()
  const links: StandingLink[] = []
  afterEach(async () => {
    for (const link of links.splice(0)) await link.stop()
    await network.stop()
  })

  it('comes back after a cut, and after the other side was away', async () => {
    const server = await network.listener()
    const accepted = new Queue<MessageChannel>()
    await server.handle('/pekka/link/1', channel => {
      accepted.push(channel)
      return channel.closed
    })
    const [proxy, address] = await network.proxy(server)
    const client = await network.host()
    const link = new StandingLink(
      { host: client, log },
      {
        addresses: [address],
        protocol: '/pekka/link/1',
        minDelay: 10,
        maxDelay: 50,
        serve: async (channel, signal, established) => {
          established()
          await channel.send(new Uint8Array([1]), signal)
          for (;;) if ((await channel.receive(signal)) === null) return
        }
      }
    )
    links.push(link)
    await link.start()
    const first = await accepted.next()
    assert.deepEqual(await first.receive(), new Uint8Array([1]))
    proxy.cut()
    await assert.rejects(first.receive(), code('LINK_LOST'))
    const second = await accepted.next()
    await second.close()
    const third = await accepted.next()
    assert.deepEqual(await third.receive(), new Uint8Array([1]))
    const farewell = third.receive()
    await link.stop()
    assert.equal(await farewell, null)
  })

  it('tries its addresses in turn', async () => {
    const server = await network.listener()
    const accepted = new Queue<MessageChannel>()
    await server.handle('/pekka/link/1', channel => {
      accepted.push(channel)
      return channel.closed
    })
    const gone = await network.listener()
    const [dead = ''] = gone.addresses()
    await gone.stop()
    const link = new StandingLink(
      { host: await network.host(), log },
      {
        addresses: [dead, ...server.addresses()],
        protocol: '/pekka/link/1',
        minDelay: 5,
        maxDelay: 10,
        serve: channel => channel.closed
      }
    )
    links.push(link)
    await link.start()
    await accepted.next()
  })
})

describe('Liveness', () => {
  const network = new TestNetwork()
  afterEach(() => network.stop())

  it('resets a link whose other side has gone silent, also without a reset from the line', async () => {
    const { near, proxy } = await network.pair()
    proxy.stall()
    const liveness = new Liveness(near, { silenceLimit: 80 })
    await assert.rejects(near.receive(), code('LINK_TIMEOUT'))
    liveness.stop()
  })

  it('keeps a quiet link alive by pings', async () => {
    const { near, far } = await network.pair()
    const pings: number[] = []
    const watch = new Liveness(near, {
      pingInterval: 20,
      silenceLimit: 200,
      ping: () => near.send(new Uint8Array([1]))
    })
    const answering = (async () => {
      for await (const message of far) await far.send(message)
    })()
    while (pings.length < 20) {
      const message = await near.receive()
      watch.heard()
      pings.push(message?.length ?? -1)
    }
    assert.ok(pings.every(length => length === 1))
    watch.stop()
    await near.closeWrite()
    await answering
  })
})
