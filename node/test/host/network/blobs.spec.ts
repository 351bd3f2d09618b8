import assert from 'node:assert/strict'
import { fetchBlob, putBlob, serveBlobs, type BlobName } from '@pekka/node/host/network'
import { PekkaError, concat, sha256, toHex } from '@pekka/node/protocol'
import { TestNetwork, firstAddress, pattern } from './support.js'

const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

const task = new Uint8Array(32).fill(1)
const signal = new AbortController().signal

describe('blobs', () => {
  const network = new TestNetwork()
  afterEach(() => network.stop())

  async function bridge(blobs = new Map<string, Uint8Array>()) {
    const server = await network.listener()
    await serveBlobs(server, {
      get: async ({ hash }) => {
        const bytes = blobs.get(toHex(hash))
        if (bytes === undefined) return null
        return {
          size: bytes.length,
          chunks: (async function* () {
            yield bytes.subarray(0, 100)
            yield bytes.subarray(100)
          })()
        }
      },
      put: async ({ hash, size }, chunks) => {
        if (size > 5_000_000) throw new PekkaError('BLOB_TOO_LARGE', { max: 5_000_000 })
        const parts: Uint8Array[] = []
        for await (const chunk of chunks) parts.push(chunk)
        blobs.set(toHex(hash), concat(...parts))
      }
    })
    return { address: firstAddress(server), blobs, client: await network.host() }
  }

  const named = (bytes: Uint8Array): BlobName => ({ task, hash: sha256(bytes) })

  it('come back as they were handed over, each on a connection of its own', async () => {
    const { address, client } = await bridge()
    for (const size of [0, 1, 262_144, 262_145, 3_000_000]) {
      const bytes = pattern(size, size)
      await putBlob(client, address, named(bytes), bytes, signal)
      const back = await fetchBlob(client, address, named(bytes), 5_000_000, signal)
      assert.ok(back !== null && Buffer.from(back).equals(bytes))
    }
    while (client.connectionCount() > 0) await new Promise(resolve => setTimeout(resolve, 10))
  })

  it('come whole when many are fetched at once, the short ones before the long ones', async () => {
    const all = [10, 2_000_000, 20, 1_500_000, 30, 1_000_000, 40, 500_000].map(size => pattern(size, size))
    const { address, client } = await bridge(new Map(all.map(bytes => [toHex(sha256(bytes)), bytes])))
    const back = await Promise.all(all.map(bytes => fetchBlob(client, address, named(bytes), 5_000_000, signal)))
    assert.deepEqual(
      back.map(bytes => bytes?.length),
      all.map(bytes => bytes.length)
    )
  })

  it('have a connection each, and share none with other streams, also when all are opened at once', async () => {
    const server = await network.listener()
    await server.handle('/pekka/echo/1', async channel => {
      for await (const message of channel) await channel.send(message)
      await channel.close()
    })
    const client = await network.host()
    const open = (separate: boolean) => client.open(firstAddress(server), '/pekka/echo/1', { separate })
    const [shared, alsoShared, ...alone] = await Promise.all([false, false, true, true, true].map(open))
    assert.equal(client.connectionCount(), 4)
    for (const channel of alone) await channel.close()
    while (client.connectionCount() > 1) await new Promise(resolve => setTimeout(resolve, 5))
    for (const channel of [shared, alsoShared]) {
      await channel?.send(pattern(100, 1))
      assert.deepEqual(await channel?.receive(), pattern(100, 1))
    }
  })

  it('do not take other streams with them when their connection ends', async () => {
    const server = await network.listener()
    await server.handle('/pekka/echo/1', async channel => {
      for await (const message of channel) await channel.send(message)
      await channel.close()
    })
    const client = await network.host()
    const address = firstAddress(server)
    const alone = await client.open(address, '/pekka/echo/1', { separate: true })
    const shared = await client.open(address, '/pekka/echo/1')
    await alone.close()
    while (client.connectionCount() > 1) await new Promise(resolve => setTimeout(resolve, 5))
    await shared.send(pattern(100, 1))
    assert.deepEqual(await shared.receive(), pattern(100, 1))
  })

  it('are null where they are unknown', async () => {
    const { address, client } = await bridge()
    assert.equal(await fetchBlob(client, address, named(pattern(5, 5)), 100, signal), null)
  })

  it('are refused by the receiver when they are not what their name says, or too large', async () => {
    const { address, client, blobs } = await bridge()
    const bytes = pattern(1000, 1)
    blobs.set(toHex(sha256(bytes)), pattern(1000, 2))
    await assert.rejects(fetchBlob(client, address, named(bytes), 5000, signal), code('BLOB_MISMATCH'))
    await assert.rejects(fetchBlob(client, address, named(bytes), 999, signal), code('BLOB_TOO_LARGE'))
  })

  it('are refused by the server with the reason, and nothing false is kept', async () => {
    const { address, client, blobs } = await bridge()
    const bytes = pattern(6_000_000, 1)
    await assert.rejects(putBlob(client, address, named(bytes), bytes, signal), code('BLOB_TOO_LARGE'))
    const wrong = { task, hash: sha256(pattern(10, 10)) }
    await assert.rejects(putBlob(client, address, wrong, pattern(500_000, 2), signal), code('BRIDGE_BUSY'))
    assert.equal(blobs.size, 0)
  })
})
