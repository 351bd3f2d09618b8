import assert from 'node:assert/strict'
import { Heights } from '../../../src/host/network/heights.js'

describe('heights of witnesses', () => {
  it('requires the highest that was told, also from one that is gone', () => {
    const heights = new Heights(() => 4)
    assert.equal(heights.required, -1)
    heights.tell('a', 9)
    heights.tell('b', 7)
    heights.tell('a', 3)
    assert.equal(heights.required, 9)
  })

  it('believes one against one that stays behind, and no longer against most of the others', () => {
    const heights = new Heights(() => 4)
    heights.tell('liar', 1_000_000_000)
    heights.tell('b', 7)
    heights.stayedBehind('b')
    heights.stayedBehind('b')
    assert.equal(heights.required, 1_000_000_000)
    heights.tell('c', 8)
    heights.stayedBehind('c')
    assert.equal(heights.required, 8)
    // It goes on lying, and nobody waits again.
    heights.tell('liar', 2_000_000_000)
    assert.equal(heights.required, 8)
  })

  it('forgives whom others bear out', () => {
    const heights = new Heights(() => 2)
    heights.tell('a', 9)
    heights.stayedBehind('b')
    assert.equal(heights.required, -1)
    heights.tell('b', 9)
    heights.tell('a', 12)
    assert.equal(heights.required, 12)
  })

  it('who has come up again is not among those that stayed behind', () => {
    const heights = new Heights(() => 4)
    heights.tell('a', 9)
    heights.stayedBehind('b')
    heights.tell('b', 9)
    heights.stayedBehind('c')
    assert.equal(heights.required, 9)
  })
})
