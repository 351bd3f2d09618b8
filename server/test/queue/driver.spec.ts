import assert from 'node:assert/strict'
import { pino } from 'pino'
import { PekkaError, toHex, type LedgerAccess, type TaskView, type TransactionOutcome } from '@pekka/node/protocol'
import type { LedgerMirror } from '../../src/ledger/index.js'
import type { Metrics } from '../../src/metrics.js'
import type { Candidates } from '../../src/queue/candidates.js'
import { TaskDriver } from '../../src/queue/driver.js'
import type { TaskRecord, TaskStore } from '../../src/tasks/index.js'

const id = (n: number): Uint8Array => new Uint8Array(32).fill(n)

/** A driver over a table and a ledger in memory; an offer's bytes are its id. */
class Bench {
  readonly records = new Map<string, TaskRecord>()
  /** Offers in the order in which they reached the ledger. */
  readonly submitted: number[] = []
  #answers: PromiseWithResolvers<TransactionOutcome>[] = []
  readonly driver: TaskDriver

  constructor() {
    const store = {
      live: (task: Uint8Array) => this.records.get(toHex(task)),
      get: async (task: Uint8Array) => this.records.get(toHex(task)) ?? null,
      offer: async (offer: Uint8Array) => offer,
      bundle: async () => null,
      update: (record: TaskRecord, change: Partial<TaskRecord>) => {
        const next = { ...record, ...change }
        this.records.set(toHex(record.task), next)
        return next
      }
    }
    const ledger = {
      submit: (transaction: Uint8Array) => {
        this.submitted.push(transaction[0] ?? 0)
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
      metrics: { offerSeconds: { observe: () => undefined } } as unknown as Metrics
    }
    this.driver = new TaskDriver({ ...parts, clock: { now: () => 0 }, log: pino({ level: 'silent' }) })
  }

  add(n: number, lane: number): Uint8Array {
    const record = { task: id(n), offer: id(n), account: id(100), lane: id(lane), bridge: 'queued', view: null }
    this.records.set(toHex(id(n)), { ...record, inline: false, submittedAt: 0 } as unknown as TaskRecord)
    return id(n)
  }

  /** The ledger's answer to the oldest offer that waits for one. */
  answer(error?: Error): void {
    const answer = this.#answers.shift()
    if (error !== undefined) answer?.reject(error)
    else answer?.resolve({ status: 'applied', id: id(0), index: 1, timestamp: 0 })
  }

  state(n: number): string | undefined {
    return this.records.get(toHex(id(n)))?.bridge
  }

  #view(task: Uint8Array): TaskView {
    const { account, lane } = this.records.get(toHex(task)) ?? {}
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
