import assert from 'node:assert/strict'
import { FIRST_FEW, FREE_PER_SECOND, FreeRate } from '../../../src/agents/witness/free-rate.js'

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

  it('of one that is alone more, since its own credit bounds it', () => {
    assert.equal(world().flood(20, 300, 1), 6_000)
    assert.ok(world().flood(20, 1_000, 1) <= 20 * 1.5 * FREE_PER_SECOND)
  })

  it('a bounded part of a flood, in which who sends little is let in every time', () => {
    const { time, rate, flood } = world()
    flood(20, 1_000, 200)
    const admitted = flood(20, 1_000, 200)
    assert.ok(admitted <= 22 * FREE_PER_SECOND, `${admitted}`)
    for (let turn = 0; turn < 5; turn++) {
      flood(11, 1_000, 200)
      assert.ok(rate.admit('honest'))
    }
    // Once it is over it is over.
    time.now += 1_001
    assert.ok(rate.admit('dust 1'))
  })

  for (const accounts of [1, 2, 20, 200, 1_000]) {
    it(`a newcomer’s first few in a row, beside a flood of ${accounts} accounts`, () => {
      const { rate, flood } = world()
      flood(30, 1_000, accounts)
      for (let step = 0; step < FIRST_FEW; step++) {
        assert.ok(rate.admit('newcomer'), `step ${step}`)
        flood(1, 1_000, accounts)
      }
    })
  }

  it('ten a second of one account beside another one’s flood: that has less than its share', () => {
    const { rate, flood } = world()
    flood(30, 1_000, 1)
    for (let sent = 0; sent < 200; sent++) {
      assert.ok(rate.admit('honest'), `${sent}`)
      flood(0.1, 1_000, 1)
    }
  })

  it('what others sent in an account’s name doesn’t count', () => {
    const { time, rate, flood } = world()
    flood(20, 1_000, 200)
    const { size } = rate
    for (let forged = 0; forged < 200; forged++) {
      time.now += 1
      assert.ok(rate.admit('honest'), `${forged}`)
      rate.takeBack('honest')
      if (forged % 20 === 0) flood(0.2, 1_000, 200)
    }
    assert.equal(rate.size, size)
  })

  it('at most twice as many, however many accounts they come from, and remembers a bounded number of those', () => {
    const { rate, flood } = world()
    assert.ok(flood(20, 5_000, 100_000) <= 42 * FREE_PER_SECOND)
    assert.ok(rate.size <= 16_384)
  })
})
