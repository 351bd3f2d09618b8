import assert from 'node:assert/strict'
import { billCredits, credits, duration, guessCredits, parseCredits } from '@pekka/node/client'
import { roundUpCap } from '@pekka/node/protocol'
import { gpuImage, readCap, readCpus, readGpu, readMemory, readTime } from '../../../src/cli/task/options.js'

describe('what people write behind options', () => {
  it('reads memory, time, CPUs and caps, rounded up to what machines know', () => {
    assert.equal(readMemory('8GB'), 8 * 2 ** 30)
    assert.equal(readMemory('3 gib'), 4 * 2 ** 30)
    assert.equal(readTime('30min'), 1_800_000)
    assert.equal(readTime('7m'), 600_000)
    assert.equal(readTime('5'), 5000)
    assert.equal(readCpus('0.5'), 500)
    assert.equal(readCap('0.5'), 500_000n)
  })

  it('reads graphics processors, and knows which image has a variant for them', () => {
    assert.deepEqual(readGpu('16GB'), { count: 1, memoryBytes: 16 * 2 ** 30 })
    assert.equal(gpuImage('machine-learning'), 'machine-learning-gpu')
    assert.equal(gpuImage('machine-learning-gpu'), 'machine-learning-gpu')
    assert.throws(() => gpuImage('chemistry'), { code: 'USAGE', message: /chemistry has no variant/ })
  })

  it('says how to write what it does not understand', () => {
    for (const wrong of [
      () => readMemory('lots'),
      () => readTime('soon'),
      () => readTime('0'),
      () => readCpus('-1'),
      () => readGpu('yes'),
      () => readCap('0'),
      () => readCap('1e3')
    ]) {
      assert.throws(wrong, { code: 'USAGE' })
    }
  })
})

describe('amounts and times for people', () => {
  it('rounds bills up and never says 0 for a real cost', () => {
    assert.equal(billCredits(1n), '0.001')
    assert.equal(billCredits(131_000n), '0.131')
    assert.equal(guessCredits(1n), '0.01')
    assert.equal(billCredits(0n), '0.000')
  })

  it('writes credits without trailing zeros and reads them back', () => {
    for (const amount of [0n, 1n, 500_000n, 10_000_000n, 1_234_567n])
      assert.equal(parseCredits(credits(amount)), amount)
    assert.equal(credits(10_000_000n), '10')
  })

  it('says durations as people do', () => {
    assert.deepEqual([120, 12_000, 74_000, 3_600_000, 7_500_000].map(duration), [
      '0.1 s',
      '12 s',
      '1 min 14 s',
      '1 h',
      '2 h 5 min'
    ])
  })

  it('chooses caps from 1-2-5 steps', () => {
    assert.deepEqual([1n, 3n, 10n, 23n, 51n].map(roundUpCap), [1n, 5n, 10n, 50n, 100n])
  })
})
