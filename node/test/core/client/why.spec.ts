import assert from 'node:assert/strict'
import { match, whyNot, type Requirements, type VerifiedAsk } from '@pekka/node/client'

const GIB = 1 << 30

/** An ask, of which only what is compared matters. */
const ask = (part: { image?: string; memory?: number; price?: bigint; running?: number }): VerifiedAsk =>
  ({
    ask: {
      image: { name: part.image ?? 'base', digest: new Uint8Array(32) },
      resources: { milliCpus: 1000, memoryBytes: (part.memory ?? 4) * GIB, diskBytes: 2 * GIB, gpu: null },
      pricePerSecond: part.price ?? 1000n,
      concurrency: 1
    },
    provider: { provider: new Uint8Array(32) },
    running: part.running ?? 0
  }) as unknown as VerifiedAsk // no more of it is read

const need = (part: { image?: string; memory?: number; maxPrice?: bigint }): Requirements => ({
  image: part.image ?? 'base',
  resources: { milliCpus: 1000, memoryBytes: (part.memory ?? 4) * GIB, diskBytes: GIB, gpu: null },
  maxPrice: part.maxPrice ?? null,
  only: null,
  avoid: []
})

describe('client: why machines do not match', () => {
  it('counts each reason for itself, and names the smallest change that helps', () => {
    const asks = [ask({ memory: 4 }), ask({ memory: 8 }), ask({ memory: 8, price: 1200n }), ask({ image: 'chemistry' })]
    const { machines, rows } = whyNot(asks, need({ memory: 16 }))
    assert.equal(machines, 4)
    assert.deepEqual(
      rows.map(({ why, count }) => `${why} ${count}`),
      ['image 1', 'memory 4']
    )
    const memory = rows.find(({ why }) => why === 'memory')?.change
    assert.deepEqual([memory?.need.resources.memoryBytes, memory?.matches], [8 * GIB, 2])
  })

  it('finds the lowest price that matches', () => {
    const { rows } = whyNot([ask({ price: 1200n }), ask({ price: 1500n })], need({ maxPrice: 1000n }))
    assert.deepEqual([rows[0]?.why, rows[0]?.change?.need.maxPrice, rows[0]?.change?.matches], ['price', 1200n, 1])
  })

  it('offers no change where one thing alone does not help', () => {
    const { rows } = whyNot([ask({ image: 'chemistry', memory: 1 })], need({ memory: 64 }))
    assert.deepEqual(
      rows.map(({ change }) => change),
      [null, null]
    )
    assert.deepEqual(whyNot([], need({})), { machines: 0, rows: [] })
  })

  it('takes a machine with graphics processors where they are asked for, and any where they are not', () => {
    const gpu = (count: number, gib: number) => ({ count, memoryBytes: gib * GIB })
    const withGpu = (found: ReturnType<typeof gpu> | null): VerifiedAsk => {
      const one = ask({})
      return { ...one, ask: { ...one.ask, resources: { ...one.ask.resources, gpu: found } } }
    }
    const asks = [withGpu(null), withGpu(gpu(1, 8)), withGpu(gpu(2, 24))]
    const wanting = (wanted: ReturnType<typeof gpu> | null): Requirements => {
      const one = need({})
      return { ...one, resources: { ...one.resources, gpu: wanted } }
    }
    const fitting = (wanted: ReturnType<typeof gpu> | null): number => match(asks, wanting(wanted)).fit.length
    assert.deepEqual([null, gpu(1, 4), gpu(1, 16), gpu(2, 16), gpu(4, 16)].map(fitting), [3, 2, 1, 1, 0])
    const { rows } = whyNot(asks, wanting(gpu(4, 16)))
    assert.deepEqual(
      rows.map(({ why, count, change }) => [why, count, change?.need.resources.gpu, change?.matches]),
      [['gpu', 3, null, 3]]
    )
  })
})
