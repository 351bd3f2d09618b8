import assert from 'node:assert/strict'
import { costOf, isOver, timeOf } from '../../src/run/snapshot.js'
import { moreMemory, moreTime, requestFor, titleOf } from '../../src/run/request.js'
import { isEmpty, whyNotCells } from '../../src/run/why-not.js'
import { HOUR_14_06, ended, snapshot } from './snapshots.js'

const cell = (source: string, number = 1) => ({ id: `c${number}`, source, tags: [], number })
const settings = { cap: 430_000n, image: 'base', memoryBytes: 4 << 30, wallMs: 600_000 }

describe('run: what may run', () => {
  it('names why nothing can run', () => {
    assert.equal(whyNotCells([cell('print(1)')], 'python'), undefined)
    assert.equal(whyNotCells([cell('print(1)')], undefined), undefined)
    assert.equal(whyNotCells([cell(' \n# only a comment\n')], 'python'), 'Nothing to run: the cell is empty')
    assert.equal(whyNotCells([cell('1')], 'julia'), 'Only Python cells run remotely')
    assert.equal(whyNotCells([], 'python'), 'Only Python cells run remotely')
  })

  it('takes comments and white space for empty, and nothing else', () => {
    assert.equal(isEmpty(cell('# a\n\n  # b')), true)
    assert.equal(isEmpty(cell('x # a')), false)
    assert.equal(isEmpty(cell('%%bash\n# a')), false)
  })
})

describe('run: the request', () => {
  it('leaves empty cells out, rounds the cap up to a step, and names the task', () => {
    const request = requestFor([cell('a = 1', 1), cell('', 2), cell('a', 3)], 'selection', 'work/fit.ipynb', settings)
    assert.deepEqual(request.program.kind === 'cells' && request.program.cells.map(({ id }) => id), ['c1', 'c3'])
    assert.equal(request.cap, 500_000n)
    assert.equal(request.note.title, 'fit.ipynb, 2 cells')
    assert.equal(request.note.path, 'work/fit.ipynb')
  })

  it('names cell, selection and notebook', () => {
    assert.equal(titleOf([cell('x', 5)], 'cell', 'a/b.ipynb'), 'b.ipynb, cell 5')
    assert.equal(titleOf([cell('x'), cell('y')], 'selection', 'b.ipynb'), 'b.ipynb, 2 cells')
    assert.equal(titleOf([cell('x')], 'notebook', 'b.ipynb'), 'b.ipynb')
    assert.equal(titleOf([cell('x')], 'notebook', 'RTC:b.ipynb'), 'b.ipynb')
    assert.equal(titleOf([cell('x', 5)], 'cell', 'RTC:a/b.ipynb'), 'b.ipynb, cell 5')
  })

  it('offers the next larger limits', () => {
    assert.equal(moreMemory(4 * 2 ** 30), 8 * 2 ** 30)
    assert.equal(moreMemory(64 * 2 ** 30), undefined)
    assert.equal(moreTime(600_000), 1_800_000)
  })
})

describe('run: money and time', () => {
  it('guesses while it runs, never above the cap, and bills what was paid', () => {
    const now = HOUR_14_06 + 10_000
    assert.deepEqual(costOf(snapshot(), now), { amount: 18_000n, known: false })
    assert.deepEqual(costOf(snapshot({ cap: 5_000n }), now), { amount: 5_000n, known: false })
    assert.deepEqual(costOf(snapshot(ended('completed', 'ok')), now), { amount: 73_800n, known: true })
  })

  it('counts time from the run’s start, and as billed once it ended', () => {
    assert.equal(timeOf(snapshot({ runningSince: null }), HOUR_14_06), null)
    assert.equal(timeOf(snapshot(), HOUR_14_06 + 12_000), 12_000)
    assert.equal(timeOf(snapshot(ended('completed', 'ok')), HOUR_14_06 + 999_000), 41_000)
  })

  it('knows which phases are the end', () => {
    assert.equal(isOver(snapshot()), false)
    assert.equal(isOver(snapshot({ phase: { phase: 'received' } })), true)
    assert.equal(isOver(snapshot({ phase: { phase: 'refunded', reason: 'no-provider' } })), true)
  })
})
