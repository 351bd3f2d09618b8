import assert from 'node:assert/strict'
import { z } from 'zod'
import { request, serveRequests, TypedChannel } from '@pekka/node/host/network'
import { decodeCbor, decodeCborInPlace, encodeCbor } from '@pekka/node/protocol'
import { TestNetwork, firstAddress } from './support.js'

const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

const asked = z.strictObject({ n: z.number().int() })
const answered = z.strictObject({ twice: z.number().int() })

describe('requests and typed messages', () => {
  const network = new TestNetwork()
  afterEach(() => network.stop())

  it('gives each request its own answer', async () => {
    const server = await network.listener()
    await serveRequests(server, '/pekka/double/1', asked, async ({ n }) => ({ twice: 2 * n }))
    const client = await network.host()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => request(client, firstAddress(server), '/pekka/double/1', { n }, answered))
    )
    assert.deepEqual(
      answers,
      Array.from({ length: 20 }, (_, n) => ({ twice: 2 * n }))
    )
  })

  it('opens many streams at once on a connection that the other side has not set up yet', async () => {
    const server = await network.listener()
    await serveRequests(server, '/pekka/double/1', asked, async ({ n }) => ({ twice: 2 * n }))
    for (let fresh = 0; fresh < 3; fresh++) {
      const client = await network.host()
      const ask = (n: number) => request(client, firstAddress(server), '/pekka/double/1', { n }, answered)
      assert.equal((await Promise.all(Array.from({ length: 60 }, (_, n) => ask(n)))).length, 60)
    }
  })

  it('reads large byte strings in place and small ones as copies, and both are plain bytes', () => {
    const large = new Uint8Array(70_000).fill(5)
    const message = encodeCbor({ id: new Uint8Array(32).fill(3), parts: [large, large], text: 'ä'.repeat(50) })
    const read = decodeCborInPlace(message)
    assert.deepEqual(read, decodeCbor(message))
    const shape = z.object({ id: z.instanceof(Uint8Array), parts: z.array(z.instanceof(Uint8Array)) })
    const { id, parts } = shape.parse(read)
    assert.notEqual(id.buffer, message.buffer)
    for (const bytes of parts) assert.equal(bytes.buffer, message.buffer)
    for (const bytes of [id, ...parts]) assert.equal(bytes.constructor, Uint8Array)
    assert.notEqual(parts[0]?.slice(0, 8).buffer, message.buffer)
  })

  it('resets a stream whose message has a wrong shape and goes on serving others', async () => {
    const errors: unknown[] = []
    const server = await network.listener({ onHandlerError: (_protocol, _peer, error) => errors.push(error) })
    await serveRequests(server, '/pekka/double/1', asked, async ({ n }) => ({ twice: 2 * n }))
    const client = await network.host()
    for (const bad of [{ n: 'one' }, { n: 1, more: true }, 7, null]) {
      await assert.rejects(request(client, firstAddress(server), '/pekka/double/1', bad, answered), code('LINK_RESET'))
    }
    assert.equal(errors.length, 4)
    assert.ok(errors.every(code('LINK_PROTOCOL')))
    assert.deepEqual(await request(client, firstAddress(server), '/pekka/double/1', { n: 4 }, answered), { twice: 8 })
  })

  it('refuses bytes that are no CBOR and nesting that would overflow the stack', async () => {
    for (const bytes of [new Uint8Array([0xff, 0, 1]), new Uint8Array(200_000).fill(0x81), new Uint8Array(0)]) {
      const { near, far } = await network.pair()
      await near.send(bytes)
      await assert.rejects(new TypedChannel(far, asked).receive(), code('LINK_PROTOCOL'))
      await assert.rejects(near.receive(), code('LINK_RESET'))
      await network.stop()
    }
  })

  it('refuses an answer of a wrong shape and one that is missing', async () => {
    const server = await network.listener()
    await server.handle('/pekka/odd/1', async channel => {
      await channel.receive()
      await channel.send(encodeCbor({ thrice: 3 }))
      await channel.close()
    })
    await server.handle('/pekka/mute/1', async channel => {
      await channel.receive()
      await channel.close()
    })
    const client = await network.host()
    const ask = (protocol: string) => request(client, firstAddress(server), protocol, { n: 1 }, answered)
    await assert.rejects(ask('/pekka/odd/1'), code('LINK_PROTOCOL'))
    await assert.rejects(ask('/pekka/mute/1'), code('LINK_PROTOCOL'))
  })

  it('ends a request that is never answered by its limit, or by the caller', async () => {
    const server = await network.listener()
    await server.handle('/pekka/mute/1', channel => channel.closed)
    const client = await network.host()
    const ask = (options: { timeout?: number; signal?: AbortSignal }) =>
      request(client, firstAddress(server), '/pekka/mute/1', { n: 1 }, answered, options)
    await assert.rejects(ask({ timeout: 60 }), code('LINK_TIMEOUT'))
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('not needed')), 40)
    await assert.rejects(ask({ signal: stop.signal }), /not needed/)
  })

  it('says that nothing answers where nothing does, and refuses an address without a peer', async () => {
    const server = await network.listener()
    const address = firstAddress(server)
    await server.stop()
    const client = await network.host()
    await assert.rejects(request(client, address, '/pekka/x/1', {}, answered), code('PEER_UNREACHABLE'))
    await assert.rejects(client.open('/ip4/127.0.0.1/tcp/1', '/pekka/x/1'), code('USAGE'))
  })

  it('does not talk to somebody else at the right address', async () => {
    const [one, two] = [await network.listener(), await network.listener()]
    const client = await network.host()
    const forged = firstAddress(one).replace(one.peerId, two.peerId)
    await assert.rejects(client.open(forged, '/pekka/x/1'), code('PEER_UNREACHABLE'))
  })
})
