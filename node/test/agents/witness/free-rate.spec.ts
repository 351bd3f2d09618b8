import assert from 'node:assert/strict'
import { FREE_PER_SECOND, FreeRate } from '../../../src/agents/witness/free-rate.js'

describe('witness: how much of what costs nothing is looked at', () => {
  function world() {
    const time = { now: 0 }
    const rate = new FreeRate(() => time.now)
    /** Sends so many a second, of accounts in turn, and says how many came in. */
    const flood = (seconds: number, perSecond: number, accounts: number): number => {
      let admitted = 0
      for (let at = 0; at < seconds * perSecond; at++) {
        time.now += 1_000 / perSecond
        if (rate.admit(`dust ${at % accounts}`)) admitted += 1
      }
      return admitted
    }
    return { time, rate, flood }
  }

  it('all, while it is little', () => {
    assert.equal(world().flood(10, FREE_PER_SECOND - 6, 3), 10 * (FREE_PER_SECOND - 6))
  })

  it('a bounded part of a flood, in which who sends little is let in every time', () => {
    const { time, rate, flood } = world()
    const admitted = flood(20, 1_000, 200)
    assert.ok(admitted <= 21 * FREE_PER_SECOND, `${admitted}`)
    for (let turn = 0; turn < 5; turn++) {
      flood(11, 1_000, 200)
      assert.ok(rate.admit('honest'))
    }
    // Once it is over it is over.
    time.now += 1_001
    assert.ok(rate.admit('dust 1'))
  })

  it('at most twice as many, however many accounts they come from, and remembers a bounded number of those', () => {
    const { rate, flood } = world()
    assert.ok(flood(20, 5_000, 100_000) <= 42 * FREE_PER_SECOND)
    assert.ok(rate.size <= 16_384)
  })
})
