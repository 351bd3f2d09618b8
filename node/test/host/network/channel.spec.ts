import assert from 'node:assert/strict'
import { TestNetwork, pattern } from './support.js'

const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

describe('MessageChannel', () => {
  const network = new TestNetwork()
  afterEach(() => network.stop())

  it('carries messages of every size unchanged and in order, both ways at once', async () => {
    const { near, far } = await network.pair()
    const sizes = [0, 1, 3, 4, 255, 4095, 4096, 65_502, 65_503, 65_504, 65_507, 65_508, 200_000, 1_500_000]
    const swap = async (from: typeof near, to: typeof far, seed: number) => {
      const sent = (async () => {
        for (const size of sizes) await from.send(pattern(size, size + seed))
      })()
      for (const size of sizes) assert.deepEqual(await to.receive(), pattern(size, size + seed))
      await sent
    }
    await Promise.all([swap(near, far, 1), swap(far, near, 2)])
  })

  it('keeps the order of sends that nobody waited for', async () => {
    const { near, far } = await network.pair()
    const sends = Array.from({ length: 400 }, (_, i) => near.send(pattern(20_000, i)))
    for (let i = 0; i < 400; i++) assert.deepEqual(await far.receive(), pattern(20_000, i), `message ${i}`)
    await Promise.all(sends)
  })

  it('sends what the buffer held at the call, whatever the caller does with it afterwards', async () => {
    const { near, far } = await network.pair()
    const buffer = new Uint8Array(50_000)
    for (let i = 0; i < 100; i++) {
      buffer.fill(i)
      await near.send(buffer)
    }
    for (let i = 0; i < 100; i++) {
      const message = await far.receive()
      assert.ok(message?.every(byte => byte === i))
    }
  })

  it('gives null after a half-close, when everything before it has been received, and still sends the other way', async () => {
    const { near, far } = await network.pair()
    for (let i = 0; i < 20; i++) await near.send(pattern(30_000, i))
    await near.closeWrite()
    await assert.rejects(near.send(new Uint8Array(1)), code('LINK_CLOSED'))
    for (let i = 0; i < 20; i++) assert.deepEqual(await far.receive(), pattern(30_000, i))
    assert.equal(await far.receive(), null)
    assert.equal(await far.receive(), null)
    await far.send(pattern(10, 1))
    assert.deepEqual(await near.receive(), pattern(10, 1))
    await far.close()
    assert.equal(await near.receive(), null)
    await Promise.all([near.closed, far.closed])
  })

  it('loses nothing when the sender closes at once and the reader is slow', async () => {
    const { near, far } = await network.pair()
    const sending = (async () => {
      for (let i = 0; i < 160; i++) await near.send(pattern(100_000, i))
      await near.closeWrite()
    })()
    let count = 0
    for await (const message of far) {
      assert.deepEqual(message, pattern(100_000, count))
      count += 1
      if (count % 16 === 0) await new Promise(resolve => setTimeout(resolve, 5))
    }
    assert.equal(count, 160)
    await sending
  })

  it('tells a lost connection from an end', async () => {
    const { near, far, proxy } = await network.pair()
    await near.send(pattern(10, 1))
    assert.deepEqual(await far.receive(), pattern(10, 1))
    proxy.cut()
    await assert.rejects(far.receive(), code('LINK_LOST'))
    await assert.rejects(near.receive(), code('LINK_LOST'))
    await assert.rejects(near.send(new Uint8Array(1)), code('LINK_LOST'))
  })

  it('gives what had arrived before a reset, then the error, also to a send that waits', async () => {
    const { near, far } = await network.pair()
    await near.send(pattern(10, 1))
    await near.send(pattern(10, 2))
    assert.deepEqual(await far.receive(), pattern(10, 1))
    const blocked = Array.from({ length: 300 }, () => far.send(new Uint8Array(65_000)))
    const waiting = blocked.at(-1)
    near.abort(new Error('enough'))
    assert.deepEqual(await far.receive(), pattern(10, 2))
    await assert.rejects(far.receive(), code('LINK_RESET'))
    await assert.rejects(waiting ?? Promise.resolve(), code('LINK_RESET'))
    await Promise.allSettled(blocked)
    await assert.rejects(near.receive(), /enough/)
  })

  it('notices a message that ends early', async () => {
    const { near, far } = await network.pair({ maxMessageBytes: 10_000_000 })
    const pending = far.receive()
    const raw = rawStream(near)
    raw.send(new Uint8Array([0, 0, 1, 0, 1, 2, 3]))
    await raw.close()
    await assert.rejects(pending, code('LINK_LOST'))
  })

  it('resets a stream whose prefix announces more than is allowed, without waiting for the bytes', async () => {
    const { near, far } = await network.pair({ maxMessageBytes: 100_000 })
    const pending = far.receive()
    rawStream(near).send(new Uint8Array([0xff, 0xff, 0xff, 0xff, 1]))
    await assert.rejects(pending, code('LINK_MESSAGE_TOO_LARGE'))
    await assert.rejects(near.receive(), code('LINK_RESET'))
  })

  it('resets it also when the prefix comes in pieces behind a good message', async () => {
    const { near, far } = await network.pair({ maxMessageBytes: 100_000 })
    const raw = rawStream(near)
    raw.send(new Uint8Array([0, 0, 0, 1, 9, 0x7f]))
    assert.deepEqual(await far.receive(), new Uint8Array([9]))
    const pending = far.receive()
    for (const byte of [0xff, 0xff, 0xff]) raw.send(new Uint8Array([byte]))
    await assert.rejects(pending, code('LINK_MESSAGE_TOO_LARGE'))
  })

  it('refuses to send what the other side would refuse', async () => {
    const { near, far } = await network.pair({ maxMessageBytes: 1000 })
    await assert.rejects(near.send(new Uint8Array(1001)), code('LINK_MESSAGE_TOO_LARGE'))
    await near.send(pattern(1000, 1))
    assert.deepEqual(await far.receive(), pattern(1000, 1))
  })

  it('stays whole when waits are ended by a signal', async () => {
    const { near, far } = await network.pair()
    await assert.rejects(far.receive(AbortSignal.timeout(5)), { name: 'TimeoutError' })
    const stop = new AbortController()
    const sends = Array.from({ length: 300 }, (_, i) =>
      near.send(pattern(60_000, i), i % 2 === 1 ? stop.signal : undefined)
    )
    stop.abort(new Error('stopped'))
    const outcomes = await Promise.all([
      Promise.allSettled(sends),
      (async () => {
        const got: Uint8Array[] = []
        let message = await far.receive()
        for (; message !== null && message.length > 0; message = await far.receive()) got.push(message)
        return got
      })(),
      Promise.allSettled(sends).then(() => near.send(new Uint8Array(0)))
    ])
    const accepted = outcomes[0].flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [i] : []))
    assert.ok(accepted.length >= 150 && accepted.length < 300, `${accepted.length} were sent`)
    assert.deepEqual(
      outcomes[1],
      accepted.map(i => pattern(60_000, i))
    )
  })

  it('serves many streams of one connection at once, a stopped one among them', async () => {
    const server = await network.listener()
    const client = await network.host()
    await server.handle('/pekka/echo/1', async channel => {
      for await (const message of channel) await channel.send(message)
      await channel.close()
    })
    await server.handle('/pekka/deaf/1', channel => channel.closed)
    const [address = ''] = server.addresses()
    const deaf = await client.open(address, '/pekka/deaf/1')
    const stuck = Array.from({ length: 100 }, () => deaf.send(new Uint8Array(65_000)).catch(() => {}))
    await Promise.all(
      Array.from({ length: 30 }, async (_, n) => {
        const channel = await client.open(address, '/pekka/echo/1')
        for (let i = 0; i < 20; i++) {
          await channel.send(pattern(10_000 + n, i))
          assert.deepEqual(await channel.receive(), pattern(10_000 + n, i))
        }
        await channel.close()
      })
    )
    assert.equal(client.connectionCount(), 1)
    deaf.abort(new Error('test over'))
    await Promise.all(stuck)
  })

  it('hears what the other side said and did before the stream was handed over', async () => {
    const server = await network.listener()
    await server.handle('/pekka/brief/1', async channel => {
      await channel.send(pattern(100, 1))
      await channel.close()
    })
    await server.handle('/pekka/mute/1', channel => channel.close())
    await server.handle('/pekka/angry/1', channel => channel.abort(new Error('no')))
    const client = await network.host()
    const [address = ''] = server.addresses()
    for (let i = 0; i < 10; i++) {
      const brief = await client.open(address, '/pekka/brief/1')
      assert.deepEqual(await brief.receive(), pattern(100, 1))
      assert.equal(await brief.receive(), null)
      await brief.close()
      const mute = await client.open(address, '/pekka/mute/1')
      assert.equal(await mute.receive(), null)
      await mute.close()
      const angry = await client.open(address, '/pekka/angry/1').catch((error: unknown) => {
        assert.ok(code('PEER_UNREACHABLE')(error))
        return null
      })
      if (angry !== null) await assert.rejects(angry.receive(), code('LINK_RESET'))
    }
  })

  it('gives up closing towards a peer that never closes', async () => {
    const { near, far } = await network.pair()
    await near.close(AbortSignal.timeout(50))
    assert.equal(await far.receive(), null)
    await far.closed
    await assert.rejects(far.send(new Uint8Array(1)), code('LINK_RESET'))
  })
})

/** The stream below a channel, to write what a broken or hostile peer would. */
function rawStream(channel: object): { send(bytes: Uint8Array): boolean; close(): Promise<void> } {
  // reaching into a private field is the only way to misbehave on the wire
  return (channel as { stream: { send(bytes: Uint8Array): boolean; close(): Promise<void> } }).stream
}
