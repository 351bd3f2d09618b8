import assert from 'node:assert/strict'
import { describeComparison, type Comparison } from '@pekka/node/verification'

const cell = (id: string, verdict: Comparison['verdict'], example?: [string, string]): Comparison['cells'][number] => ({
  cell: id,
  verdict,
  cause: verdict === 'exact' ? null : 'unseeded',
  differences: verdict === 'exact' ? [] : [{ where: 'stdout', verdict, cause: 'unseeded', ...(example && { example }) }]
})
const names = new Map([
  ['a', 'Cell 1'],
  ['b', 'Cell 2']
])

describe('two runs in words', () => {
  it('says that they are the same, and nothing more', () => {
    const comparison: Comparison = { verdict: 'exact', cells: [cell('a', 'exact'), cell('b', 'exact')] }
    assert.deepEqual(describeComparison(comparison, names), ['Both runs gave the same, byte for byte.'])
  })

  it('names each cell that differs, the likely cause, and what was shown, without what a terminal would obey', () => {
    const cells = [cell('a', 'exact'), cell('b', 'different', ['0.1\u001b[2J', '0.2'])]
    assert.deepEqual(describeComparison({ verdict: 'different', cells }, names), [
      'The runs differ in 1 of 2 cells.',
      '  Cell 2 differs: It draws random numbers that no seed reaches: give the generator a seed of your own.',
      '    first run:  0.1 [2J',
      '    second run: 0.2'
    ])
  })

  it('shows no example of what is made up anew', () => {
    const comparison: Comparison = { verdict: 'canonical', cells: [cell('a', 'canonical', ['x', 'y'])] }
    assert.equal(describeComparison(comparison, names).length, 2)
  })
})
