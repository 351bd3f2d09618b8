import assert from 'node:assert/strict'
import { toHex } from '@pekka/node/protocol'
import type { BesideRange, LedgerBatch, LedgerStore, StoredRow } from '@pekka/node/host/storage'

export const bytes = (seed: number, length = 32): Uint8Array =>
  new Uint8Array(length).map((_, i) => (seed + i * 13) & 255)

export const batch = (index: number, change: Partial<LedgerBatch> = {}): LedgerBatch => ({
  index,
  rows: [{ table: 'account', key: 'a', value: bytes(index) }],
  commit: bytes(index, 100),
  transactions: [bytes(index * 2), bytes(index * 2 + 1)],
  closedTasks: [],
  ...change
})

const rowsIn = async (store: LedgerStore): Promise<string[]> => {
  const rows: string[] = []
  for await (const { table, key, value } of store.rows()) rows.push(`${table}/${key}=${toHex(value)}`)
  return rows
}

/** What every store does. `open` gives a started store; called again, it opens the same data anew. */
export function storeConformance(
  name: string,
  setUp: () => Promise<{ open: () => Promise<LedgerStore>; tearDown: () => Promise<void> }>
): void {
  describe(`ledger store: ${name}`, () => {
    let open: () => Promise<LedgerStore>
    let tearDown: () => Promise<void>
    let store: LedgerStore
    const first: StoredRow[] = [
      { table: 'account', key: 'a', value: bytes(1) },
      { table: 'system', key: 'system', value: bytes(2) }
    ]

    beforeEach(async () => {
      ;({ open, tearDown } = await setUp())
      store = await open()
      assert.equal(await store.genesis(), null)
      await store.create(bytes(7), first)
    })
    afterEach(async () => {
      await store.stop()
      await tearDown()
    })

    const reopen = async (): Promise<void> => {
      await store.stop()
      store = await open()
    }

    it('keeps the genesis and the first rows', async () => {
      await reopen()
      assert.deepEqual(await store.genesis(), bytes(7))
      assert.deepEqual(await rowsIn(store), [`account/a=${toHex(bytes(1))}`, `system/system=${toHex(bytes(2))}`])
      assert.equal(store.last(), -1)
    })

    it('is created once', async () => {
      await assert.rejects(store.create(bytes(8), []), TypeError)
      assert.deepEqual(await store.genesis(), bytes(7))
    })

    it('applies a commit as a whole: rows put and deleted, commit, transactions, closed tasks', async () => {
      const closed = { task: bytes(60), view: bytes(61, 500) }
      const rows = [
        { table: 'account', key: 'b', value: bytes(3) },
        { table: 'account', key: 'a', value: null }
      ]
      await store.write(batch(0, { rows, closedTasks: [closed] }))
      await reopen()
      assert.deepEqual(await rowsIn(store), [`account/b=${toHex(bytes(3))}`, `system/system=${toHex(bytes(2))}`])
      assert.deepEqual(await store.commit(0), bytes(0, 100))
      assert.deepEqual(await store.locate(bytes(1)), { index: 0, position: 1 })
      assert.deepEqual(await store.closedTask(bytes(60)), bytes(61, 500))
      assert.equal(store.last(), 0)
    })

    it('gives rows by table and ascending key', async () => {
      const rows = ['task/2', 'ask/9', 'task/10', 'account/zz', 'task/1'].map(place => {
        const [table = '', key = ''] = place.split('/')
        return { table, key, value: bytes(1) }
      })
      await store.write(batch(0, { rows }))
      const places = (await rowsIn(store)).map(row => row.slice(0, row.indexOf('=')))
      assert.deepEqual(places, ['account/a', 'account/zz', 'ask/9', 'system/system', 'task/1', 'task/10', 'task/2'])
    })

    it('refuses a commit that is not the next', async () => {
      await store.write(batch(0))
      await assert.rejects(store.write(batch(0)), TypeError)
      await assert.rejects(store.write(batch(2)), TypeError)
      await store.write(batch(1))
      assert.equal(store.last(), 1)
    })

    it('keeps all commits in order over many', async () => {
      for (let index = 0; index < 120; index++) await store.write(batch(index))
      await reopen()
      assert.equal(store.last(), 119)
      assert.deepEqual(await store.commit(99), bytes(99, 100))
      assert.equal(await store.commit(120), null)
    })

    it('finds the commits that changed an account, newest first, also when it is opened anew', async () => {
      const [alice, bob] = [bytes(7), bytes(8)]
      const accounts = [[alice], [alice, bob], [], [bob], [alice]]
      assert.equal(await store.first(), 0)
      for (const [index, changed] of accounts.entries()) await store.write(batch(index, { accounts: changed }))
      const of = async (account: Uint8Array, before: number): Promise<number[]> => {
        const found: number[] = []
        for await (const index of store.changesOf(account, before)) found.push(index)
        return found
      }
      for (let opened = 0; opened < 2; opened++) {
        assert.deepEqual(await of(alice, 5), [4, 1, 0])
        assert.deepEqual(await of(alice, 4), [1, 0])
        assert.deepEqual(await of(bob, 99), [3, 1])
        assert.deepEqual(await of(bytes(10), 5), [])
        assert.deepEqual([await store.first(), store.indexedFrom()], [0, 0])
        await reopen()
      }
    })

    it('forgets the oldest commits whole, with what finds them, and goes on', async () => {
      const [alice, bob] = [bytes(7), bytes(8)]
      for (let index = 0; index < 6; index++) {
        const closedTasks = [{ task: bytes(100 + index), view: bytes(index, 200) }]
        await store.write(batch(index, { accounts: index === 4 ? [alice] : [alice, bob], closedTasks }))
      }
      const bytesBefore = await store.historyBytes()
      const [transactions, changes] = [
        [0, 1, 2, 3].map(seed => bytes(seed)),
        [0, 1].flatMap(index => [
          { account: alice, index },
          { account: bob, index }
        ])
      ]
      const beside = [{ key: 'past/a', value: bytes(3) }]
      await store.forget({ before: 2, transactions, changes, closedTasks: [bytes(100)], beside })
      for (let opened = 0; opened < 2; opened++) {
        assert.deepEqual([await store.first(), store.indexedFrom(), store.last()], [2, 2, 5 + opened])
        assert.deepEqual([await store.commit(1), await store.commit(2)], [null, bytes(2, 100)])
        assert.deepEqual(
          [await store.locate(bytes(3)), await store.locate(bytes(4))],
          [null, { index: 2, position: 0 }]
        )
        assert.deepEqual(
          [await store.closedTask(bytes(100)), await store.closedTask(bytes(101))],
          [null, bytes(1, 200)]
        )
        const changed: number[] = []
        for await (const index of store.changesOf(bob, 6)) changed.push(index)
        assert.deepEqual(changed, [5, 3, 2])
        assert.deepEqual(await store.beside.get('past/a'), bytes(3))
        // Nothing older than the first comes to nothing; the last one stays.
        await store.forget({ before: 0, transactions: [], changes: [], closedTasks: [], beside: [] })
        if (opened === 0) await store.write(batch(6))
        await reopen()
      }
      await assert.rejects(
        store.forget({ before: 7, transactions: [], changes: [], closedTasks: [], beside: [] }),
        TypeError
      )
      await store.compact(new AbortController().signal)
      assert.ok((await store.historyBytes()) <= Math.max(bytesBefore, 4_000))
      assert.deepEqual(await store.commit(6), bytes(6, 100))
    })

    it('says null for what it does not have', async () => {
      assert.equal(await store.locate(bytes(99)), null)
      assert.equal(await store.closedTask(bytes(99)), null)
      assert.equal(await store.commit(0), null)
    })

    it('keeps rows beside the ledger, with a commit or by themselves, and gives ranges of them in both directions', async () => {
      const beside = ['b/2', 'b/1', 'c/1'].map(key => ({ key, value: bytes(key.length + key.charCodeAt(2)) }))
      await store.write(batch(0, { beside }))
      await store.beside.write([
        { key: 'b/3', value: bytes(9) },
        { key: 'c/1', value: null }
      ])
      await reopen()
      const keys = async (range: BesideRange): Promise<string[]> => {
        const found: string[] = []
        for await (const { key } of store.beside.rows(range)) found.push(key)
        return found
      }
      assert.deepEqual(await keys({ gte: 'b/', lt: 'b/\uffff' }), ['b/1', 'b/2', 'b/3'])
      assert.deepEqual(await keys({ gte: 'b/', lt: 'z', reverse: true, limit: 2 }), ['b/3', 'b/2'])
      assert.deepEqual(await store.beside.get('b/3'), bytes(9))
      assert.equal(await store.beside.get('c/1'), null)
      // Nothing of it is the ledger's.
      assert.equal((await rowsIn(store)).length, 2)
      assert.equal(store.last(), 0)
    })

    it('owns what it was given: changing the bytes afterwards changes nothing', async () => {
      const value = bytes(5)
      await store.write(batch(0, { rows: [{ table: 'account', key: 'a', value }] }))
      value.fill(0)
      assert.ok((await rowsIn(store)).includes(`account/a=${toHex(bytes(5))}`))
    })
  })
}
