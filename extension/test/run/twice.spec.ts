import assert from 'node:assert/strict'
import { PekkaError, isPekkaError } from '@pekka/node/protocol'
import type { Quote, TaskRequest } from '@pekka/node/client'
import type { RemoteTask } from '../../src/run/remote-task.js'
import { Twice, affordTwice } from '../../src/run/twice.js'

const wanted: TaskRequest = {
  program: { kind: 'cells', cells: [{ id: 'a', source: '1', tags: [] }], stopOnError: true },
  cap: 500_000n,
  note: { v: 1, title: 'fit.ipynb, cell 1', kind: 'cell', path: 'fit.ipynb', cells: ['a'] }
}
// Of a quote nothing is read here.
const quote = {} as Quote

/** Takes tasks as the page's list does; refuses from the `refused`-th on. */
class List {
  readonly sent: TaskRequest[] = []
  readonly cancelled: unknown[] = []

  constructor(private readonly refused = Infinity) {}

  async submit(request: TaskRequest): Promise<RemoteTask> {
    if (this.sent.length >= this.refused) throw new PekkaError('NO_MATCH', {})
    this.sent.push(request)
    return { bytes: new Uint8Array(32).fill(this.sent.length), keeper: null } as unknown as RemoteTask // as much as is used
  }

  async follow(): Promise<RemoteTask> {
    return {} as unknown as RemoteTask // not used
  }

  async cancel(task: RemoteTask): Promise<void> {
    this.cancelled.push(task)
  }
}

describe('run: twice', () => {
  it('sends one program with one seed on two kinds of processors; only the first belongs to cells', async () => {
    const list = new List()
    const { first } = await Twice.submit(list, wanted, quote)
    const [one, two] = list.sent
    assert.ok(one && two)
    assert.equal(typeof one.seed, 'number')
    assert.equal(two.seed, one.seed)
    assert.deepEqual([one.numeric, two.numeric], [undefined, 'other'])
    assert.deepEqual([one.note.cells, two.note.cells], [['a'], []])
    assert.equal(two.note.title, 'fit.ipynb, cell 1, second run')
    assert.notEqual(first.keeper, null)
  })

  it('leaves real entropy to both', async () => {
    const list = new List()
    await Twice.submit(list, { ...wanted, seed: null }, quote)
    assert.deepEqual(
      list.sent.map(({ seed }) => seed),
      [null, null]
    )
  })

  it('cancels the first where the second can not be sent', async () => {
    const list = new List(1)
    await assert.rejects(Twice.submit(list, wanted, quote), error => isPekkaError(error) && error.code === 'NO_MATCH')
    assert.equal(list.cancelled.length, 1)
  })

  it('asks for enough for both before it sends one', async () => {
    const client = { account: async () => ({ balance: 900_000n }) } as unknown as Parameters<typeof affordTwice>[0]
    await affordTwice(client, 450_000n)
    await assert.rejects(affordTwice(client, 500_000n), error => isPekkaError(error) && error.code === 'FUNDS_MISSING')
  })
})
