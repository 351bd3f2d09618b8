import assert from 'node:assert/strict'
import { notesOf } from '../../src/run/notes.js'
import { analyse } from '../../src/scan/index.js'
import { EMPTY_PLAN } from '../../src/values/index.js'

const choice = { image: 'base', missing: [], notes: [] }

describe('run: what is said before', () => {
  it('says in a quote that a file is nowhere, and opens none for it', () => {
    const { hints, asking } = notesOf([analyse("open('lost.csv')")], { ...EMPTY_PLAN, absent: ['lost.csv'] }, choice)
    assert.match(hints.join(), /^lost\.csv isn’t in this folder\./)
    assert.deepEqual(asking, [])
  })

  it('asks once about all else', () => {
    const cells = [analyse("os.environ['KEY']\ninput()")]
    const { hints, asking } = notesOf(
      cells,
      { ...EMPTY_PLAN, busy: true },
      { ...choice, notes: ['It is built first.'] }
    )
    assert.equal(hints.length, 3)
    assert.deepEqual(asking, [...hints, 'It is built first.'])
  })
})
