import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { createLedgerStore, MemoryLedgerStore } from '@pekka/node/host/storage'
import { batch, bytes, storeConformance } from './conformance.js'

const temporary = (): Promise<string> => mkdtemp(join(tmpdir(), 'pekka store ü '))

storeConformance('memory', async () => {
  const store = new MemoryLedgerStore()
  return { open: async () => store, tearDown: async () => {} }
})

storeConformance('level', async () => {
  const folder = await temporary()
  const open = async () => {
    const store = createLedgerStore({ folder: join(folder, 'ledger') })
    await store.start()
    return store
  }
  return { open, tearDown: () => rm(folder, { recursive: true, force: true }) }
})

describe('ledger store: level, on disk', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await temporary()
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('lets one process in', async () => {
    const first = createLedgerStore({ folder })
    await first.start()
    await assert.rejects(createLedgerStore({ folder }).start(), { code: 'STATE_LOCKED' })
    await first.stop()
  })

  it('refuses another version’s data and leaves it as it is', async () => {
    const store = createLedgerStore({ folder })
    await store.start()
    await store.create(bytes(1), [])
    await store.stop()
    const db = new Level<string, Uint8Array>(folder, { valueEncoding: 'view' })
    await db.put('m/version', new Uint8Array([0, 0, 0, 99]))
    await db.close()
    await assert.rejects(createLedgerStore({ folder }).start(), {
      code: 'STATE_VERSION',
      data: { path: folder, found: 99, needed: 1 }
    })
    await db.open()
    assert.deepEqual(new Uint8Array((await db.get('m/version')) ?? []), new Uint8Array([0, 0, 0, 99]))
    await db.close()
  })

  it('takes less of the disk once old commits are forgotten and it is compacted', async () => {
    const size = async (): Promise<number> => {
      const sizes = (await readdir(folder)).filter(name => name.endsWith('.ldb')).map(name => stat(join(folder, name)))
      return (await Promise.all(sizes)).reduce((sum, one) => sum + one.size, 0)
    }
    const store = createLedgerStore({ folder })
    await store.start()
    await store.create(bytes(1), [])
    const id = (index: number): Uint8Array => new Uint8Array(randomBytes(32)).fill(index, 0, 1)
    const ids = Array.from({ length: 100 }, (_, index) => [id(index), id(index)])
    for (const [index, transactions] of ids.entries())
      await store.write(batch(index, { commit: new Uint8Array(randomBytes(60_000)), transactions }))
    await store.compact(new AbortController().signal)
    const before = await size()
    assert.ok(before > 5e6, `${before}`)
    assert.ok((await store.historyBytes()) > 5e6)
    await store.forget({
      before: 90,
      transactions: ids.slice(0, 90).flat(),
      changes: [],
      closedTasks: [],
      beside: []
    })
    await store.compact(new AbortController().signal)
    const after = await size()
    assert.ok(after < 0.25 * before, `${after} of ${before} bytes`)
    assert.ok((await store.historyBytes()) < 1.5e6)
    assert.equal((await store.commit(90))?.length, 60_000)
    await store.stop()
  })

  it('says from where on it knows which commits changed an account, on data from before it did', async () => {
    const old = createLedgerStore({ folder })
    await old.start()
    await old.create(bytes(1), [])
    await old.write(batch(0, { accounts: [] }))
    await old.stop()
    const db = new Level<string, Uint8Array>(folder, { valueEncoding: 'view' })
    await db.del('m/indexed-from')
    await db.close()
    for (let started = 0; started < 2; started++) {
      const store = createLedgerStore({ folder })
      await store.start()
      assert.equal(store.indexedFrom(), 1)
      if (started === 0) await store.write(batch(1, { accounts: [bytes(7)] }))
      await store.stop()
    }
  })
})
