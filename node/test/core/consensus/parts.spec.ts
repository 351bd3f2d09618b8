import assert from 'node:assert/strict'
import { decodeWitnessBlock, encodeWitnessBlock, sha256, toHex, u32 } from '@pekka/node/protocol'
import {
  advanceBeacon,
  brokenByParents,
  CommitVotes,
  drawKind,
  elect,
  firstBeacon,
  KNOWN_ROUNDS,
  Mempool,
  RevealBook,
  RevealChain,
  STANDARD_PACE,
  STANDARD_RULES,
  standardQuorum,
  Sync,
  Upgrades,
  type OpenedBlock
} from '@pekka/node/consensus'
import { committeeOf, Drawing, NETWORK, transactionOf } from './support.js'

const now = { elapsed: 0, wall: 1_000_000 }

describe('quorum', () => {
  it('is all stake less the most that may be dishonest, and one witness alone', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 10, 20, 100].map(standardQuorum), [1, 2, 3, 3, 4, 5, 5, 7, 14, 67])
  })
})

describe('block format', () => {
  it('reads what it writes, and nothing that is encoded otherwise', () => {
    const { block } = new Drawing().make('A1')
    const bytes = encodeWitnessBlock({ block, signature: new Uint8Array(64) })
    assert.deepEqual(decodeWitnessBlock(bytes).block, block)
    assert.throws(() => decodeWitnessBlock(new Uint8Array([...bytes, 0])), { code: 'ENCODING_NOT_CANONICAL' })
    const wrong = encodeWitnessBlock({ block: { ...block, round: 0 }, signature: new Uint8Array(64) })
    assert.throws(() => decodeWitnessBlock(wrong), { code: 'BLOCK_INVALID' })
  })
})

describe('block validity', () => {
  const rules = (d: Drawing, block: OpenedBlock): string | null =>
    STANDARD_RULES.brokenRule(block, { network: NETWORK, epoch: 0, dag: d.dag, gcDepth: 3 })
  const drawn = (): Drawing => {
    const d = new Drawing()
    let row = d.row('ABCD', 1)
    for (let round = 2; round <= 5; round++) row = d.row('ABCD', round, row)
    return d
  }

  /**
   *   round 0   a   b   c   d       the epoch's first references: A1 may name no others there
   *   round 4       B
   *   round 5   A       C
   *   round 6   A                   A6 ─► A5, B4, C5: B4 is two rounds back
   */
  it('V1: parents are of the round before', () => {
    const d = drawn()
    assert.equal(rules(d, d.make('A6', ['A5', 'B5', 'C5'])), null)
    assert.match(rules(d, d.make('A6', ['A5', 'B4', 'C5'])) ?? '', /^V1/)
    const { parents } = d.make('A1').block
    assert.match(rules(d, d.make('A1', [], { parents: parents.map(p => ({ ...p, id: NETWORK })) })) ?? '', /^V1/)
  })
  /**
   *   round 5   A   B   B'  C       A6 ─► A5, B5, B5b, C5: B would count twice
   *   round 6   A                   A6 ─► A5, C5, B5: the same parents would have two encodings
   */
  it('V2: parents have distinct authors, in order', () => {
    const d = drawn()
    d.add('B5b', ['B4', 'A4', 'C4'])
    assert.match(rules(d, d.make('A6', ['A5', 'B5', 'B5b', 'C5'])) ?? '', /^V2/)
    assert.match(rules(d, d.make('A6', ['A5', 'C5', 'B5'])) ?? '', /^V2/)
  })
  /**
   *   round 5   A   B   ·   ·       A6 ─► A5, B5: two of four, Q = 3
   *   round 6   A
   */
  it('V3: parents are a quorum', () => {
    const d = drawn()
    assert.match(rules(d, d.make('A6', ['A5', 'B5'])) ?? '', /^V3/)
  })
  /**
   *   round 5   A   B   C   D       A6 ─► B5, C5, D5: a quorum, but A's chain breaks off
   *   round 6   A
   */
  it('V4: the own block before is the first parent', () => {
    const d = drawn()
    assert.match(rules(d, d.make('A6', ['B5', 'C5', 'D5'])) ?? '', /^V4/)
  })
  /**
   *   round 2               D ✗     too old: round − gcDepth is 3
   *   round 3               D ✓
   *   round 4               D ✓     weakly from A6, D3 before D4, each once
   *   round 5   A   B   C   D ✗     this is what parents are for
   *   round 6   A ─► A5, B5, C5
   */
  it('V5: weak references are older than the parents, young enough to be committed, in order, once', () => {
    const d = drawn()
    const parents = ['A5', 'B5', 'C5']
    assert.equal(rules(d, d.make('A6', parents, {}, ['D3', 'D4'])), null)
    for (const weak of [['D5'], ['D2'], ['D4', 'D3'], ['D4', 'D4']]) {
      assert.match(rules(d, d.make('A6', parents, {}, weak)) ?? '', /^V5/, weak.join())
    }
  })
  /**
   *   round 5   A   B   C           A6 with another network, epoch 1, or author 4 of members 0 to 3
   *   round 6   A
   */
  it('V6: it is of this network, epoch and committee', () => {
    const d = drawn()
    for (const change of [{ network: sha256(NETWORK) }, { epoch: 1 }, { author: 4 }]) {
      assert.match(rules(d, d.make('A6', ['A5', 'B5', 'C5'], change)) ?? '', /^V6/)
    }
  })
  /**
   *   round 5   A   B   C           at 5 s
   *   round 6   A                   at 4.999 s: before its parents (V7); or it says that D wrote C5 (V8)
   */
  it('V7, V8: its time is not before a parent’s, and references say who wrote what', () => {
    const d = drawn()
    const reveals = { accepts: () => true } as unknown as RevealBook // only its answer matters here
    const check = (block: OpenedBlock) => brokenByParents(block, { dag: d.dag, reveals, started: 0 })
    assert.equal(check(d.make('A6', ['A5', 'B5', 'C5'])), null)
    assert.match(check(d.make('A6', ['A5', 'B5', 'C5'], { timestamp: 4_999 })) ?? '', /^V7/)
    const { parents } = d.make('A6', ['A5', 'B5', 'C5']).block
    const lying = parents.map(parent => (parent.author === 2 ? { ...parent, author: 3 } : parent))
    assert.match(check(d.make('A6', [], { parents: lying })) ?? '', /^V8/)
  })
})

