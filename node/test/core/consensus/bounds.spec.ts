import assert from 'node:assert/strict'
import { sha256, u32, type BlockReference } from '@pekka/node/protocol'
import {
  advanceBeacon,
  CommitVotes,
  Consensus,
  FairQueue,
  MAX_EARLY_BLOCKS,
  MAX_EARLY_MS,
  MAX_NEXT_EPOCH_BLOCKS,
  MAX_PENDING_BYTES,
  MAX_ROUNDS_AHEAD,
  MAX_SUSPENDED_PER_AUTHOR,
  MAX_UNCERTIFIED,
  MAX_UNDECIDED_ROUNDS,
  MAX_WAITING_DRAWS,
  Mempool,
  STANDARD_PACE,
  STANDARD_PARAMETERS,
  STANDARD_RULES,
  Sync,
  Upgrades,
  type OpenedBlock,
  type Waiting
} from '@pekka/node/consensus'
import { buildBlock } from '../../../src/core/consensus/proposal.js'
import { committeeOf, Drawing, epochOf, NETWORK, startOf, transactionOf } from './support.js'

const now = { elapsed: 0, wall: 1_000_000 }

/** A witness that takes in what it is sent, and holds all of round 1 but D1. */
function witness(): { d: Drawing; sync: Sync } {
  const d = new Drawing()
  d.row('ABC', 1)
  return { d, sync: new Sync({ dag: d.dag, check: () => null, checkParents: () => null, pace: STANDARD_PACE }) }
}

/** Parents that nobody has. */
const nowhere = (round: number): BlockReference[] =>
  [0, 1, 2].map(author => ({ author, round: round - 1, id: sha256(u32(author)) }))

const orphan = (d: Drawing, name: string): OpenedBlock =>
  d.make(name, [], { parents: nowhere(Number(/\d+/.exec(name)?.[0])) })

