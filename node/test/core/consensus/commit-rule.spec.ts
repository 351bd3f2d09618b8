import assert from 'node:assert/strict'
import { LeaderSchedule, STANDARD_RULES } from '@pekka/node/consensus'
import { committeeOf, Drawing } from './support.js'

const all = 'ABCD'

describe('commit rule', () => {
  /**
   *   round 1   A*  B   C   D      A leads
   *   round 2   v   v   v   v      vote for A1
   *   round 3   c   c   c          three certificates
   */
  it('commits a leader directly with a quorum of certificates, three rounds after it is written', () => {
    const d = new Drawing()
    const second = d.row(all, 2, d.row(all, 1))
    d.row('AB', 3, second)
    assert.equal(d.decided(), '')
    d.row('C', 3, second)
    assert.equal(d.decided(), 'A1')
  })

  /**
   *   round 1   A*  B   C   D
   *   round 2       –   –   –      B, C, D don't name A1
   */
  it('skips a leader directly with a quorum of blames', () => {
    const d = new Drawing()
    const [, ...others] = d.row(all, 1)
    const second = d.row('BCD', 2, others)
    d.row('BCD', 3, second)
    assert.equal(d.decided(), 'skip:1')
  })

  /**
   *   round 1   A*  B   C   D
   *   round 2   v   v   v   –
   *   round 3   c   .   .   .      one certificate (A3); the others name D2 and two voters
   *   round 4   D*                 anchor: names A3
   *   rounds 5, 6                  certify D4
   */
  it('commits indirectly when the anchor has a certificate in its history', () => {
    const d = new Drawing()
    d.row(all, 1)
    d.row('ABC', 2, ['A1', 'B1', 'C1'])
    d.add('D2', ['D1', 'B1', 'C1'])
    d.add('A3', ['A2', 'B2', 'C2'])
    for (const author of 'BD') d.add(`${author}3`, [`${author}2`, ...(author === 'B' ? ['A2', 'D2'] : ['A2', 'B2'])])
    assert.equal(d.decided(), '')
    d.row('ABD', 4, ['A3', 'B3', 'D3'])
    d.row('ABD', 6, d.row('ABD', 5, ['A4', 'B4', 'D4']))
    assert.match(d.decided(), /^A1 B2 .*D4$/)
  })

  /**
   *   round 1   A*  B   C   D
   *   round 2   v   v   –   –      two votes: neither certified nor blamed by a quorum
   *   round 4   D*                 anchor: no certificate for A1 in its history
   */
  it('skips indirectly when the anchor has none', () => {
    const d = new Drawing()
    d.row(all, 1)
    d.row('AB', 2, ['A1', 'B1', 'C1'])
    d.row('CD', 2, ['B1', 'C1', 'D1'])
    let row = ['A2', 'B2', 'C2', 'D2']
    row = d.row(all, 3, row)
    assert.equal(d.decided(), '')
    for (let round = 4; round <= 6; round++) row = d.row(all, round, row)
    assert.equal(d.decided(), 'skip:1 B2 C3 D4')
  })

  /**
   *   round 1   A*                 undecided until an anchor; B2 and C3 are committed but can't be anchors of round 1
   *   round 2       B*
   *   round 3           C*
   */
  it('takes no leader of the next two rounds as an anchor, and holds back what comes after an undecided slot', () => {
    const nearest = { ...STANDARD_RULES, firstAnchorRound: (round: number) => round + 1 }
    for (const [rules, expected] of [
      [STANDARD_RULES, ''],
      [nearest, 'skip:1 B2']
    ] as const) {
      const d = new Drawing([1n, 1n, 1n, 1n], rules)
      d.row(all, 1)
      d.row('AB', 2, ['A1', 'B1', 'C1'])
      d.row('CD', 2, ['B1', 'C1', 'D1'])
      d.row(all, 4, d.row(all, 3, ['A2', 'B2', 'C2', 'D2']))
      assert.equal(d.decided(), expected)
    }
  })

  /**
   *   round 1        A*  B   C   D
   *   round 2        v   v   v   (v)     D2 and D3 come when round 12 is complete: a vote and a certificate more
   *   round 3        c   c   c   (c)
   *   rounds 4 … 12  .   .   .
   */
  it('decides the same when the deciding block comes late', () => {
    const d = new Drawing()
    d.row(all, 1)
    d.row('AB', 2, ['A1', 'B1', 'C1'])
    d.add('C2', ['C1', 'A1', 'B1'])
    let row = ['A2', 'B2', 'C2']
    for (let round = 3; round <= 12; round++) row = d.row('ABC', round, row)
    const before = d.decided()
    d.add('D2', ['D1', 'B1', 'C1'])
    d.add('D3', ['D2', 'A2', 'B2'])
    assert.equal(d.decided(), before)
  })

  /**
   *   round    1    2    3    4    5    6    7    8
   *   leader   A*   B*   C*   D*   A*   B*   .    .     all blocks name all before: six leaders are committed
   *            ├───── asked twice ──────┤
   *                           ├ from 4 ─┤
   */
  it('gives the same answer when asked twice, and goes on where it is told', () => {
    const d = new Drawing()
    let row = d.row(all, 1)
    for (let round = 2; round <= 8; round++) row = d.row(all, round, row)
    assert.equal(d.decided(), 'A1 B2 C3 D4 A5 B6')
    assert.equal(d.decided(), 'A1 B2 C3 D4 A5 B6')
    assert.equal(d.decided({ round: 4, offset: 0 }), 'D4 A5 B6')
  })

  /**
   *   round 1   A  A'  B   C   D   A wrote twice
   *   round 2   v      v   v       three votes for A1
   *             –  D2 votes for A1b
   */
  it('commits at most one of an equivocating leader’s blocks', () => {
    const d = new Drawing()
    d.row(all, 1)
    d.add('A1b')
    d.row('ABC', 2, ['A1', 'B1', 'C1'])
    d.add('D2', ['D1', 'A1b', 'B1'])
    d.row(all, 3, ['A2', 'B2', 'C2', 'D2'])
    assert.equal(d.decided(), 'A1')
  })

  /**
   *   round 1   A*
   *   round 2   v   v              A and B vote; A does so in two blocks
   *             A2b
   */
  it('counts authors, not blocks', () => {
    const blocks = { ...STANDARD_RULES, support: (_: unknown, list: readonly unknown[]) => list.length }
    for (const [rules, expected] of [
      [STANDARD_RULES, false],
      [blocks, true]
    ] as const) {
      const d = new Drawing([1n, 1n, 1n, 1n], rules)
      d.row(all, 1)
      d.add('A2', ['A1', 'B1', 'C1'])
      d.add('A2b', ['A1', 'B1', 'D1'])
      d.add('B2', ['B1', 'A1', 'C1'])
      d.add('C2', ['C1', 'B1', 'D1'])
      const c3 = d.add('C3', ['C2', 'A2', 'A2b', 'B2'])
      assert.equal(d.rule.certifies(c3, d.get('A1')), expected)
    }
  })

  /**
   *   round 1   A*  A1b
   *   rounds 2, 3: a committee in which more than f are dishonest certifies both
   */
  it('stops when two blocks of one slot are certified', () => {
    const d = new Drawing()
    d.row(all, 1)
    d.add('A1b')
    for (const author of all) {
      const own = author === 'A' ? 'A1' : `${author}1`
      d.add(`${author}2`, [own, ...['A1', 'B1', 'C1'].filter(name => name !== own)])
      d.add(`${author}2b`, [
        author === 'A' ? 'A1b' : own,
        ...['A1b', 'B1', 'C1'].filter(name => name !== own && author !== 'A')
      ])
    }
    d.row(all, 3, ['A2', 'B2', 'C2'])
    for (const author of all) d.add(`${author}3b`, ['A2b', 'B2b', 'C2b', 'D2b'])
    assert.throws(() => d.decided(), { code: 'CONSENSUS_CONFLICT' })
  })

  /**
   *   round 3   A3   …             an old block of the leader
   *   round 5   A5*  B5  C5  D5
   *   round 6        –   –   –     B, C, D name A3 weakly, not A5
   */
  it('blames by author and round: a weak reference to an old block of the leader is no vote and hides no blame', () => {
    const d = new Drawing()
    let row = d.row(all, 1)
    for (let round = 2; round <= 4; round++) row = d.row(all, round, row)
    // Round 5 is A's. B, C and D don't name A5; they name A3 weakly.
    d.add('A5', row)
    for (const author of 'BCD')
      d.add(`${author}5`, [`${author}4`, ...['B4', 'C4', 'D4'].filter(name => name !== `${author}4`)])
    for (const author of 'BCD')
      d.add(`${author}6`, [`${author}5`, ...['B5', 'C5', 'D5'].filter(name => name !== `${author}5`)], {}, ['A3'])
    assert.equal(d.rule.direct({ round: 5, offset: 0, author: 0 }).status, 'skip')
  })

  /**
   *   stake     7    1   1   1     Q = 7
   *   round 1   A*
   *   round 2   v
   *   round 3   c                  one author is the quorum
   */
  it('weighs by stake: one witness with more than two thirds decides alone', () => {
    const d = new Drawing([7n, 1n, 1n, 1n])
    assert.equal(d.dag.committee.quorum, 7)
    let row = d.row('A', 1)
    for (let round = 2; round <= 4; round++) row = d.row('A', round, row)
    const leader = d.schedule.leaders(1)[0]
    assert.equal(leader, 0)
    assert.match(d.decided(), /^A1/)
  })

  /**
   *   rounds 1 2 3 4 …   A* v c    Q = 1: each block is the vote and the certificate of those before it
   */
  it('runs with one witness: every round commits two rounds later', () => {
    const d = new Drawing([1n])
    let row = d.row('A', 1)
    for (let round = 2; round <= 6; round++) row = d.row('A', round, row)
    assert.equal(d.decided(), 'A1 A2 A3 A4')
  })

  /**
   *   round 1   A*  B*  C   D      slots (1,0) = A, (1,1) = B
   *   round 2   A   B   C*  D*
   */
  it('orders two leaders of one round by their offset', () => {
    const d = new Drawing([1n, 1n, 1n, 1n], STANDARD_RULES, 2)
    let row = d.row(all, 1)
    for (let round = 2; round <= 4; round++) row = d.row(all, round, row)
    const leaders = [1, 2].flatMap(round => d.schedule.leaders(round).map(author => `${all[author]}${round}`))
    assert.equal(d.decided(), leaders.join(' '))
  })
})