describe('sync', () => {
  const made = (d: Drawing, check: () => string | null = () => null): Sync =>
    new Sync({ dag: d.dag, check, checkParents: () => null, pace: STANDARD_PACE })
  /** The same blocks drawn elsewhere. */
  const source = (): Drawing => {
    const d = new Drawing()
    d.row('ABC', 3, d.row('ABC', 2, d.row('ABC', 1)))
    return d
  }

  /**
   *   came 1st   A2 ─► A1, B1, C1     waits; its sender is asked for the three, then whoever else is there
   *   2nd, 3rd   B1, C1
   *   4th        A1                   accepted: A1, A2
   */
  it('accepts parents before children, in whatever order they come, and asks for what is missing', () => {
    const from = source()
    const d = new Drawing()
    const sync = made(d)
    assert.deepEqual(sync.receive(from.get('A2'), 'b', now).accepted, [])
    assert.deepEqual(sync.requests(0, ['a', 'b']), [])
    const asked = sync.requests(STANDARD_PACE.requestAfter, ['a', 'b'])
    assert.deepEqual(
      asked.map(({ to, keys }) => [to, keys.length]),
      [['b', 3]]
    )
    const again = sync.requests(3 * STANDARD_PACE.requestAfter, ['a', 'c'])
    assert.equal(again.flatMap(({ keys }) => keys).length, 3, 'and elsewhere when the first is silent')
    sync.receive(from.get('B1'), 'b', now)
    sync.receive(from.get('C1'), 'b', now)
    const { accepted } = sync.receive(from.get('A1'), 'b', now)
    assert.deepEqual(
      accepted.map(block => from.nameOf(block)),
      ['A1', 'A2']
    )
    assert.equal(sync.size, 0)
  })
  /**
   *   A2 ─► A1, B1, C1 missing     b, c and d have sent A2; b stays silent
   */
  it('asks whoever sent a child, one after the other, before anyone else: silent peers hold it up once', () => {
    const from = source()
    const sync = made(new Drawing())
    sync.receive(from.get('A2'), 'b', now)
    for (const peer of ['c', 'd']) sync.alsoFrom(from.get('A2'), peer)
    const peers = ['x', 'y', 'z', 'b', 'c', 'd']
    const asked = [1, 2, 3].map(i => sync.requests(i * STANDARD_PACE.requestAfter, peers).map(({ to }) => to))
    assert.deepEqual(asked, [['b'], ['c'], ['d']])
  })
  /**
   *   our clock   now ── +500 ms (drift) ──── +2 s
   *                         └ A1's time is as far off as this once 1.5 s have passed
   */
  it('lets a block with a time ahead wait for the clock', () => {
    const d = new Drawing()
    const sync = made(d)
    const block = d.make('A1', [], { timestamp: now.wall + 2_000 })
    assert.deepEqual(sync.receive(block, 'a', now), { accepted: [], late: [], broken: [] })
    assert.equal(sync.wake(now), 1_500)
    assert.equal(sync.review({ elapsed: 1_500, wall: now.wall + 1_500 }).accepted.length, 1)
  })
  /**
   *   round 1   A   B   C        are here
   *             ?   ?   ?        nobody has these
   *   round 2   A                A2 ─► ?, ?, ?: waits, also when the line is past all of it
   *   ───────── line: 4
   */
  it('never takes a reference to nothing, however far the garbage line has gone past it', () => {
    const d = new Drawing()
    const sync = made(d)
    for (const name of ['A1', 'B1', 'C1']) sync.receive(source().get(name), 'a', now)
    const phantom = d.make('A2', [], {
      parents: [0, 1, 2].map(author => ({ author, round: 1, id: sha256(u32(author)) }))
    })
    sync.receive(phantom, 'a', now)
    d.dag.prune(4)
    assert.deepEqual(sync.review(now).accepted, [])
    assert.deepEqual(sync.receive(phantom, 'b', now), { accepted: [], late: [], broken: [] })
    assert.equal(d.dag.find(phantom), undefined)
  })
  /**
   *   round 1   A   B   C
   *   round 2   A   B   (C)    C2 comes when the line is past it: known, not held
   *   ───────── line: 2
   *   round 3           C      so C3 ─► C2, A2, B2 is taken in
   */
  it('still knows blocks below the garbage line, so that a late witness’s chain holds, and forgets them in the end', () => {
    const from = source()
    const d = new Drawing()
    const sync = made(d)
    for (const name of ['A1', 'B1', 'C1', 'A2', 'B2']) sync.receive(from.get(name), 'a', now)
    d.dag.prune(2)
    assert.deepEqual(sync.receive(from.get('C2'), 'a', now).late, [from.get('C2')])
    assert.deepEqual(sync.receive(from.get('C3'), 'a', now).accepted, [from.get('C3')])
    d.dag.prune(2 + KNOWN_ROUNDS)
    assert.equal(d.dag.find(from.get('C1')), undefined)
  })
  /**
   *   round 1   A  A'  A''     proof enough
   *             A'''  A''''    nobody has built on them
   */
  it('takes an equivocator’s further blocks only when somebody builds on them', () => {
    const d = new Drawing()
    const sync = made(d)
    const many = ['', 'b', 'c', 'd', 'e'].map(version => d.make(`A1${version}`))
    const accepted = many.flatMap(block => sync.receive(block, 'a', now).accepted)
    assert.equal(accepted.length, 3)
  })
  /**
   *   round 1   A              held, then
   *   ───────── line: 1
   *             A'  A''        known
   *             A'''  A''''    not even that; 1,024 rounds later nothing of the slot is known
   */
  it('takes no more of them where they come too late to count, so that nobody fills the memory with the past', () => {
    const d = new Drawing()
    const sync = made(d)
    sync.receive(d.make('A1'), 'a', now)
    d.dag.prune(1)
    const late = ['b', 'c', 'd', 'e'].flatMap(version => sync.receive(d.make(`A1${version}`), 'a', now).late)
    assert.deepEqual([late.length, d.dag.knownSize, d.dag.versions(1, 0)], [2, 3, 3])
    d.dag.prune(1 + KNOWN_ROUNDS)
    assert.deepEqual([d.dag.knownSize, d.dag.versions(1, 0)], [0, 0])
  })
  it('reports what breaks a rule and keeps nothing of it', () => {
    const d = new Drawing()
    const sync = made(d, () => 'V3 quorum of parents')
    assert.equal(sync.receive(d.make('A1'), 'a', now).broken.length, 1)
    assert.equal(sync.size + d.dag.size, 0)
  })
})

