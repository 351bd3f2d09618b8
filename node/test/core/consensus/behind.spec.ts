import assert from 'node:assert/strict'
import { MAX_MORE_BYTES, MAX_MORE_PER_MEMBER, STANDARD_PACE, Sync } from '@pekka/node/consensus'
import { CatchUp } from '../../../src/core/consensus/catch-up.js'
import { CATCH_UP_ROUNDS } from '../../../src/core/consensus/constants.js'
import { Drawing } from './support.js'

const now = { elapsed: 0, wall: 1_000_000 }

describe('whoever is left behind at the end of an epoch', () => {
  /**
   *   A is dishonest and makes versions A1, A1b, A1c, A1d …; who went on decided by A1d, and nobody will ever build on it:
   *   here are A1, A1b and A1c
   */
  it('takes an equivocator’s further blocks from answers, of each member a bounded number and size', () => {
    const d = new Drawing()
    const sync = new Sync({ dag: d.dag, check: () => null, checkParents: () => null, pace: STANDARD_PACE })
    const versions = Array.from({ length: MAX_MORE_PER_MEMBER + 10 }, (_, i) =>
      d.make('A1', [], { timestamp: 1_000 + i })
    )
    const [first, second, third, ...more] = versions
    assert.ok(first && second && third)
    const taken = (blocks: typeof more, seat: string | null): typeof more =>
      blocks.flatMap(block => sync.receive(block, 'b', now, seat).accepted)
    assert.equal(taken([first, second, third], null).length, 3)
    assert.equal(taken(more, null).length, 0, 'unasked, or of an observer')
    const accepted = taken(more, 'B')
    assert.equal(accepted.length, MAX_MORE_PER_MEMBER)
    const rest = more.slice(accepted.length)
    assert.equal(taken(rest, 'B').length, 0)
    const large = rest.map(block => ({ ...block, bytes: new Uint8Array(MAX_MORE_BYTES / 2) }))
    assert.equal(taken(large, 'C').length, 2)
    assert.equal(taken(rest, null).length, 0)
  })

  it('takes from its own disk what it took before, whatever anybody built on it', () => {
    const d = new Drawing()
    const sync = new Sync({ dag: d.dag, check: () => null, checkParents: () => null, pace: STANDARD_PACE })
    const versions = Array.from({ length: 5 }, (_, i) => d.make('A1', [], { timestamp: 1_000 + i }))
    const taken = versions.flatMap(block => sync.receive(block, null, { elapsed: 0, wall: Infinity }).accepted)
    assert.equal(taken.length, 5)
  })

  it('asks for all rounds that it hasn’t decided, from each of its peers; while others are in its own epoch for the last ones', () => {
    const peers = ['a', 'b', 'c']
    const at = { quorumRound: 100, gcRound: 5, undecided: 20 }
    const asked = (heard: number): Map<string, Set<number>> => {
      const catchUp = new CatchUp(10)
      const rounds = new Map(peers.map(peer => [peer, new Set<number>()]))
      for (let time = 0; time < 5_000; time += 10) {
        catchUp.hear('a', heard, 200)
        const ask = catchUp.next(time, 3, at, peers)
        if (ask === null) continue
        assert.ok(catchUp.hasAsked(ask.to, 3) && !catchUp.hasAsked(ask.to, 4) && !catchUp.hasAsked('stranger', 3))
        for (let i = 0; i < CATCH_UP_ROUNDS; i++) rounds.get(ask.to)?.add(ask.from + i)
      }
      return rounds
    }
    for (const rounds of asked(4).values()) {
      for (let round = at.undecided; round <= at.quorumRound + 2; round++) assert.ok(rounds.has(round), String(round))
      assert.ok(!rounds.has(at.undecided - 1))
    }
    for (const rounds of asked(3).values()) assert.ok(!rounds.has(at.quorumRound - CATCH_UP_ROUNDS))
  })
})