describe('leader schedule', () => {
  /**
   *   round             1   2   3   4   5   6   7   8
   *   stakes 2, 1, 1    A   B   C   A   A   B   C   A      two of four turns for A, never three of them in a row
   *   stakes 5, 1, 1    AB  AC  AB  AC  AB  AC  AB  AC     two leaders a round: A has a turn in each, never both
   */
  it('gives turns in proportion to stake, evenly spread, with distinct leaders in a round', () => {
    const schedule = new LeaderSchedule(committeeOf([2n, 1n, 1n]))
    const turns = Array.from({ length: 48 }, (_, i) => schedule.leaders(i + 1)[0])
    assert.deepEqual(
      [0, 1, 2].map(author => turns.filter(turn => turn === author).length),
      [24, 12, 12]
    )
    assert.ok(turns.every((turn, i) => !(turn === turns[i + 1] && turn === turns[i + 2])))
    const two = new LeaderSchedule(committeeOf([5n, 1n, 1n]), 2)
    for (let round = 1; round <= 60; round++) assert.equal(new Set(two.leaders(round)).size, 2)
  })

  /**
   *   decided in one go   –  L2  –  L4  –  L6      the epoch has two commits to go: L6 and the skip before it are out
   */
  it('ends an epoch with its last commit, however many more are decided in the same go', () => {
    const slot = { round: 1, offset: 0, author: 0 }
    const leader = new Drawing().make('A1')
    const commit = { status: 'commit' as const, slot, leader }
    const skip = { status: 'skip' as const, slot }
    assert.deepEqual(STANDARD_RULES.truncate([skip, commit, skip, commit, skip, commit], 2), [
      skip,
      commit,
      skip,
      commit
    ])
    assert.deepEqual(STANDARD_RULES.truncate([skip, commit], 0), [])
  })
})
