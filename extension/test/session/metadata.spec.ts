import assert from 'node:assert/strict'
import { parseCellMetadata, runIdOf } from '../../src/outputs/cell-metadata.js'
import { parseSessionMetadata, sessionMetadataJson } from '../../src/session/metadata.js'

const task = 'ab'.repeat(32)

describe('session: what a notebook remembers', () => {
  it('reads what it has written, and nothing else', () => {
    const metadata = { v: 1, task, native: true, from: 3 } as const
    assert.deepEqual(parseSessionMetadata(sessionMetadataJson(metadata)), metadata)
    for (const value of [null, 7, {}, { ...metadata, v: 2 }, { ...metadata, task: 'x' }])
      assert.equal(parseSessionMetadata(value), undefined)
    assert.deepEqual(parseSessionMetadata({ v: 1, task, from: -1, native: 'yes' }), {
      v: 1,
      task,
      native: false,
      from: 0
    })
  })

  it('tells a cell of a session from one beside it', () => {
    const cell = { v: 1, task, bridge: 'auto', owner: 'me', state: 'running', place: 4 }
    const read = parseCellMetadata(cell)
    assert.equal(read && runIdOf(read), `${task}.4`)
    assert.equal(parseCellMetadata({ ...cell, place: -1 })?.place, undefined)
  })
})
