import assert from 'node:assert/strict'
import { analyse } from '@pekka/node/scan'
import { CELLS } from './cells.js'

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
