import assert from 'node:assert/strict'
import {
  encodeSigned,
  toHex,
  type HistoryRequest,
  type LedgerAccess,
  type PlacedTransaction,
  type TaskView,
  type WitnessPage
} from '@pekka/node/protocol'
import { LedgerExplorer, type BlockFilter, type WitnessState } from '../../src/ledger/explorer.js'

const id = (value: number): Uint8Array => {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

/** The last commit, where a test is about commits. */
const LAST = 3

/** An explorer of a ledger that answers as a test says, and what was asked of it. */
function explorerOf(page: (what: HistoryRequest) => unknown, task: (id: Uint8Array) => unknown = () => null) {
  const asked: string[] = []
  const ledger = {
    history: async (what: HistoryRequest) => page(what),
    transaction: async () => null,
    time: async () => ({ index: LAST }),
    task: async (which: Uint8Array) => {
      asked.push(toHex(which))
      return task(which)
    }
  }
  // What else a ledger answers is asked of none here.
  return { explorer: new LedgerExplorer({ ledger: ledger as unknown as LedgerAccess }, { network: id(0) }), asked }
}

describe('the ledger as it is shown', () => {
  it('says that what is not there may be older than what the witness keeps, and only where it doesn’t keep all', async () => {
    for (const first of [0, 70]) {
      const { explorer } = explorerOf(() => ({ first, commits: [] }))
      const code = first === 0 ? 'NOT_ON_LEDGER' : 'HISTORY_PRUNED'
      await assert.rejects(explorer.transaction(id(1)), { code })
      await assert.rejects(explorer.task(id(1)), { code })
      await assert.rejects(explorer.commit(3), { code })
      // One that isn't final yet is none that is gone.
      await assert.rejects(explorer.commit(99), { code: 'NOT_ON_LEDGER' })
    }
  })

  it('names a commit that no message holds, says so of it, and goes on below it', async () => {
    const large = [{ index: 8, size: 17 << 20 }]
    const { explorer } = explorerOf(() => ({ first: 0, commits: [], large }))
    assert.deepEqual(await explorer.commits(9, 10), { first: 0, commits: [], large, next: '8' })
    await assert.rejects(explorer.commit(8), { code: 'COMMIT_TOO_LARGE', data: { index: 8, size: 17 << 20 } })
  })

  const seats = (page: WitnessPage): string[] =>
    page.witnesses.map(({ key, seat, staked }) => `${toHex(key)} ${seat?.author} ${staked?.stake}`)

  it('names every witness once with what it has, however short the pages are', async () => {
    const member = (key: number, stake: bigint) => ({ key: id(key), stake })
    // 2 has a seat still and is staked no more; 6 and 1 are staked and have no seat yet.
    const committee = [member(2, 1n), member(3, 2n), member(4, 3n), member(5, 4n), member(9, 5n)]
    const staked = [1, 3, 4, 5, 6].map(key => ({ ...member(key, 7n), account: id(100 + key), epochs: [1] }))
    const equivocated = [7, 9].map(round => ({ key: id(4), epoch: 2, round, blocks: [id(20), id(30)] }))
    const { explorer } = explorerOf(what => {
      assert.equal(what.kind, 'witnesses')
      if (what.kind !== 'witnesses') return null
      const { after, count } = what.query
      const rest = staked.filter(({ key }) => after === null || toHex(key) > toHex(after))
      const shown = rest.slice(0, count)
      const next = rest.length > count ? (shown.at(-1)?.key ?? null) : null
      return { epoch: 3, committee, staked: shown, equivocated, next }
    })
    const whole = await explorer.witnesses(null, 200)
    assert.equal(whole.next, null)
    assert.deepEqual(
      whole.witnesses.map(({ key, seat }) => [toHex(key), seat?.author]),
      [1, 2, 3, 4, 5, 6, 9].map(key => [toHex(id(key)), { 2: 0, 3: 1, 4: 2, 5: 3, 9: 4 }[key]])
    )
    const accused = whole.witnesses.filter(one => one.equivocated.length > 0)
    assert.deepEqual(
      accused.map(one => [toHex(one.key), one.equivocated.map(({ epoch, round }) => `${epoch}/${round}`)]),
      [[toHex(id(4)), ['2/7', '2/9']]]
    )
    const of = async (state: WitnessState): Promise<Uint8Array[]> =>
      (await explorer.witnesses(null, 200, state)).witnesses.map(({ key }) => key)
    assert.deepEqual(
      [await of('seated'), await of('waiting'), await of('equivocated')],
      [[2, 3, 4, 5, 9].map(id), [1, 6].map(id), [4].map(id)]
    )
    for (const limit of [1, 2, 3, 5]) {
      const paged: string[] = []
      let after: Uint8Array | null = null
      do {
        const page: WitnessPage = await explorer.witnesses(after, limit)
        paged.push(...seats(page))
        after = page.next === null ? null : Uint8Array.from(Buffer.from(page.next, 'hex'))
      } while (after !== null)
      assert.deepEqual(paged, seats(whole))
    }
  })

  it('tells of blocks those of one witness, of one epoch, or all, and goes on where none of a page is one', async () => {
    const block = (epoch: number, author: number, round: number) => ({
      ...{ id: id(1000 + round), epoch, round, author, witness: id(50 + author), timestamp: 1 },
      ...{ parents: [], weak: [], transactions: [] }
    })
    const commits = [block(1, 0, 1), block(1, 1, 2), block(2, 1, 1), block(2, 0, 2)].map((one, index) => ({
      ...{ index, epoch: one.epoch, leader: one.id, blocks: [one] }
    }))
    const { explorer } = explorerOf(what => {
      if (what.kind !== 'blocks') return null
      const { from, to } = what.query
      return { first: 0, commits: commits.slice(from, to + 1) }
    })
    const seen = async (filter?: BlockFilter): Promise<string[]> =>
      (await explorer.blocks(null, 64, filter)).blocks.map(({ epoch, author }) => `${epoch}/${author}`)
    assert.deepEqual(await seen(), ['2/0', '2/1', '1/1', '1/0'])
    assert.deepEqual(await seen({ witness: id(51), epoch: null }), ['2/1', '1/1'])
    assert.deepEqual(await seen({ witness: null, epoch: 1 }), ['1/1', '1/0'])
    assert.deepEqual(await seen({ witness: id(50), epoch: 2 }), ['2/0'])
    const { blocks, next } = await explorer.blocks(null, 2, { witness: null, epoch: 1 })
    assert.deepEqual([blocks, next], [[], '2'])
  })

  const accept = (task: number, index: number): PlacedTransaction => ({
    place: { index, position: 0 },
    bytes: encodeSigned({
      transaction: {
        ...{ v: 1, network: id(0), account: id(1), key: id(2), sequence: index, previous: null, parents: [id(3)] },
        expiry: 1,
        body: { kind: 'accept', task: id(task) }
      },
      signatures: [{ key: id(2), signature: new Uint8Array(64) }]
    }),
    outcome: { status: 'applied', id: id(10_000 + index), index, timestamp: 1 }
  })
  const filter = { account: null, provider: id(1), state: null }
  // Of a view the explorer looks at these alone.
  const view = (task: Uint8Array): TaskView => ({ task, state: 'settled', account: id(5) }) as unknown as TaskView

  it('lists a task once on a page, however often a machine accepted it', async () => {
    const transactions = [accept(7, 9), accept(8, 8), accept(7, 7)]
    const { explorer, asked } = explorerOf(() => ({ first: 0, transactions, next: null }), view)
    const { tasks } = await explorer.tasks(filter, null, 10)
    assert.deepEqual(
      tasks.map(({ task }) => toHex(task)),
      [toHex(id(7)), toHex(id(8))]
    )
    assert.equal(asked.length, 2)
  })

  it('ends a page of tasks after a few hundred that don’t match, and says where to go on', async () => {
    const transactions = Array.from({ length: 700 }, (_, i) => accept(i, 1_000 - i))
    const { explorer, asked } = explorerOf(() => ({ first: 0, transactions, next: null }), view)
    const page = await explorer.tasks({ ...filter, state: 'running' }, null, 200)
    assert.deepEqual([page.tasks, page.next], [[], '489-0'])
    assert.equal(asked.length, 512)
  })
})
