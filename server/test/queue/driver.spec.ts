import assert from 'node:assert/strict'
import { pino } from 'pino'
import {
  PekkaError,
  decodeSigned,
  encodeSigned,
  toHex,
  type LedgerAccess,
  type TaskView,
  type TransactionOutcome
} from '@pekka/node/protocol'
import type { LedgerMirror } from '../../src/ledger/index.js'
import type { Metrics } from '../../src/metrics.js'
import type { Candidates } from '../../src/queue/candidates.js'
import { BUSY_PATIENCE_MS, LANE_PATIENCE_MS } from '../../src/queue/constants.js'
import { TaskDriver } from '../../src/queue/driver.js'
import type { TaskRecord, TaskStore } from '../../src/tasks/index.js'

const id = (n: number): Uint8Array => new Uint8Array(32).fill(n)

/** Offer n of a lane, behind offer n - 1; its id is of n alone. */
const signed = (n: number): Uint8Array =>
  encodeSigned({
    transaction: {
      v: 1,
      network: id(99),
      account: id(100),
      key: id(7),
      sequence: n,
      previous: n === 0 ? null : id(n - 1),
      parents: [id(98)],
      expiry: 1,
      body: { kind: 'cancel', task: id(n) }
    },
    signatures: [{ key: id(7), signature: new Uint8Array(64) }]
  })

/** A driver over a table and a ledger in memory. */
class Bench {
  readonly records = new Map<string, TaskRecord>()
  /** Offers in the order in which they reached the ledger. */
  readonly submitted: number[] = []
  readonly bytes: Uint8Array[] = []
  #answers: PromiseWithResolvers<TransactionOutcome>[] = []
  now = 0
  /** The ledger has none of the tasks. */
  unknown = false
  readonly driver: TaskDriver

  constructor() {
    const store = {
      live: (task: Uint8Array) => this.records.get(toHex(task)),
      get: async (task: Uint8Array) => this.records.get(toHex(task)) ?? null,
      open: () => [...this.records.values()],
      offer: async (offer: Uint8Array) => signed(offer[0] ?? 0),
      bundle: async () => null,
      update: (record: TaskRecord, change: Partial<TaskRecord>) => {
        const next = { ...record, ...change }
        this.records.set(toHex(record.task), next)
        return next
      }
    }
    const ledger = {
      submit: (transaction: Uint8Array) => {
        this.bytes.push(transaction)
        this.submitted.push(decodeSigned(transaction).transaction.sequence)
        const answer = Promise.withResolvers<TransactionOutcome>()
        this.#answers.push(answer)
        return answer.promise
      },
      task: async (task: Uint8Array) => this.#view(task)
    }
    const nothing = async (): Promise<void> => undefined
    // The parts that the driver uses, in memory.
    const parts = {
      store: store as unknown as TaskStore,
      ledger: ledger as unknown as LedgerAccess,
      mirror: { connected: false, now: { index: 0, timestamp: 0, contractTime: 0 } } as unknown as LedgerMirror,
      candidates: { announce: () => undefined, update: nothing, forget: () => undefined } as unknown as Candidates,
      metrics: {
        offerSeconds: { observe: () => undefined },
        tasksRefused: { inc: () => undefined }
      } as unknown as Metrics
    }
    this.driver = new TaskDriver({ ...parts, clock: { now: () => this.now }, log: pino({ level: 'silent' }) })
  }

  add(n: number, lane: number): Uint8Array {
    const record = {
      task: id(n),
      offer: id(n),
      account: id(100),
      lane: id(lane),
      bridge: 'queued',
      view: null,
      candidates: []
    }
    this.records.set(toHex(id(n)), { ...record, inline: false, submittedAt: 0 } as unknown as TaskRecord)
    return id(n)
  }

  /** The ledger's answer to the oldest offer that waits for one. */
  answer(error?: Error): void {
    const answer = this.#answers.shift()
    if (error !== undefined) answer?.reject(error)
    else answer?.resolve({ status: 'applied', id: id(0), index: 1, timestamp: 0 })
  }

  /** As {@link answer}: the ledger refuses it, or has ordered it and it failed. */
  refuse(code: string, data: Record<string, string> = {}, status?: 'failed'): void {
    const outcome = { id: id(0), code, data }
    this.#answers
      .shift()
      ?.resolve(
        status === undefined ? { ...outcome, status: 'refused' } : { ...outcome, status, index: 1, timestamp: 0 }
      )
  }

  code(n: number): string | null | undefined {
    return this.records.get(toHex(id(n)))?.code
  }

  state(n: number): string | undefined {
    return this.records.get(toHex(id(n)))?.bridge
  }

  #view(task: Uint8Array): TaskView | null {
    const { account, lane } = this.records.get(toHex(task)) ?? {}
    if (this.unknown) return null
    return { task, account, lane, state: 'offered', since: 0, transactions: [] } as unknown as TaskView
  }
}

const turns = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

