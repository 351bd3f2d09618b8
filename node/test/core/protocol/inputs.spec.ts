import assert from 'node:assert/strict'
import { inputsSchema, placeInputs } from '@pekka/node/protocol'

describe('protocol: places of inputs', () => {
  it('gives each address a place of its own, aside of the names that code saves under', () => {
    const urls = [
      'https://a.example/x/stars.csv?v=1',
      'https://b.example/stars.csv',
      'https://b.example/.ssh/',
      'https://c.example'
    ]
    const placed = placeInputs(urls)
    assert.deepEqual(
      placed.map(({ path }) => path),
      ['inputs/stars.csv', 'inputs/2-stars.csv', 'inputs/ssh', 'inputs/input']
    )
    assert.deepEqual(
      placed.map(({ url }) => url),
      urls
    )
    const inputs = placed.map(one => ({ ...one, hash: new Uint8Array(32), size: 1 }))
    assert.equal(inputsSchema.safeParse(inputs).success, true)
  })
})
