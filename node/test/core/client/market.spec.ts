import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'
import { Market, chooseCandidates, type Requirements, type VerifiedAsk } from '../../../src/core/client/market.js'
import type { Http } from '../../../src/core/client/transport.js'
import { askView } from '../../support/asks.js'

const primitives = createPrimitives()
const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const network = bytes(1)

/** A market whose bridge counts what it is asked, at a time that the test sets. */
async function marketAt(expiry: number) {
  const asks = [await askView({ network, provider: bytes(2), agent: createSigner(bytes(3)), expiry })]
  const world = { now: 0, asked: 0 }
  const http = { request: async () => (world.asked++, { asks }) }
  // Only `request` is used.
  const market = new Market({ http: http as unknown as Http, primitives, clock: { now: () => world.now } }, network)
  return { market, world }
}

describe('published prices', () => {
  it('are answered at once with what is known for a minute, and asked for again behind that', async () => {
    const { market, world } = await marketAt(1e9)
    assert.equal((await market.asks()).length, 1)
    world.now = 4_000
    await market.asks()
    assert.equal(world.asked, 1)
    world.now = 50_000
    const [known] = await Promise.all([market.asks(), turn()])
    assert.equal(known.length, 1)
    assert.equal(world.asked, 2)
    for (let i = 0; i < 50; i++) await turn()
    // What was fetched meanwhile is a minute's knowledge again.
    world.now = 54_000
    await market.asks()
    assert.equal(world.asked, 2)
  })

  it('are asked for again when a task has ended, where they weren’t a moment ago, and not at the click that follows', async () => {
    const { market, world } = await marketAt(1e9)
    await market.asks()
    world.now = 4_000
    market.freshen()
    assert.equal(world.asked, 1)
    world.now = 29_000
    await market.asks()
    assert.equal(world.asked, 1)
    market.freshen()
    for (let i = 0; i < 50; i++) await turn()
    assert.equal(world.asked, 2)
    world.now = 58_000
    await market.asks()
    assert.equal(world.asked, 2)
  })

  it('are asked for anew where they are older, wanted fresh, or have ended', async () => {
    const { market, world } = await marketAt(30_000)
    assert.equal((await market.asks()).length, 1)
    world.now = 1
    await market.asks(0)
    assert.equal(world.asked, 2)
    world.now = 30_001
    assert.deepEqual(await market.asks(), [])
    assert.equal(world.asked, 3)
    const other = await marketAt(1e9)
    await other.market.asks()
    other.world.now = 61_000
    await other.market.asks()
    assert.equal(other.world.asked, 2)
  })
})

describe('candidates for a task', () => {
  const resources = { milliCpus: 1000, memoryBytes: 1 << 30, diskBytes: 1 << 30, gpu: null }
  const need: Requirements = { image: 'base', resources, maxPrice: null, only: null, avoid: [] }
  const machine = (provider: number, pricePerSecond: bigint, busy: boolean, digest = 0): VerifiedAsk =>
    ({
      ask: { image: { name: 'base', digest: bytes(digest) }, resources, pricePerSecond, concurrency: 1 },
      provider: { provider: bytes(provider) },
      running: busy ? 1 : 0
    }) as unknown as VerifiedAsk // as much as is read
  const named = (asks: VerifiedAsk[], count = 2): (number | undefined)[] =>
    chooseCandidates(asks, need, count, primitives.random).map(({ provider }) => provider.provider[0])

  it('begin with the cheapest, also where the bridge calls all but its friend busy', () => {
    const honest = [machine(1, 1000n, true), machine(2, 1100n, true), machine(3, 1200n, true)]
    assert.deepEqual(named([...honest, machine(9, 5000n, false)]), [1, 9])
    assert.deepEqual(named([machine(9, 5000n, false), machine(1, 1000n, true)], 1), [1])
  })

  it('have one that is said to be free among them, so that nobody queues for busy ones meanwhile', () => {
    const asks = [machine(1, 1000n, true), machine(2, 1100n, true), machine(3, 1300n, false), machine(4, 1200n, false)]
    assert.deepEqual(named(asks), [1, 4])
    assert.deepEqual(named(asks, 3), [1, 2, 4])
    assert.deepEqual(named(asks, 4), [1, 2, 4, 3])
    assert.deepEqual(named(asks.slice(0, 2)), [1, 2], 'where all are busy, they do')
  })

  it('are of one build of the image, the cheapest that has a machine said to be free', () => {
    const busy = [machine(1, 1000n, true), machine(2, 1100n, true)]
    assert.deepEqual(named([...busy, machine(3, 1100n, false, 7)]), [3])
    assert.deepEqual(named([...busy, machine(3, 1100n, true, 7)]), [1, 2], 'where all are busy, the cheapest')
    const free = [machine(2, 1100n, false), machine(3, 1150n, false), machine(4, 1200n, false)]
    assert.deepEqual(named([machine(1, 1000n, true, 7), ...free]), [2, 3])
    // Within that build the cheapest stays first, busy or not.
    assert.deepEqual(named([machine(1, 1000n, true), machine(5, 900n, false, 7), ...free], 3), [5])
    assert.deepEqual(named([machine(1, 1000n, true), machine(5, 1500n, false, 7), ...free], 3), [1, 2, 3])
  })

  it('of one price are those first that are free, and among these no provider is favoured', () => {
    const asks = [machine(1, 1000n, true), machine(2, 1000n, false), machine(3, 1000n, false), machine(4, 900n, false)]
    const seen = new Set(Array.from({ length: 200 }, () => named(asks, 4).join()))
    assert.deepEqual([...seen].sort(), ['4,2,3,1', '4,3,2,1'])
  })
})
