import assert from 'node:assert/strict'
import { Warmth } from '../../../src/agents/provider/machine/warmth.js'

describe('which images wait warm', () => {
  const entries = [
    { digest: 'base', fixed: 2 },
    { digest: 'chemistry', fixed: 0 },
    { digest: 'biology', fixed: 0 },
    { digest: 'rendering', fixed: 0 }
  ]
  const sizes = (warmth: Warmth): string => [...warmth.sizes()].map(([digest, size]) => `${digest}:${size}`).join(' ')

  it('keeps what the settings fix, and nothing else before it was used', () => {
    assert.equal(sizes(new Warmth(entries, 1000, 100)), 'base:2 chemistry:0 biology:0 rendering:0')
    assert.equal(sizes(new Warmth(entries, 0, 100)), 'base:2 chemistry:0 biology:0 rendering:0')
  })

  it('warms an image after its first task, once', () => {
    const warmth = new Warmth(entries, 1000, 100)
    assert.equal(warmth.used('chemistry'), true)
    assert.equal(warmth.used('chemistry'), false)
    assert.equal(warmth.used('base'), false)
    assert.equal(warmth.used('nobody'), false)
    assert.equal(sizes(warmth), 'base:2 chemistry:1 biology:0 rendering:0')
  })

  it('lets the image that was used longest ago go cold where memory is short', () => {
    const warmth = new Warmth(entries, 400, 100)
    for (const digest of ['chemistry', 'biology', 'chemistry', 'rendering']) warmth.used(digest)
    assert.equal(sizes(warmth), 'base:2 chemistry:1 biology:0 rendering:1')
  })

  it('warms nothing more where the fixed ones take all memory', () => {
    const warmth = new Warmth(entries, 200, 100)
    assert.equal(warmth.used('chemistry'), false)
    assert.equal(sizes(warmth), 'base:2 chemistry:0 biology:0 rendering:0')
  })
})