describe('what a witness holds is bounded', () => {
  /**
   *   A2 ─► ? ? ?    A2b ─► ? ? ?    …    A65b ─► ? ? ?      128 blocks of A on parents that nobody has
   *   A65c ─► ? ? ?                                          the highest of all: not taken
   *   A30c ─► ? ? ?                                          takes the place of the highest
   *   B2 ─► ? ? ?                                            B has its own
   */
  it('in blocks of one author that wait for parents: the lowest stay, and no other author is held up', () => {
    const { d, sync } = witness()
    for (let i = 0; i < MAX_SUSPENDED_PER_AUTHOR; i++) {
      sync.receive(orphan(d, `A${2 + Math.floor(i / 2)}${i % 2 === 0 ? '' : 'b'}`), 'a', now)
    }
    assert.equal(sync.size, MAX_SUSPENDED_PER_AUTHOR)
    const top = MAX_SUSPENDED_PER_AUTHOR / 2 + 1
    const highest = orphan(d, `A${top}c`)
    sync.receive(highest, 'a', now)
    assert.ok(!sync.has(highest))
    assert.equal(sync.size, MAX_SUSPENDED_PER_AUTHOR)
    const low = orphan(d, 'A30c')
    sync.receive(low, 'a', now)
    assert.ok(sync.has(low))
    assert.equal(sync.size, MAX_SUSPENDED_PER_AUTHOR)
    const held = ['', 'b'].map(version => sync.has(orphan(d, `A${top}${version}`)))
    assert.deepEqual(held.sort(), [false, true], 'one of the highest gave its place')
    sync.receive(orphan(d, 'B2'), 'a', now)
    assert.equal(sync.size, MAX_SUSPENDED_PER_AUTHOR + 1)
  })

  /**
   *   round 1    A   B   C            the last one with a quorum
   *   round 65   D ─► ? ? ?           taken in
   *   round 66   D ─► ? ? ?           not before round 2 has its quorum
   */
  it('in rounds ahead of the last complete one', () => {
    const { d, sync } = witness()
    const last = orphan(d, `D${1 + MAX_ROUNDS_AHEAD}`)
    const beyond = orphan(d, `D${2 + MAX_ROUNDS_AHEAD}`)
    for (const block of [last, beyond]) sync.receive(block, 'a', now)
    assert.deepEqual([sync.has(last), sync.has(beyond), sync.size], [true, false, 1])
    d.row('ABC', 2, ['A1', 'B1', 'C1'])
    sync.receive(beyond, 'a', now)
    assert.ok(sync.has(beyond))
  })

  /**
   *   our clock     now ─ +500 ms ──────────────── +10 s ────►
   *                  taken in     256 wait for it     none waits
   */
  it('in blocks that wait for the clock, and in how long they wait', () => {
    const { d, sync } = witness()
    const ahead = (name: string, ms: number): OpenedBlock => d.make(name, [], { timestamp: now.wall + ms })
    sync.receive(ahead('D2', MAX_EARLY_MS + 1), 'a', now)
    assert.deepEqual([sync.size, sync.wake(now)], [0, null])
    sync.receive(ahead('D2', MAX_EARLY_MS), 'a', now)
    assert.deepEqual([sync.size, sync.wake(now)], [1, MAX_EARLY_MS - STANDARD_PACE.maxDrift])
    for (let i = 0; i < MAX_EARLY_BLOCKS + 10; i++) {
      sync.receive(ahead(`${'ABCD'.charAt(i % 4)}${2 + (i >> 2)}`, 2_000 + i), 'a', now)
    }
    assert.equal(sync.size, MAX_EARLY_BLOCKS)
  })

  /**
   *   epoch 0   here
   *   epoch 1   A1 … D32    128 blocks wait; E1 … and what is more than 64 rounds in don't
   *   epoch 2   A1          doesn't
   */
  it('in blocks of the next epoch that come before this one has ended', () => {
    const stakes = [1n, 1n, 1n, 1n, 1n]
    const d = new Drawing(stakes)
    const { elapsed, wall } = now
    const observer = new Consensus(
      { revealChain: () => assert.fail('an observer writes nothing') },
      {
        network: NETWORK,
        key: null,
        upgrades: new Upgrades([{ from: 0, value: STANDARD_PARAMETERS }]),
        pace: STANDARD_PACE,
        resume: { start: startOf(committeeOf(stakes)), commits: [], blocks: [], lastProposed: null, lost: false }
      }
    )
    const send = (blocks: readonly OpenedBlock[]): void => {
      observer.handle({ type: 'blocks', from: 'a', blocks, answer: false }, { elapsed, wall })
    }
    send([d.make('A1', [], { epoch: 2 }), d.make(`A${1 + MAX_ROUNDS_AHEAD}`, [], { epoch: 1 })])
    assert.equal(observer.sizes.waiting, 0)
    send([d.make(`A${MAX_ROUNDS_AHEAD}`, [], { epoch: 1 })])
    assert.equal(observer.sizes.waiting, 1)
    for (let i = 0; i < MAX_NEXT_EPOCH_BLOCKS + 10; i++) {
      send([d.make(`${'ABCDE'.charAt(i % 5)}${1 + Math.floor(i / 5)}`, [], { epoch: 1 })])
    }
    assert.equal(observer.sizes.waiting, MAX_NEXT_EPOCH_BLOCKS)
  })

  /**
   *   round 1 … 199   no leader is committed
   *   round 200       A carries what waits
   *   round 201       A carries nothing: what is undecided grows no more
   *   …               and carries again once a leader is committed
   */
  it('in rounds without a commit whose blocks carry transactions', () => {
    const d = new Drawing()
    let row = d.row('ABC', 1)
    for (let round = 2; round < MAX_UNDECIDED_ROUNDS; round++) row = d.row('ABC', round, row)
    const epoch = epochOf(d, { gcDepth: 1_000 })
    const mempool = new Mempool()
    mempool.add(transactionOf(1))
    const carried = (round: number): number | undefined =>
      buildBlock({
        ...{ network: NETWORK, epoch, rules: STANDARD_RULES, mempool, author: 0, round, reveal: NETWORK },
        ...{ own: d.get(`A${round - 1}`), wall: now.wall, votes: () => [] }
      })?.transactions.length
    assert.equal(carried(MAX_UNDECIDED_ROUNDS), 1)
    for (const name of d.row('ABC', MAX_UNDECIDED_ROUNDS, row)) epoch.dag.add(d.get(name))
    assert.equal(carried(MAX_UNDECIDED_ROUNDS + 1), 0)
    epoch.commit(d.get('A1'), { round: 2, offset: 0 })
    assert.equal(carried(MAX_UNDECIDED_ROUNDS + 1), 1)
  })

  /**
   *   commits   0   1   …   4095          led by A alone: f+1 leaders never come, nothing is drawn
   *             –   1   …   4095   4096   the oldest gives up its draw
   */
  it('in commits that wait for their draw', () => {
    const committee = committeeOf([1n, 1n, 1n, 1n])
    const at = (index: number) => ({ index, epoch: 0, round: index + 1, leaders: [], stake: 0 })
    const full = { value: NETWORK, waiting: Array.from({ length: MAX_WAITING_DRAWS }, (_, index) => at(index)) }
    const next = { index: MAX_WAITING_DRAWS, epoch: 0, round: MAX_WAITING_DRAWS + 1, author: 0, reveal: NETWORK }
    const { waiting } = advanceBeacon(full, next, committee).state
    const ends = [waiting.length, waiting[0]?.index, waiting.at(-1)?.index]
    assert.deepEqual(ends, [MAX_WAITING_DRAWS, 1, MAX_WAITING_DRAWS])
  })

  /**
   *   certified   c9
   *   votes       c10 … c1033 count;  c1034 doesn't yet
   */
  it('in commits whose votes are counted', () => {
    const votes = new CommitVotes(committeeOf([1n, 1n, 1n, 1n]), 9)
    const quorum = (index: number): unknown => {
      const vote = { index, digest: NETWORK }
      return [0, 1, 2].map(author => votes.count(author, [vote]).certified).at(-1)
    }
    assert.equal(quorum(9 + MAX_UNCERTIFIED + 1), null)
    assert.deepEqual(quorum(9 + MAX_UNCERTIFIED), { index: 9 + MAX_UNCERTIFIED, digest: NETWORK })
    assert.notEqual(quorum(9 + MAX_UNCERTIFIED + 1), null, 'it counts once it is nearer')
  })

  /**
   *   64 accounts, a transaction of 1 MiB each: the pool is full; another bucket still has what is reserved for it
   */
  it('in bytes of transactions that wait', () => {
    const size = 1 << 20
    const queue = new FairQueue<Waiting>()
    const add = (account: number, bucket: number): boolean =>
      queue.add({ account: `${account}`, lane: `${account}/`, bucket, sequence: 0, bytes: size })
    const added = Array.from({ length: 2 * (MAX_PENDING_BYTES / size) }, (_, account) => add(account, 0))
    assert.equal(added.filter(Boolean).length, MAX_PENDING_BYTES / size)
    assert.deepEqual([add(1_000, 1), add(1_001, 1)], [true, false])
  })
})