describe('randomness', () => {
  const chain = new RevealChain(sha256(u32(9)), 50)

  /**
   *   tip ◄─ link 1 ◄─ link 2 ◄─ … ◄─ link 50     ◄─ is SHA-256; round r's block opens link r
   */
  it('opens links that hash to the tip, in any order, and no others', () => {
    const committee = committeeOf([1n])
    const member = { ...(committee.members[0] ?? assert.fail()), tip: chain.tip }
    const book = new RevealBook(Object.assign(Object.create(committee) as typeof committee, { members: [member] }))
    const link = (round: number): Uint8Array => chain.at(round) ?? assert.fail()
    assert.ok(book.accepts(0, 3, link(3)))
    assert.ok(book.accepts(0, 1, link(1)))
    assert.ok(book.accepts(0, 50, link(50)))
    assert.ok(!book.accepts(0, 4, link(5)))
    assert.ok(!book.accepts(0, 51, NETWORK))
    assert.equal(chain.at(51), null)
  })
  /**
   *   commit    c0   c1   c2   c3   c4
   *   round     1    2    3    4    5
   *   leader    A    A    B    B    C
   *   for c0              B    .    B, C      rounds from 3 on: more than f = 1 distinct leaders with c4
   *   for c1                   B    B, C      rounds from 4 on
   */
  it('draws a commit once more than f stake of distinct leaders of rounds from r+2 on has opened', () => {
    const committee = committeeOf([1n, 1n, 1n, 1n])
    let state = firstBeacon(NETWORK)
    const draws = [0, 0, 1, 1, 2].map((author, index) => {
      const step = advanceBeacon(state, { index, epoch: 0, round: index + 1, author, reveal: u32(index) }, committee)
      state = step.state
      return step.draws
    })
    // Commit 0 (round 1): rounds 3 and 4 are both led by 1, the second distinct leader comes with round 5.
    assert.deepEqual(draws, [[], [], [], [], [0, 1]])
  })
  it('says when one witness chooses every draw', () => {
    assert.equal(drawKind(committeeOf([1n])), 'single witness')
    assert.equal(drawKind(committeeOf([1n, 1n])), 'committee')
  })
})

