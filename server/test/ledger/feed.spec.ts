import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import type { HistoryPage } from '@pekka/node/protocol'
import { LedgerFeed } from '../../src/ledger/feed.js'

describe('the commits for readers of the ledger', () => {
  const now = { index: 500, timestamp: 0, contractTime: 0 }
  const mirror = { now, on: () => () => undefined }

  it('are read from the past one page at a time, however many ask and go away again', async () => {
    const answers: ((page: HistoryPage<'commits'>) => void)[] = []
    const history = () => new Promise<HistoryPage<'commits'>>(resolve => answers.push(resolve))
    // As `history` is over all kinds, which a test of one kind can't say.
    const feed = new LedgerFeed({ ledger: { history: history as never }, mirror })
    const gone = new AbortController()
    const left = Array.from({ length: 100 }, () => feed.read(0, gone.signal))
    const ended = Promise.allSettled(left)
    const stays = feed.read(7, new AbortController().signal)
    await turn()
    gone.abort(new Error('gone'))
    await turn()
    assert.equal(answers.length, 1)
    // Of those that went away meanwhile nobody has anything read; the next who is still there has.
    answers[0]?.({ first: 0, commits: [] })
    const outcomes = await ended
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      left.map((_, i) => (i === 0 ? 'fulfilled' : 'rejected'))
    )
    await turn()
    assert.equal(answers.length, 2)
    answers[1]?.({ first: 0, commits: [] })
    assert.deepEqual(await stays, { commits: [], large: [] })
  })

  it('are read on after a page that failed', async () => {
    let asked = 0
    const history = async () => {
      asked += 1
      if (asked === 1) throw new Error('no answer')
      return { first: 0, commits: [] }
    }
    const feed = new LedgerFeed({ ledger: { history: history as never }, mirror })
    const { signal } = new AbortController()
    const [first, second] = [feed.read(0, signal), feed.read(0, signal)]
    await assert.rejects(first, /no answer/)
    assert.deepEqual(await second, { commits: [], large: [] })
  })
})
