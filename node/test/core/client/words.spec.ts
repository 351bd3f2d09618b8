import assert from 'node:assert/strict'
import { describeEnd } from '@pekka/node/client'
import { DONE_REASONS } from '@pekka/node/protocol'

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
