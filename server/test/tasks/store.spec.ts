import assert from 'node:assert/strict'
import type { TaskView } from '@pekka/node/protocol'
import type { WriteOperation } from '../../src/tasks/group-writer.js'
import { GroupWriter, TaskStore, type NewOffer } from '../../src/tasks/index.js'

/** A table in memory that counts what is asked of it. */
class Table {
  readonly rows = new Map<string, Uint8Array>()
  reads: string[] = []
  batches = 0

  async get(key: string): Promise<Uint8Array | undefined> {
    this.reads.push(key)
    return this.rows.get(key)
  }

  async *iterator({ gte = '', lt = '~' }: { gte?: string; lt?: string }): AsyncGenerator<[string, Uint8Array]> {
    for (const [key, value] of [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (key >= gte && key < lt) yield [key, value]
    }
  }

  async batch(operations: WriteOperation[]): Promise<void> {
    this.batches++
    for (const operation of operations) {
      if (operation.type === 'put') this.rows.set(operation.key, operation.value)
      else this.rows.delete(operation.key)
    }
  }
}

const id = (n: number): Uint8Array => new Uint8Array(32).fill(n)
const bundle = new Uint8Array([1, 2, 3])

/** What the store reads of an offer. */
const offer = {
  transaction: new Uint8Array([9]),
  id: id(9),
  account: id(1),
  lane: id(2),
  tasks: [
    {
      terms: {
        task: id(3),
        bundle: { hash: id(4), size: 3 },
        candidates: [{ provider: id(5), ask: id(6), pricePerSecond: 1n }],
        limits: { wallMs: 1000, cpuMs: 1000, outputBytes: 1000 }
      },
      index: 0,
      boxes: [new Uint8Array([7])],
      bundle,
      note: new Uint8Array(),
      submittedAt: 1,
      endedAt: null
    }
  ]
} as unknown as NewOffer

/** Of a view the store reads its state. */
const view = (state: TaskView['state']): TaskView => ({ state }) as unknown as TaskView

describe('the task store', () => {
  const taken = async () => {
    const table = new Table()
    const store = await TaskStore.open(table, new GroupWriter(table))
    const { records, durable } = store.add(offer)
    await durable
    const [record] = records
    assert.ok(record)
    table.reads = []
    return { table, store, record }
  }

  it('reads no disk for the offer and bundle of a task that waits for a machine, also once the ledger has it', async () => {
    const { table, store, record } = await taken()
    const offered = store.update(record, { bridge: 'on-ledger', view: view('offered') }, 2)
    await store.settled()
    assert.deepEqual([await store.offer(record.offer), await store.bundle(record.task)], [offer.transaction, bundle])
    assert.deepEqual(table.reads, [])
    store.update(offered, { view: view('running') }, 3)
    await store.settled()
    assert.deepEqual([await store.offer(record.offer), await store.bundle(record.task)], [offer.transaction, bundle])
    assert.equal(table.reads.length, 2)
  })

  it('writes the last of several changes, once', async () => {
    const { table, store, record } = await taken()
    const { batches } = table
    const offered = store.update(record, { bridge: 'on-ledger', code: 'A' }, 2)
    store.update(offered, { code: 'B' }, 3)
    await store.settled()
    assert.equal(table.batches, batches + 1)
    const again = await TaskStore.open(table, new GroupWriter(table))
    assert.equal((await again.get(record.task))?.code, 'B')
  })

  it('shows a change that is not written yet', async () => {
    const { store, record } = await taken()
    store.update(record, { bridge: 'refused', code: 'FUNDS_MISSING' }, 2)
    const found = await store.get(record.task)
    assert.deepEqual([found?.bridge, found?.code, found?.endedAt], ['refused', 'FUNDS_MISSING', 2])
    await store.settled()
  })
})
