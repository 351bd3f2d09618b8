import assert from 'node:assert/strict'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner } from '@pekka/node/host/crypto'
import { signRunHeader, type ProviderMessage } from '@pekka/node/protocol'
import { LATE_MS, MAX_LATE_RUNS } from '../../../src/agents/provider/constants.js'
import { Delivery, type LinkSender } from '../../../src/agents/provider/output/delivery.js'
import { Outputs } from '../../../src/agents/provider/output/outputs.js'
import { RunFile } from '../../../src/agents/provider/output/run-file.js'
import { RunStore, type RunRecord } from '../../../src/agents/provider/output/run-store.js'

const signer = createSigner(new Uint8Array(32).fill(3))
const network = new Uint8Array(32).fill(1)
const BRIDGE = '/ip4/127.0.0.1/tcp/1'

describe('output whose bridge was away until its task was closed', () => {
  let directory = ''
  let store: RunStore
  let outputs: Outputs
  let now = LATE_MS

  beforeEach(async () => {
    now = LATE_MS
    directory = await mkdtemp(join(tmpdir(), 'pekka-late-'))
    store = new RunStore(directory)
    await store.open()
    outputs = begin()
  })
  afterEach(async () => {
    await outputs.close()
    await store.close()
    await rm(directory, { recursive: true })
  })

  const begin = (look?: number): Outputs =>
    new Outputs({ store, signer, clock: { now: () => now }, log: { info: () => {}, warn: () => {} } }, network, look)

  /** A run that is finished, as its attempt leaves it. */
  async function run(number: number, ledger: RunRecord['ledger'] = 'committed'): Promise<RunRecord> {
    const task = new Uint8Array(32).fill(number)
    const record: RunRecord = {
      ...{ v: 1, task, attempt: 1, run: 1, bridge: BRIDGE, taskKey: task, blobs: [], finished: null },
      ...{ delivered: false, ledger, startedAt: now + number }
    }
    const binding = { network, task, attempt: 1, run: 1, provider: task, runKey: task, startedAt: 1 }
    const file = await RunFile.create(store.fileOf(record), await signRunHeader({ v: 1, ...binding }, signer))
    await file.append([new Uint8Array(272)])
    await store.put(record)
    outputs.register(new Delivery(file), record)
    return record
  }

  const isThere = (record: RunRecord): Promise<boolean> =>
    access(store.fileOf(record)).then(
      () => true,
      () => false
    )

  it('stays until that has it, also over a restart, and goes then', async () => {
    const record = await run(1)
    await outputs.closed(record)
    assert.deepEqual([await isThere(record), outputs.open], [true, 1])
    await outputs.close()
    outputs = begin()
    const [kept = assert.fail()] = await store.list()
    await outputs.recover(kept)
    await outputs.closed(kept)
    const sent: ProviderMessage[] = []
    const putBlob = (): Promise<never> => assert.fail('nothing is large')
    const link: LinkSender = { send: async message => void sent.push(message), putBlob }
    assert.equal(outputs.resume(BRIDGE).length, 1)
    outputs.linkUp(BRIDGE, link)
    const { task, attempt } = kept
    outputs.acknowledge(BRIDGE, { kind: 'ack', task, attempt, run: 1, count: 0, stored: null })
    while (!sent.some(({ kind }) => kind === 'frames')) await new Promise(resolve => setImmediate(resolve))
    outputs.acknowledge(BRIDGE, { kind: 'ack', task, attempt, run: 1, count: 1, stored: null })
    while (await isThere(kept)) await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual([outputs.open, await store.list()], [0, []])
  })

  it('goes at once where its bridge has it, or it was never committed', async () => {
    const [lost, has] = [await run(1, 'lost'), await run(2)]
    const { task, attempt } = has
    outputs.acknowledge(BRIDGE, { kind: 'ack', task, attempt, run: 1, count: 1, stored: null })
    for (const record of [lost, has]) await outputs.closed(record)
    assert.deepEqual([await isThere(lost), await isThere(has), outputs.open], [false, false, 0])
  })

  it('is bounded, by number and by age', async () => {
    const records: RunRecord[] = []
    for (let number = 1; number <= MAX_LATE_RUNS + 2; number++) records.push(await run(number))
    for (const record of records) await outputs.closed(record)
    assert.equal(outputs.open, MAX_LATE_RUNS)
    assert.deepEqual(
      [await isThere(records[1] ?? assert.fail()), await isThere(records[2] ?? assert.fail())],
      [false, true]
    )
    now += LATE_MS + records.length + 1
    const last = await run(100)
    await outputs.closed(last)
    assert.deepEqual([outputs.open, await isThere(last)], [1, true])
  })

  it('goes when it is too old, though nothing else happens', async () => {
    await outputs.close()
    outputs = begin(5)
    const [old, open] = [await run(1), await run(2, 'open')]
    await outputs.closed(old)
    assert.equal(await isThere(old), true)
    now += LATE_MS + 3
    while (await isThere(old)) await new Promise(resolve => setImmediate(resolve))
    // Of a task that isn't closed nothing goes.
    assert.deepEqual([outputs.open, await isThere(open), (await store.list()).length], [1, true, 1])
  })
})