describe('an offer that has just come', () => {
  it('goes to the ledger without waiting for its job, where it is alone on its lane', async () => {
    const bench = new Bench()
    const hurried = bench.driver.hurry(bench.add(1, 7))
    await turns()
    assert.deepEqual(bench.submitted, [1])
    bench.answer()
    await hurried
    assert.equal(bench.state(1), 'on-ledger')
  })

  it('goes there once, whether its job comes while it is on its way or later', async () => {
    const bench = new Bench()
    const task = bench.add(1, 7)
    const hurried = bench.driver.hurry(task)
    const job = bench.driver.drive(task)
    await turns()
    bench.answer()
    await Promise.all([hurried, job])
    await bench.driver.drive(task)
    await bench.driver.hurry(task)
    assert.deepEqual(bench.submitted, [1])
  })

  it('waits for its job where others of its lane are on the way: the queue keeps their order', async () => {
    const bench = new Bench()
    const first = bench.driver.hurry(bench.add(1, 7))
    await bench.driver.hurry(bench.add(2, 7))
    void bench.driver.hurry(bench.add(3, 8))
    await turns()
    assert.deepEqual(bench.submitted, [1, 3])
    bench.answer()
    await first
    // Its first drive hasn't come yet, so the next one of the lane waits too.
    await bench.driver.hurry(bench.add(4, 7))
    await turns()
    assert.deepEqual(bench.submitted, [1, 3])
    for (const n of [2, 4]) void bench.driver.drive(id(n))
    await turns()
    assert.deepEqual(bench.submitted, [1, 3, 2, 4])
  })

  it('is left to its job where the ledger does not answer', async () => {
    const bench = new Bench()
    const task = bench.add(1, 7)
    const hurried = bench.driver.hurry(task)
    await turns()
    bench.answer(new PekkaError('LEDGER_UNREACHABLE'))
    await assert.rejects(hurried, { code: 'LEDGER_UNREACHABLE' })
    assert.equal(bench.state(1), 'queued')
    const job = bench.driver.drive(task)
    await turns()
    bench.answer()
    await job
    assert.deepEqual([bench.submitted, bench.state(1)], [[1, 1], 'on-ledger'])
  })
})

describe('an offer that the ledger has no room for just now', () => {
  /** The ledger answers the next try of offer n. */
  async function refused(bench: Bench, n: number, code: string, status?: 'failed'): Promise<void> {
    const job = bench.driver.drive(id(n))
    await turns()
    bench.refuse(code, {}, status)
    await job
  }

  it('is left to the queue, which sends the same bytes again, and what follows it waits', async () => {
    const bench = new Bench()
    bench.unknown = true
    for (const n of [1, 2]) bench.add(n, 7)
    await assert.rejects(refused(bench, 1, 'RATE_LIMITED'), { code: 'RATE_LIMITED' })
    assert.equal(bench.state(1), 'queued')
    bench.now = LANE_PATIENCE_MS
    const next = bench.driver.drive(id(2))
    await turns()
    bench.refuse('LANE_SEQUENCE', { expected: '1' })
    await assert.rejects(next, { code: 'LANE_SEQUENCE' })
    const again = bench.driver.drive(id(1))
    await turns()
    bench.unknown = false
    bench.answer()
    await again
    assert.deepEqual([bench.submitted, bench.state(1), bench.state(2)], [[1, 2, 1], 'on-ledger', 'queued'])
    assert.deepEqual(bench.bytes[2], bench.bytes[0])
  })

  it('is refused once that has lasted too long', async () => {
    const bench = new Bench()
    bench.unknown = true
    bench.add(1, 7)
    bench.now = BUSY_PATIENCE_MS
    await refused(bench, 1, 'RATE_LIMITED')
    assert.deepEqual([bench.state(1), bench.code(1)], ['refused', 'RATE_LIMITED'])
  })

  it('is refused at once where the ledger has ordered it: its place in the lane is used', async () => {
    const bench = new Bench()
    bench.unknown = true
    bench.add(1, 7)
    await refused(bench, 1, 'RATE_LIMITED', 'failed')
    assert.equal(bench.state(1), 'refused')
  })
})

describe('an offer that reaches the ledger before the one that it follows', () => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench()
    bench.unknown = true
  })

  /** The ledger, which has the lane up to `expected`, refuses offer n. */
  async function refused(n: number, expected: number): Promise<void> {
    const job = bench.driver.drive(id(n))
    await turns()
    bench.refuse('LANE_SEQUENCE', { expected: String(expected) })
    await job
  }

  it('is left to the queue for some seconds: the other may still be on its way to the bridge', async () => {
    bench.add(2, 7)
    await assert.rejects(refused(2, 1), { code: 'LANE_SEQUENCE' })
    assert.equal(bench.state(2), 'queued')
    bench.now = LANE_PATIENCE_MS
    await refused(2, 1)
    assert.equal(bench.state(2), 'refused')
  })

  it('is left to the queue as long as the other waits here', async () => {
    for (const n of [1, 2]) bench.add(n, 7)
    bench.now = LANE_PATIENCE_MS
    await assert.rejects(refused(2, 1), { code: 'LANE_SEQUENCE' })
    assert.equal(bench.state(2), 'queued')
  })

  it('is refused at once behind one that was refused, and so is what follows it', async () => {
    for (const n of [1, 2, 3]) bench.add(n, 7)
    const first = bench.driver.drive(id(1))
    await turns()
    bench.refuse('DELEGATE_EXPIRED')
    await first
    await refused(2, 1)
    await refused(3, 1)
    assert.deepEqual(
      [1, 2, 3].map(n => bench.state(n)),
      ['refused', 'refused', 'refused']
    )
  })

  it('is refused at once where it came too late: another holds its place', async () => {
    for (const n of [1, 2]) bench.add(n, 7)
    await refused(2, 5)
    assert.equal(bench.state(2), 'refused')
  })
})