describe('mempool', () => {
  it('lets lanes take turns, each in sequence, and gives a transaction to one block at a time', () => {
    const pool = new Mempool()
    const [a0, a1, b0] = [transactionOf(7), transactionOf(14, null, 1), transactionOf(8)]
    assert.deepEqual(
      [a1, a0, b0, a0].map(t => pool.add(t)),
      ['added', 'added', 'added', 'known']
    )
    const most = { count: 10, bytes: 1_000 }
    assert.deepEqual(pool.take(most), [a0, b0, a1])
    const block = { ...new Drawing().make('A1'), transactions: [a0, b0] }
    pool.carry(block)
    assert.deepEqual(pool.take(most), [a1])
    pool.release(block)
    assert.equal(pool.take(most).length, 3)
    pool.remove([a0])
    assert.deepEqual(pool.take({ ...most, count: 1 }), [a1])
  })
  it('is bounded per lane', () => {
    const pool = new Mempool()
    const answers = Array.from({ length: 65 }, (_, i) => pool.add(transactionOf(7 * (i + 1), null, i)))
    assert.equal(answers.filter(answer => answer === 'full').length, 1)
  })
})

describe('commit votes', () => {
  const vote = (index: number, seed: number) => ({ index, digest: sha256(u32(seed)) })

  /**
   *   voter      A    A    B    C    D
   *   commit 0   x    x    y    x    x        A counts once, B says otherwise: certified with D
   */
  it('certify with a quorum of distinct authors for one digest', () => {
    const votes = new CommitVotes(committeeOf([1n, 1n, 1n, 1n]), -1)
    assert.equal(votes.count(0, [vote(0, 1)]).certified, null)
    assert.equal(votes.count(0, [vote(0, 1)]).certified, null)
    assert.equal(votes.count(1, [vote(0, 2)]).certified, null)
    assert.equal(votes.count(2, [vote(0, 1)]).certified, null)
    assert.deepEqual(votes.count(3, [vote(0, 1)]).certified, vote(0, 1))
  })
  /**
   *   voter      A   B   C
   *   commit 0   x   x   x       and this witness comes to y: one of them is wrong, and it isn't a quorum
   */
  it('tell a witness that has come to something else', () => {
    const votes = new CommitVotes(committeeOf([1n, 1n, 1n, 1n]), -1)
    for (const author of [0, 1, 2]) votes.count(author, [vote(0, 1)])
    assert.ok(votes.executed(vote(0, 2)).conflict)
    assert.ok(!new CommitVotes(committeeOf([1n]), -1).executed(vote(0, 2)).conflict)
  })
})

describe('elections and upgrades', () => {
  it('seat those with most stake, the same whatever order they are given in', () => {
    const candidates = [3n, 0n, 5n, 5n].map((stake, i) => ({ key: sha256(u32(i)), stake, tip: NETWORK }))
    const seated = elect(candidates, 2)
    assert.deepEqual(
      seated.map(({ stake }) => stake),
      [5n, 5n]
    )
    assert.deepEqual(
      elect(candidates.toReversed(), 2).map(({ key }) => toHex(key)),
      seated.map(({ key }) => toHex(key))
    )
    assert.equal(elect(candidates, 10).length, 3)
  })
  it('give the rules in force by commit index', () => {
    const rules = new Upgrades([
      { from: 0, value: 'a' },
      { from: 10, value: 'b' }
    ])
    assert.deepEqual(
      [0, 9, 10, 99].map(index => rules.at(index).value),
      ['a', 'a', 'b', 'b']
    )
    assert.throws(() => new Upgrades([{ from: 1, value: 'a' }]), TypeError)
  })
})
