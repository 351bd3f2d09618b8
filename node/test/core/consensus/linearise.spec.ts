import assert from 'node:assert/strict'
import { commitTimestamp, gcRoundAfter, linearise, orderTransactions } from '@pekka/node/consensus'
import { Drawing, epochOf, transactionOf } from './support.js'

describe('linearisation', () => {
  /**
   *   A1  B1  C1  D1          D2 is weakly named by A4
   *   A2  B2  C2 (D2)
   *   A3  B3  C3
   *   A4                      the leader
   */
  const drawn = (): Drawing => {
    const d = new Drawing()
    const first = d.row('ABCD', 1)
    d.row('ABC', 2, first.slice(0, 3))
    d.add('D2', ['D1', 'A1', 'B1'])
    d.row('ABC', 3, ['A2', 'B2', 'C2'])
    d.add('A4', ['A3', 'B3', 'C3'], {}, ['D2'])
    return d
  }
  const names = (d: Drawing, committed: string[], gcRound: number): string =>
    linearise(d.dag, d.get('A4'), { committed: new Set(committed.map(name => d.get(name).key)), gcRound })
      .map(block => d.nameOf(block))
      .join(' ')

  it('orders the leader’s history by round, author and id, the leader last, and takes in what is named weakly', () => {
    assert.equal(names(drawn(), [], 0), 'A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 A4')
  })
  it('leaves out what is committed, and what is at or below the garbage line', () => {
    assert.equal(names(drawn(), ['A1', 'B1', 'A2'], 0), 'C1 D1 B2 C2 D2 A3 B3 C3 A4')
    assert.equal(names(drawn(), [], 1), 'A2 B2 C2 D2 A3 B3 C3 A4')
    assert.equal(names(drawn(), [], 2), 'A3 B3 C3 A4')
  })
  /**
   *   t1 ◄─ t2 ◄─ t3              each the one before it in its lane
   *   blocks   t3   t2 t3   t1    in this order; out come t1, t2, t3
   */
  it('orders each transaction once, after those that it names', () => {
    const first = transactionOf(1)
    const second = transactionOf(2, first, 1)
    const third = transactionOf(3, second, 2)
    const blocks = [[third], [second, third], [first]].map(transactions => ({
      ...new Drawing().make('A1'),
      transactions
    }))
    assert.deepEqual(orderTransactions(blocks), [first, second, third])
  })
  /**
   *   round 1   A at 10   C at 20   B at 500,000     A2 names all three: the middle one, whatever B says
   *   commit    before it: 99                        99 then
   */
  it('takes the stake-weighted median of the parents’ times, and never goes back', () => {
    const d = new Drawing()
    for (const [i, name] of ['A1', 'B1', 'C1'].entries()) d.add(name, [], { timestamp: [10, 500_000, 20][i] ?? 0 })
    const leader = d.add('A2', ['A1', 'B1', 'C1'])
    assert.equal(commitTimestamp(d.dag, leader, { before: 0, started: 0 }), 20)
    assert.equal(commitTimestamp(d.dag, leader, { before: 99, started: 0 }), 99)
  })

  /**
   *   round 1   A   B   C   D
   *   round 2   A   B   C   D         nobody else names D2 …
   *   round 3   A   B   C   D         … nor D3
   *   round 4   A*  B   C             commit 1; the line after it is 4 − 3 = 1
   *   round 5   A   B   C ······ D2   weakly
   *   round 6   A ·············· D3   weakly
   *                 B*  C             commit 2: above line 1, so D2 is in (its own line, 3, would leave it out)
   *   round 7   A*                    commit 3: above line 3, so D3 is out (line 1 would let it in)
   */
  it('takes for each commit the garbage line after the commit before: neither its own nor an older one', () => {
    const d = new Drawing()
    d.row('ABCD', 1)
    for (let round = 2; round <= 4; round++) {
      d.row('ABC', round, [`A${round - 1}`, `B${round - 1}`, `C${round - 1}`])
      if (round < 4) d.row('D', round, [`D${round - 1}`, `A${round - 1}`, `B${round - 1}`])
    }
    d.row('AB', 5, ['A4', 'B4', 'C4'])
    d.add('C5', ['C4', 'A4', 'B4'], {}, ['D2'])
    d.add('A6', ['A5', 'B5', 'C5'], {}, ['D3'])
    d.row('BC', 6, ['A5', 'B5', 'C5'])
    d.add('A7', ['A6', 'B6', 'C6'])
    const epoch = epochOf(d, { gcDepth: 3 })
    const committed = ['A4', 'B6', 'A7'].map(leader => {
      const blocks = epoch.commit(d.get(leader), { round: Number(leader.slice(1)) + 1, offset: 0 })
      return { blocks: blocks.map(block => d.nameOf(block)).join(' '), line: epoch.gcRound }
    })
    assert.deepEqual(committed, [
      { blocks: 'A1 B1 C1 A2 B2 C2 A3 B3 C3 A4', line: 1 },
      { blocks: 'D2 B4 C4 A5 B5 C5 B6', line: 3 },
      { blocks: 'A6 C6 A7', line: 4 }
    ])
    assert.equal(gcRoundAfter(5, 3, 4), 4, 'and never goes back')
  })
})
