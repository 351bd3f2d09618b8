import assert from 'node:assert/strict'
import { pino } from 'pino'
import { decodeCbor, type LargeCommit } from '@pekka/node/protocol'
import type { FeedPage, LedgerFeed } from '../../src/ledger/feed.js'
import { LedgerTail } from '../../src/stream/ledger-tail.js'

const empty = (index: number): FeedPage['commits'][number] =>
  // What a tail reads of a commit without transactions.
  ({ header: { index }, transactions: [] }) as unknown as FeedPage['commits'][number]

describe('final transactions for a reader', () => {
  it('tell of a commit that no message holds, and go on after it', async () => {
    const large: LargeCommit = { index: 8, size: 17 << 20 }
    const pages = new Map<number, FeedPage>([
      [7, { commits: [empty(7)], large: [] }],
      [8, { commits: [], large: [large] }]
    ])
    const asked: number[] = []
    const told: unknown[] = []
    const ended = Promise.withResolvers<void>()
    const feed = {
      last: 6,
      read: async (from: number) => {
        asked.push(from)
        const page = pages.get(from)
        if (page !== undefined) return page
        ended.resolve()
        return await new Promise<FeedPage>(() => {})
      }
    }
    const socket = {
      connected: true,
      timeout: () => ({ emitWithAck: async (_: string, packed: Uint8Array) => void told.push(decodeCbor(packed)) })
    }
    const drop = (reason: string): void => ended.reject(new Error(reason))
    const log = pino({ level: 'silent' })
    // What a tail asks of its socket and its feed.
    const components = { socket: socket as never, feed: feed as unknown as LedgerFeed, log, drop }
    const tail = new LedgerTail(components, { after: null, account: null, task: null })
    void tail.run()
    await ended.promise
    tail.end()
    assert.deepEqual(asked, [7, 8, 9])
    assert.deepEqual(told, [{ after: 6, through: 8, transactions: [], large: [large] }])
  })
})
