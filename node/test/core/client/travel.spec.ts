import assert from 'node:assert/strict'
import { createPrimitives } from '@pekka/node/host/crypto'
import { Http, memorySource, packTravel, type PackComponents, type Packed, type TravelSource } from '@pekka/node/client'
import {
  INLINE_CONTENT_BYTES,
  PART_BYTES,
  decodeCbor,
  encodeCbor,
  toCid,
  toHex,
  viewKeyFrom
} from '@pekka/node/protocol'

/** A bridge that keeps sealed parts, and counts what it is sent. */
class Bridge {
  readonly kept = new Set<string>()
  asked: string[] = []
  sent: string[] = []

  readonly fetch = async (url: string, init: { method?: string; body?: unknown }) => {
    const { pathname } = new URL(url)
    // as the client encodes it
    const body = init.body as Uint8Array
    if (pathname === '/v1/blobs/missing') {
      const { hashes } = decodeCbor(body) as { hashes: Uint8Array[] }
      this.asked.push(...hashes.map(toHex))
      const missing = hashes.filter(hash => !this.kept.has(toCid(hash, 'raw')))
      return new Response(Uint8Array.from(encodeCbor({ missing })))
    }
    const cid = pathname.split('/').at(-1) ?? ''
    assert.equal(init.method, 'PUT')
    this.sent.push(cid)
    this.kept.add(cid)
    return new Response(null, { status: 204 })
  }

  /** What came since the last time. */
  take(): { asked: number; sent: number } {
    const counts = { asked: this.asked.length, sent: this.sent.length }
    this.asked = []
    this.sent = []
    return counts
  }
}

describe('client: values that travel again', () => {
  const bridge = new Bridge()
  const components = (viewKey: number): PackComponents => ({
    http: new Http({ fetch: bridge.fetch }, { base: 'http://127.0.0.1:1' }),
    token: () => Promise.resolve('token'),
    aead: createPrimitives().aead,
    viewKey: viewKeyFrom(new Uint8Array(32).fill(viewKey))
  })
  const pack = (values: Record<string, Uint8Array | TravelSource>, viewKey = 7): Promise<Packed> =>
    packTravel(components(viewKey), {
      files: [],
      values: Object.entries(values).map(([name, bytes]) => ({
        ...{ name, codec: 'npy' as const, python: null, type: 'array' },
        source: bytes instanceof Uint8Array ? memorySource(bytes) : bytes
      })),
      returns: { names: [], maxBytes: 0 }
    })
  const big = (fill: number, size = 3 * INLINE_CONTENT_BYTES): Uint8Array => new Uint8Array(size).fill(fill)
  beforeEach(() => {
    bridge.kept.clear()
    bridge.take()
  })

  it('send nothing where nothing has changed', async () => {
    const first = await pack({ a: big(1), b: big(2) })
    assert.deepEqual(bridge.take(), { asked: 2, sent: 2 })
    const second = await pack({ a: big(1), b: big(2) })
    assert.deepEqual(bridge.take(), { asked: 2, sent: 0 })
    assert.deepEqual(second, first)
  })

  it('send what has changed, and of a long one the part that has', async () => {
    const long = big(3, PART_BYTES + 5)
    await pack({ a: big(1), long })
    assert.equal(bridge.take().sent, 3)
    long[PART_BYTES + 1] = 9
    await pack({ a: big(1), long, b: big(2) })
    assert.equal(bridge.take().sent, 2)
  })

  it('send one of equal ones, and again what the bridge has lost', async () => {
    await pack({ a: big(1), same: big(1) })
    assert.deepEqual(bridge.take(), { asked: 1, sent: 1 })
    bridge.kept.clear()
    await pack({ a: big(1) })
    assert.deepEqual(bridge.take(), { asked: 1, sent: 1 })
  })

  it('are nobody else’s: under another key the same bytes are another part', async () => {
    await pack({ a: big(1) })
    bridge.take()
    await pack({ a: big(1) }, 8)
    assert.deepEqual(bridge.take(), { asked: 1, sent: 1 })
  })

  it('are read before files, for a kernel holds them meanwhile', async () => {
    const read: string[] = []
    const source = (name: string): TravelSource => ({
      size: 3 * INLINE_CONTENT_BYTES,
      read: async (_offset, length) => (read.push(name), big(1, length))
    })
    await packTravel(components(7), {
      files: [{ path: 'a.csv', executable: false, source: source('file') }],
      values: [{ name: 'a', codec: 'npy', python: null, type: 'array', source: source('value') }],
      returns: { names: [], maxBytes: 0 }
    })
    assert.deepEqual(read, ['value', 'file'])
  })

  it('stand in the bundle where they are small', async () => {
    const { values } = await pack({ small: big(1, 10) })
    assert.deepEqual([values[0]?.content.kind, bridge.take()], ['inline', { asked: 0, sent: 0 }])
  })
})
