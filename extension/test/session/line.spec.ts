import assert from 'node:assert/strict'
import { overLine } from '../../src/line/ended.js'
import { keptLine } from '../../src/line/kept.js'
import { ended, snapshot } from '../run/snapshots.js'

const context = {
  now: 0,
  number: 5,
  connection: { status: 'connected', seenAt: null } as const,
  clock: () => '14:06'
}
const said = (part: Parameters<typeof snapshot>[0]): string | null => {
  const view = keptLine(snapshot({ kept: 3, ...part }), context)
  return view === null ? null : [view.word, ...view.facts].join(' · ')
}
const LOST = { phase: { phase: 'refunded', reason: 'provider-lost' } as const }

describe('session: the line of a machine’s cell', () => {
  it('says of one that was interrupted who did that, and what became of it', () => {
    const { end } = ended('exception', 'user', { ename: 'KeyboardInterrupt', interrupted: true })
    assert.equal(said({ end }), 'Interrupted by you · 41 s · output so far is kept')
    const left = ended('exception', 'user', { interrupted: true, restarted: true, notRun: true })
    assert.equal(said({ end: left.end }), 'Stopped by the restart · 41 s · not run')
  })

  it('says of one that ended well before it could be interrupted that it is done', () => {
    for (const restarted of [false, true])
      assert.equal(said({ end: ended('completed', 'ok', { interrupted: true, restarted }).end }), null)
  })

  it('says of one that failed on a machine lost since how it failed, and nothing of credits that came back', () => {
    const word = (reason: Parameters<typeof ended>[0], outcome: Parameters<typeof ended>[1]): string => {
      const { end } = ended(reason, outcome)
      return overLine(snapshot({ kept: 3, ...LOST, end, error: 'KeyError' }), 'c5', context).word
    }
    assert.equal(word('exception', 'user'), 'Your code stopped: KeyError')
    assert.equal(word('out-of-memory', 'limit'), 'Out of memory')
  })

  it('keeps the result of one whose machine was lost since, and says of others that they were not run', () => {
    const { end } = ended('completed', 'ok')
    assert.equal(said({ ...LOST, end }), 'Done · 41 s · birch-2 is gone since, and what this cell made with it')
    assert.match(said(LOST) ?? '', /^birch-2 was lost/)
    assert.match(
      said({ phase: { phase: 'refunded', reason: 'stopped' } }) ?? '',
      /^Not run · the machine was let go before/
    )
  })

  it('says of all else what any task’s line does', () => {
    assert.equal(said(ended('completed', 'ok')), null)
    assert.equal(said({}), null)
  })
})
