import assert from 'node:assert/strict'
import { LedgerHistory, type DecidingHistory } from '../../../src/agents/witness/history.js'
import { MAX_COMMITS_LOOKED_AT } from '@pekka/node/agents/witness'
import { HISTORY_PAGE_BYTES, MAX_BLOCK_IDS } from '../../../src/agents/witness/constants.js'
import { MemoryState } from '@pekka/node/ledger'
import {
  encodeCanonical,
  encodeSigned,
  HISTORY,
  type CommitView,
  type HistoryQuery,
  type LedgerPlace,
  type OfferTask
} from '@pekka/node/protocol'
import { offerOf, openMarket } from '../../core/ledger/support.js'

const id = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

const commit = (index: number): CommitView => ({
  header: {
    index,
    timestamp: index,
    contractTime: index,
    previous: id(0),
    transactionsHash: id(1),
    witness: id(2),
    signature: new Uint8Array(64)
  },
  transactions: [],
  tasks: [],
  asks: [],
  accounts: []
})

/** One transaction with 64 tasks, so many times. */
function offers(count: number): CommitView['transactions'] {
  const market = openMarket()
  const task = offerOf(market.client.account, market.providers)
  const bytes = encodeSigned({
    transaction: {
      ...{ v: 1, network: id(9), account: id(1), key: null, sequence: 0, previous: null, expiry: 1 },
      parents: [id(9)],
      body: { kind: 'offer', tasks: new Array<OfferTask>(64).fill(task) }
    },
    signatures: [{ key: id(3), signature: new Uint8Array(64) }]
  })
  const outcome = { status: 'applied', id: id(4), index: 0, timestamp: 1 } as const
  return new Array<CommitView['transactions'][number]>(count).fill({ bytes, outcome })
}

/** A history of empty commits that counts what is read of it. */
function historyOf(first: number, last: number, deciding?: DecidingHistory, commitAt = commit) {
  const counts = { read: 0 }
  const store = {
    last: () => last,
    first: async () => first,
    indexedFrom: () => first,
    commit: async (index: number) => {
      counts.read += 1
      return index < first || index > last ? null : encodeCanonical(commitAt(index))
    },
    async *changesOf(_account: Uint8Array, before: number) {
      for (let index = Math.min(before - 1, last); index >= 0; index--) yield index
    },
    checkpointBefore: async () => null
  }
  const components = { store, state: () => new MemoryState(), ...(deciding && { deciding }) }
  const history = new LedgerHistory(components, { network: id(9), members: [] })
  return { history, counts }
}

