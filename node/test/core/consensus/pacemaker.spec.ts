import assert from 'node:assert/strict'
import { Pacemaker, STANDARD_PACE, STANDARD_RULES, type OpenedBlock, type PaceDecision } from '@pekka/node/consensus'
import { Drawing } from './support.js'

const { leaderTimeout, minRoundDelay, idleDelay } = STANDARD_PACE
/** Long after the pacemaker was made, so that no round delay holds anything up. */
const NOW = 10_000

/** Witness A's pacemaker over a drawing; leaders are A, B, C, D, A, … from round 1 on. */
const paceOf = (drawing: Drawing, built = 0): ((now: number, round: number, busy?: boolean) => PaceDecision) => {
  const pacemaker = new Pacemaker(STANDARD_PACE, 0)
  pacemaker.built(built)
  const { dag, schedule, rule } = drawing
  return (now, round, busy = true) => {
    const own: OpenedBlock | null = dag.at(round - 1, 0)[0] ?? null
    return pacemaker.next(now, { dag, schedule, rule, round, own, busy })
  }
}

describe('pacemaker', () => {
  /**
   *   round 1   A*  B   –   –      no quorum: nothing to build on, and no time to wait for
   */
  it('waits for a quorum of the round before, however long', () => {
    const d = new Drawing()
    d.row('AB', 1)
    const pace = paceOf(d)
    assert.deepEqual(pace(NOW, 2), { build: false, wake: null })
    assert.deepEqual(pace(NOW + 100 * leaderTimeout, 2), { build: false, wake: null })
    d.row('C', 1)
    assert.deepEqual(pace(NOW + 100 * leaderTimeout, 2), { build: true })
  })

  /**
   *   round 1   A*  B   C   D
   *   round 2   A   –*  C   D      B leads round 2, and its block isn't here
   */
  it('waits for the leader of the round before until the timeout, and no longer once it is here', () => {
    const d = new Drawing()
    const first = d.row('ABCD', 1)
    d.row('ACD', 2, first)
    const pace = paceOf(d)
    assert.deepEqual(pace(NOW, 3), { build: false, wake: NOW + leaderTimeout })
    assert.deepEqual(pace(NOW + leaderTimeout - 1, 3), { build: false, wake: NOW + leaderTimeout })
    assert.deepEqual(pace(NOW + leaderTimeout, 3), { build: true })
    const other = paceOf(d)
    assert.deepEqual(other(NOW, 3), { build: false, wake: NOW + leaderTimeout })
    d.row('B', 2, first)
    assert.deepEqual(other(NOW + 1, 3), { build: true })
  })

  /**
   *   round 1   A*  B   C   D
   *   round 2   v   B*  v   –      three blocks, two votes for A1 (B2 doesn't name it): the third may come with D2
   */
  it('waits for votes for the leader that its own block voted for', () => {
    const d = new Drawing()
    d.row('ABCD', 1)
    d.row('AC', 2, ['A1', 'B1', 'C1'])
    d.add('B2', ['B1', 'C1', 'D1'])
    const pace = paceOf(d)
    assert.deepEqual(pace(NOW, 3), { build: false, wake: NOW + leaderTimeout })
    d.add('D2', ['D1', 'A1', 'C1'])
    assert.deepEqual(pace(NOW + 1, 3), { build: true })
  })

  /**
   *   round 1   A*  B   C   D   E   F   G
   *   round 2   A   –*  C   D   E   F   G      B, who leads, is away
   *   round 3       –   C   D   E   F   G      and a quorum went on without A
   */
  it('catches up without waiting where others have finished the round, one round after the other', () => {
    const d = new Drawing([1n, 1n, 1n, 1n, 1n, 1n, 1n])
    const second = d.row('ACDEFG', 2, d.row('ABCDEFG', 1))
    d.row('CDEF', 3, second)
    const pace = paceOf(d)
    assert.equal(pace(NOW, 3).build, false)
    d.row('G', 3, second)
    assert.deepEqual(pace(NOW, 3), { build: true })
    assert.equal(STANDARD_RULES.nextRound(1, d.dag), 2, 'and never jumps')
  })

  /**
   *   round 1   A*  B   C   D                       all here; A has just built its block
   *   round 2   A        ── 25 ms ─►  with work     ── 1 s ─►  with none
   */
  it('keeps the shortest time between own blocks, and the longer one while nothing waits', () => {
    const d = new Drawing()
    d.row('ABCD', 1)
    const pace = paceOf(d, NOW)
    assert.deepEqual(pace(NOW, 2), { build: false, wake: NOW + minRoundDelay })
    assert.deepEqual(pace(NOW, 2, false), { build: false, wake: NOW + idleDelay })
    assert.deepEqual(pace(NOW + minRoundDelay, 2, false), { build: false, wake: NOW + idleDelay })
    assert.deepEqual(pace(NOW + minRoundDelay, 2), { build: true })
  })
})
