import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { createLedgerStore, MemoryLedgerStore } from '@pekka/node/host/storage'
import { bytes, storeConformance } from './conformance.js'

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
})
