import assert from 'node:assert/strict'
import { decodeCbor, encodeCbor, imagesSchema } from '@pekka/node/protocol'

describe('http: environments that are offered', () => {
  it('reads small prices, which travel as plain numbers', () => {
    const images = [{ name: 'base', digest: new Uint8Array(32), machines: 2, least: 1000n, most: 1n << 40n }]
    assert.deepEqual(imagesSchema.parse(decodeCbor(encodeCbor({ images }))), { images })
  })
})
