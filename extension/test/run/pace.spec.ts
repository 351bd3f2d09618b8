import assert from 'node:assert/strict'
import { Pace } from '../../src/run/pace.js'

describe('drawing at a pace', () => {
  let clock = 1000
  let drawn: number[]
  const pace = (init: { pauseMs: number; trailing?: boolean }): Pace =>
    new Pace({ draw: () => drawn.push(clock), now: () => clock }, init)
  const turn = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 0))
  const until = async (count: number): Promise<void> => {
    while (drawn.length < count) await turn()
  }

  beforeEach(() => {
    drawn = []
  })

  it('draws the first change in the same turn, all that come meanwhile once when the pause is over', async () => {
    const mine = pace({ pauseMs: 30 })
    mine.later()
    mine.later()
    assert.deepEqual(drawn, [])
    await Promise.resolve()
    assert.deepEqual(drawn, [1000])
    clock = 1010
    for (let i = 0; i < 5; i++) mine.later()
    await Promise.resolve()
    await turn()
    assert.deepEqual(drawn, [1000])
    await until(2)
    clock = 1050
    mine.later()
    await Promise.resolve()
    assert.deepEqual(drawn, [1000, 1010, 1050])
  })

  it('draws what is urgent at once, and not again for what waited', async () => {
    const mine = pace({ pauseMs: 20 })
    mine.soon()
    await Promise.resolve()
    mine.later()
    mine.soon()
    await Promise.resolve()
    assert.equal(drawn.length, 2)
    const after = new Promise(resolve => setTimeout(resolve, 60))
    await after
    assert.equal(drawn.length, 2)
  })

  it('waits with the first one too where it is told so', async () => {
    const mine = pace({ pauseMs: 5, trailing: true })
    mine.later()
    await Promise.resolve()
    assert.equal(drawn.length, 0)
    await until(1)
  })

  it('lets a change that may be over soon wait for a pause, or be drawn with what comes before that', async () => {
    const mine = pace({ pauseMs: 20 })
    mine.afterPause()
    await Promise.resolve()
    assert.deepEqual(drawn, [])
    mine.later()
    await Promise.resolve()
    assert.equal(drawn.length, 1)
    clock += 100
    mine.afterPause()
    await until(2)
  })

  it('draws nothing once it is let go', async () => {
    const mine = pace({ pauseMs: 5 })
    mine.soon()
    mine.dispose()
    await Promise.resolve()
    mine.later()
    mine.soon()
    await new Promise(resolve => setTimeout(resolve, 20))
    assert.equal(drawn.length, 0)
  })
})
