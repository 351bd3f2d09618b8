import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { LateKill } from '../../../src/agents/provider/attempt/late-kill.js'

describe('a run that doesn’t stop by itself', () => {
  let kills = 0
  const late = (): LateKill => new LateKill(() => kills++, 8_000)

  beforeEach(() => {
    kills = 0
    mock.timers.enable({ apis: ['setTimeout'] })
  })
  afterEach(() => mock.timers.reset())

  it('is killed', () => {
    late().arm()
    mock.timers.tick(7_999)
    assert.equal(kills, 0)
    mock.timers.tick(1)
    assert.equal(kills, 1)
  })

  it('told twice within that time is killed once, and nothing that was made anew since', () => {
    const twice = late()
    twice.arm()
    mock.timers.tick(2_000)
    twice.arm()
    mock.timers.tick(7_999)
    assert.equal(kills, 0)
    // It stopped, and another sandbox serves the next cell.
    twice.clear()
    mock.timers.tick(60_000)
    assert.equal(kills, 0)
  })
})
