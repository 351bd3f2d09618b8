import assert from 'node:assert/strict'
import { billCredits, credits, dateText, describeEnd, guessCredits, parseCredits } from '@pekka/node/client'
import { CREDIT, DONE_REASONS } from '@pekka/node/protocol'

describe('how money is told', () => {
  it('says a plain amount exactly: whole, or with two decimals at least', () => {
    const amounts = [0n, CREDIT, 10n * CREDIT, CREDIT / 2n, 12_500_000n, 1_000n, 1_230_000n, 1n, 100_000_001n]
    const words = ['0', '1', '10', '0.50', '12.50', '0.001', '1.23', '0.000001', '100.000001']
    assert.deepEqual(amounts.map(credits), words)
    assert.deepEqual(words.map(parseCredits), amounts)
  })

  it('says a guess in two decimals and a bill in three, rounded up and never 0 for a real cost', () => {
    assert.deepEqual([0n, 1n, 500_000n, 501_000n, CREDIT].map(guessCredits), ['0.00', '0.01', '0.50', '0.51', '1.00'])
    assert.deepEqual([0n, 1n, 500_000n, 500_001n].map(billCredits), ['0.000', '0.001', '0.500', '0.501'])
  })
})

describe('how a date is told', () => {
  it('means the same everywhere, also far beyond all calendars', () => {
    assert.equal(dateText(Date.UTC(2026, 10, 23, 11, 11, 40, 500)), '2026-11-23 11:11 UTC')
    assert.equal(dateText(Number.MAX_SAFE_INTEGER), '9999-12-31 23:59 UTC')
  })
})

describe('how an end is told', () => {
  it('names the numbers that the runner gives', () => {
    assert.equal(
      describeEnd('wall-limit', { limitMs: 600_000, usedMs: 600_010 }).title,
      'Stopped at your limit of 10 min'
    )
    const memory = describeEnd('out-of-memory', { limitBytes: 4 * 2 ** 30, usedBytes: 4.1 * 2 ** 30 })
    assert.equal(memory.title, 'Your code ran out of memory at 4 GB')
    assert.equal(memory.advice, 'Run again with 8 GB.')
    assert.equal(describeEnd('wall-limit', { limitMs: 2000, atCap: true }).title, 'Stopped at your cap')
    const input = 'Your code asked for input'
    assert.equal(describeEnd('exit-code', { hint: 'nobody can answer' }, 1).title, input)
    assert.equal(describeEnd('exception', { ename: 'StdinNotImplementedError' }).title, input)
    assert.equal(describeEnd('exit-code', {}, 3).title, 'Your code ended with exit code 3')
    assert.deepEqual(describeEnd('kernel-died', { signal: 'SIGSEGV' }).facts, ['SIGSEGV'])
  })

  it('stays readable with details that are missing or no numbers', () => {
    for (const reason of DONE_REASONS) {
      for (const detail of [{}, { limitMs: NaN, limitBytes: 'x', ename: 7, signal: '', exitCode: null }]) {
        const { title, facts } = describeEnd(reason, detail)
        assert.doesNotMatch([title, ...facts].join(' '), /undefined|NaN|null|\?/)
      }
    }
  })
})