describe('the past of a ledger', () => {
  it('reads a bounded number of commits for a page, however rare what is asked for is, and says where to go on', async () => {
    const last = MAX_COMMITS_LOOKED_AT * 2 + 10
    for (const account of [null, id(7)]) {
      const { history, counts } = historyOf(5, last)
      const ends: (LedgerPlace | null)[] = []
      let before: LedgerPlace | null = null
      do {
        const query: HistoryQuery<'transactions'> = { account, kinds: ['transfer'], before, count: 10 }
        const reads = counts.read
        const page = await history.page({ kind: 'transactions', query })
        assert.ok(counts.read - reads <= MAX_COMMITS_LOOKED_AT)
        assert.ok('transactions' in page && 'next' in page)
        assert.deepEqual([page.transactions, page.first], [[], 5])
        assert.ok(page.next === null || typeof page.next === 'object')
        // A place, as this listing's cursors are.
        before = page.next as LedgerPlace | null
        ends.push(before)
      } while (before !== null)
      // Every commit once: the pages join.
      assert.equal(counts.read, last - 5 + 1)
      assert.equal(ends.length, 3)
    }
  })

  it('begins where its oldest commit is, and gives commits in both directions', async () => {
    const { history } = historyOf(5, 20)
    const indices = async (query: HistoryQuery<'commits'>): Promise<number[]> => {
      const page = await history.page({ kind: 'commits', query })
      assert.ok('commits' in page && page.first === 5)
      return page.commits.flatMap(one => ('header' in one ? [one.header.index] : []))
    }
    assert.deepEqual(await indices({ from: 0, count: 3, ascending: true }), [5, 6, 7])
    assert.deepEqual(await indices({ from: 19, count: 9, ascending: true }), [19, 20])
    assert.deepEqual(await indices({ from: 6, count: 9, ascending: false }), [6, 5])
    assert.deepEqual(await indices({ from: Number.MAX_SAFE_INTEGER, count: 2, ascending: false }), [20, 19])
    assert.deepEqual(await indices({ from: 21, count: 2, ascending: true }), [])
  })

  for (const what of ['parents', 'weak', 'transactions'] as const) {
    it(`ends a page of blocks once it holds as many ids as it may, those of ${what} too`, async () => {
      const some = Array.from({ length: MAX_BLOCK_IDS / 4 }, () => id(3))
      const block = { id: id(4), epoch: 0, round: 1, author: 0, witness: id(2), timestamp: 1 }
      const blocks = [{ ...block, parents: [], weak: [], transactions: [], [what]: some }]
      const { history } = historyOf(0, 60, {
        blocksOf: async index => ({ commit: { index, epoch: 0, leader: id(4), blocks }, bytes: 1 }),
        firstBlocks: async () => 0,
        committee: async () => ({ epoch: 0, members: [] }),
        equivocated: () => [],
        evidence: async () => null
      })
      const { commits = [] } = (await history.page({ kind: 'blocks', query: { from: 0, to: 60 } })) as {
        commits?: unknown[]
      }
      assert.equal(commits.length, 4)
    })
  }

  it('names a commit that no message holds, and goes on with the next page after it, in both directions', async () => {
    const part = {
      bytes: new Uint8Array(256 << 10),
      outcome: { status: 'refused', id: id(4), code: 'X', data: {} }
    } as const
    const large = { ...commit(4), transactions: new Array<CommitView['transactions'][number]>(64).fill(part) }
    const { history } = historyOf(0, 9, undefined, index => (index === 4 ? large : commit(index)))
    const page = async (query: HistoryQuery<'commits'>) => {
      const found = HISTORY.commits.page.parse(await history.page({ kind: 'commits', query }))
      return [found.commits.map(({ header }) => header.index), found.large?.map(({ index }) => index)]
    }
    assert.deepEqual(await page({ from: 3, count: 64, ascending: true }), [[3], undefined])
    assert.deepEqual(await page({ from: 4, count: 64, ascending: true }), [[], [4]])
    assert.deepEqual(await page({ from: 4, count: 64, ascending: false }), [[], [4]])
    assert.deepEqual(await page({ from: 5, count: 2, ascending: true }), [[5, 6], undefined])
  })

  it('a page of transactions ends after 4 MiB of them, also in the middle of a commit', async () => {
    const transactions = offers(200)
    const size = transactions[0]?.bytes.length ?? assert.fail()
    assert.ok(size * 200 > HISTORY_PAGE_BYTES + size, 'they are more than a page')
    const { history } = historyOf(0, 0, undefined, index => ({ ...commit(index), transactions }))
    const query = { account: null, kinds: null, before: null, count: 200 }
    const found = HISTORY.transactions.page.parse(await history.page({ kind: 'transactions', query }))
    const shown = Math.floor(HISTORY_PAGE_BYTES / size) + 1
    assert.deepEqual([found.transactions.length, found.next], [shown, { index: 0, position: 200 - shown }])
  })

  it('a page of blocks ends after 4 MiB of them were read, however few ids that are', async () => {
    const block = { id: id(4), epoch: 0, round: 1, author: 0, witness: id(2), timestamp: 1 }
    const blocks = [{ ...block, parents: [], weak: [], transactions: [] }]
    const { history } = historyOf(0, 60, {
      blocksOf: async index => ({ commit: { index, epoch: 0, leader: id(4), blocks }, bytes: 1 << 20 }),
      firstBlocks: async () => 0,
      committee: async () => ({ epoch: 0, members: [] }),
      equivocated: () => [],
      evidence: async () => null
    })
    const page = await history.page({ kind: 'blocks', query: { from: 0, to: 60 } })
    assert.equal('commits' in page && page.commits.length, 5)
  })
})
