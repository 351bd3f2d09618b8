import assert from 'node:assert/strict'
import { PekkaError, type TaskItem } from '@pekka/node/protocol'
import { Entries, findKept } from '../../src/session/entries.js'

describe('session: which machine is kept for a notebook', () => {
  const changed: string[] = []
  const entries = (): Entries<string, { name: string }> => new Entries(notebook => changed.push(notebook))
  const lost = { name: 'lost' }
  const next = { name: 'next' }

  it('a machine that is over stays known until another is kept: its cells can be run elsewhere', () => {
    const kept = entries()
    kept.adopt('n', lost)
    kept.tell('n', { kind: 'sending' })
    assert.deepEqual([kept.machine('n'), kept.isOpening('n')], [lost, true])
    kept.adopt('n', next)
    assert.deepEqual([kept.machine('n'), kept.opening('n')], [next, null])
  })

  it('what went wrong with the next one is put away first, and an Escape in its quote changes nothing', () => {
    const kept = entries()
    kept.adopt('n', lost)
    kept.tell('n', { kind: 'failed', error: new PekkaError('NO_MATCH') })
    assert.deepEqual([kept.machine('n'), kept.isOpening('n')], [lost, false])
    assert.equal(kept.clear('n'), true)
    assert.deepEqual([kept.machine('n'), kept.opening('n')], [lost, null])
  })

  it('of a notebook without a machine nothing is left when its quote was left', () => {
    const kept = entries()
    kept.tell('n', { kind: 'sending' })
    changed.length = 0
    assert.equal(kept.clear('n'), false)
    assert.deepEqual([kept.has('n'), kept.machine('n'), kept.opening('n')], [false, null, null])
    assert.deepEqual(changed, ['n'])
  })
})

describe('session: a machine that a notebook remembers', () => {
  /** As much of a task as is looked at. */
  const item = (state: string, reason: string | null = null): Pick<TaskItem, 'view'> =>
    ({ view: { state, reason } }) as unknown as Pick<TaskItem, 'view'>
  const found = async (said: Pick<TaskItem, 'view'>, closed: { whenAsked?: boolean; whenFollowed?: boolean } = {}) => {
    let isClosed = false
    let follows = 0
    const machine = await findKept({
      ask: async () => {
        await Promise.resolve()
        isClosed = closed.whenAsked === true
        return said
      },
      follow: async () => {
        follows++
        await Promise.resolve()
        isClosed = closed.whenFollowed === true
        return 'machine' as const
      },
      isClosed: () => isClosed
    })
    return [machine, follows]
  }

  it('is followed while it is kept, and where its loss is still to be told', async () => {
    assert.deepEqual(await found(item('running')), ['machine', 1])
    assert.deepEqual(await found({ view: null }), ['machine', 1])
    assert.deepEqual(await found(item('refunded', 'provider-lost')), ['machine', 1])
  })

  it('that ended as it should is over', async () => {
    assert.deepEqual(await found(item('settled')), ['over', 0])
    assert.deepEqual(await found(item('closed', 'cancelled')), ['over', 0])
  })

  it('is not followed for a notebook that was closed meanwhile, nor kept for one', async () => {
    assert.deepEqual(await found(item('running'), { whenAsked: true }), ['closed', 0])
    assert.deepEqual(await found(item('settled'), { whenAsked: true }), ['closed', 0])
    assert.deepEqual(await found(item('running'), { whenFollowed: true }), ['closed', 1])
  })
})
