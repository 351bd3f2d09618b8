import assert from 'node:assert/strict'
import { analyse, neededCells } from '@pekka/node/scan'
import { CELLS, SHADOWED } from './cells.js'

const needsOf = (source: string): string[] => {
  const { reads, lateReads } = analyse(source)
  return [...new Set([...reads, ...lateReads].map(({ name }) => name))].sort()
}
const expected = (needs: string): string[] => needs.split(' ').filter(name => name !== '')

const rows = CELLS.map(([source, needs]) => {
  const found = needsOf(source)
  const wanted = expected(needs)
  return {
    source,
    missed: wanted.filter(name => !found.includes(name)),
    more: found.filter(name => !wanted.includes(name)),
    wanted: wanted.length
  }
})
const asked = rows.reduce((sum, { more }) => sum + more.length, 0)
const total = rows.reduce((sum, { wanted }) => sum + wanted, 0)

/** Names asked for without need, of all that are needed, per cent at most. */
const OVER_ASKING = 5

describe(`scan: the names of ${CELLS.length} cells (${total} needed, ${asked} asked for without need)`, () => {
  it('misses no name', () => {
    assert.deepEqual(
      rows.filter(({ missed }) => missed.length > 0).map(({ source, missed }) => `${source} -> ${missed.join(' ')}`),
      []
    )
  })

  it(`asks for no more than ${OVER_ASKING} % without need`, () => {
    const words = rows.filter(({ more }) => more.length > 0).map(({ source, more }) => `${source} -> ${more.join(' ')}`)
    assert.ok((100 * asked) / total <= OVER_ASKING, words.join('\n'))
  })
})

describe('scan: Python’s own names that cells give another meaning', () => {
  for (const [what, sources, needs, run] of SHADOWED) {
    it(what, () => {
      const cells = sources.map((source, index) => ({ id: String(index + 1), source }))
      const found = neededCells(cells, [String(sources.length)])
      const names = found.missing.filter(({ cell }) => cell !== undefined).map(({ name }) => name)
      assert.deepEqual([names.sort(), found.run.join(' ')], [expected(needs).sort(), run])
    })
  }

  it('names those that only the kernel can tell', () => {
    const cells = [
      { id: '1', source: 'input = 1' },
      { id: '2', source: 'print(input)\nlen(max)\ndef f(): return sum\nlist = []\nlist' }
    ]
    assert.deepEqual(neededCells(cells, ['2']).builtins, [
      { name: 'print', line: 1 },
      { name: 'len', line: 2 },
      { name: 'max', line: 2 },
      { name: 'sum', line: 3 }
    ])
  })
})
