import assert from 'node:assert/strict'
import { keptNeeds } from '../../src/session/names.js'

const cells = (...sources: string[]) => sources.map((source, index) => ({ id: `c${index}`, source }))
const needs = (sources: string[], chosen: number, there: number[]) => {
  const { missing, run } = keptNeeds(cells(...sources), [`c${chosen}`], id => there.includes(Number(id.slice(1))))
  return { missing: missing.map(({ name, cell }) => `${name}:${cell ?? '-'}`), run }
}

describe('session: names that are there', () => {
  it('asks for nothing that a cell on the machine made, nor for what that cell needed', () => {
    assert.deepEqual(needs(['raw = load()', 'x = raw + 1', 'print(x)'], 2, [1]), { missing: [], run: ['c2'] })
    assert.deepEqual(needs(['raw = load()', 'x = raw + 1', 'print(x)'], 2, []).missing, ['x:c1'])
  })

  it('asks for a name that a cell here has made anew since', () => {
    assert.deepEqual(needs(['x = 1', 'y = x', 'x = 5', 'print(x, y)'], 3, [0, 1]).missing, ['x:c2'])
  })

  it('knows a name that a cell below made there, where none above defines it', () => {
    assert.deepEqual(needs(['print(late)', 'late = 1'], 0, [1]).missing, [])
    assert.deepEqual(needs(['print(late)', 'late = 1'], 0, []).missing, ['late:-'])
  })

  it('lets a cell go on from what it made there itself', () => {
    assert.deepEqual(needs(['n = 0', 'n = n + 1'], 1, [0, 1]).missing, [])
  })
})
