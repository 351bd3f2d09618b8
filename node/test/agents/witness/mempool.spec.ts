import assert from 'node:assert/strict'
import type { VerifiedTransaction } from '@pekka/node/ledger'
import { GAP_WAIT_MS, MAX_COMMIT_WEIGHT, MAX_PENDING_PER_LANE, Mempool } from '@pekka/node/agents/witness'

let made = 0
/** A transaction as far as the mempool looks at it. */
const transaction = (lane: number, sequence: number, size = 300): VerifiedTransaction => ({
  transaction: {
    v: 1,
    network: new Uint8Array(32),
    account: new Uint8Array(32).fill(lane),
    key: null,
    sequence,
    previous: null,
    parents: [new Uint8Array(32)],
    expiry: 0,
    body: { kind: 'faucet', amount: 1n }
  },
  signatures: [],
  id: new Uint8Array(32).fill(++made),
  bytes: new Uint8Array(size)
})
const sequences = (taken: VerifiedTransaction[]) => taken.map(({ transaction: { sequence } }) => sequence)

describe('witness: mempool', () => {
  it('gives a lane’s transactions in order, however they came', () => {
    const pool = new Mempool()
    for (const sequence of [7, 5, 6]) pool.add(transaction(1, sequence), 0)
    assert.deepEqual(sequences(pool.take(() => 5, 0)), [5, 6, 7])
    assert.equal(pool.size, 0)
  })

  it('gives an answer after what it answers, though its account’s bucket has its turn first', () => {
    const pool = new Mempool()
    pool.add(transaction(2, 3), 0, 3)
    pool.add(transaction(1, 9), 0, 0)
    assert.deepEqual(sequences(pool.take(account => (account[0] === 2 ? 3 : 9), 0)), [3, 9])
  })

  it('keeps a lane together while what its account has behind it changes: all of it is in one commit', () => {
    const pool = new Mempool()
    for (const [sequence, bucket] of [4, 3, 2, 1].entries()) pool.add(transaction(1, sequence), 0, bucket)
    pool.add(transaction(2, 0), 0, 0)
    assert.deepEqual(sequences(pool.take(() => 0, 0)).sort(), [0, 0, 1, 2, 3])
  })

  it('holds one that came too early until its predecessor is there', () => {
    const pool = new Mempool()
    pool.add(transaction(1, 6), 0)
    assert.deepEqual(
      pool.take(() => 5, 0),
      []
    )
    assert.equal(pool.patienceEnds(), GAP_WAIT_MS)
    pool.add(transaction(1, 5), 10)
    assert.deepEqual(sequences(pool.take(() => 5, 10)), [5, 6])
    assert.equal(pool.patienceEnds(), null)
  })

  it('gives up waiting after a while, and the ledger refuses it', () => {
    const pool = new Mempool()
    pool.add(transaction(1, 6), 0)
    assert.deepEqual(
      pool.take(() => 5, GAP_WAIT_MS - 1),
      []
    )
    assert.deepEqual(sequences(pool.take(() => 5, GAP_WAIT_MS)), [6])
  })

  it('gives what came too late or twice at once', () => {
    const pool = new Mempool()
    pool.add(transaction(1, 3), 0)
    pool.add(transaction(1, 5), 0)
    pool.add(transaction(1, 5), 0)
    assert.deepEqual(sequences(pool.take(() => 5, 0)), [3, 5, 5])
  })

  it('takes lanes in turns, so that none holds up the others', () => {
    const pool = new Mempool()
    for (const sequence of [0, 1, 2]) pool.add(transaction(1, sequence), 0)
    pool.add(transaction(2, 0), 0)
    const lanes = pool.take(() => 0, 0).map(({ transaction: { account } }) => account[0])
    assert.deepEqual(lanes, [1, 2, 1, 1])
  })

  it('lets a lane that nobody knows through: it may be granted in the same commit', () => {
    const pool = new Mempool()
    pool.add(transaction(1, 0), 0)
    pool.add(transaction(1, 1), 0)
    assert.deepEqual(sequences(pool.take(() => null, 0)), [0, 1])
  })

  it('fills a commit up to its weight and keeps the rest', () => {
    const pool = new Mempool()
    for (let lane = 0; lane < 40; lane++) pool.add(transaction(lane, 0, 256 * 1024), 0)
    const first = pool.take(() => 0, 0)
    assert.ok(first.length * 256 * 1024 <= MAX_COMMIT_WEIGHT)
    assert.equal(first.length + pool.size, 40)
  })

  it('is bounded per lane', () => {
    const pool = new Mempool()
    for (let i = 0; i < MAX_PENDING_PER_LANE; i++) pool.add(transaction(1, i), 0)
    assert.throws(() => pool.add(transaction(1, MAX_PENDING_PER_LANE), 0), { code: 'RATE_LIMITED' })
    pool.add(transaction(2, 0), 0)
  })
})
