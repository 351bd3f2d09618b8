import assert from 'node:assert/strict'
import { MAX_MORE_PER_PEER, STANDARD_PACE, Sync } from '@pekka/node/consensus'
import { CatchUp } from '../../../src/core/consensus/catch-up.js'
import { CATCH_UP_ROUNDS } from '../../../src/core/consensus/constants.js'
import { Drawing } from './support.js'

const now = { elapsed: 0, wall: 1_000_000 }

describe('whoever is left behind at the end of an epoch', () => {
  /**
   *   A is dishonest and makes versions A1, A1b, A1c, A1d …; who went on decided by A1d, and nobody will ever build on it:
   *   here are A1, A1b and A1c
   */
  it('takes an equivocator’s further blocks from answers, of each peer a bounded number', () => {
    const d = new Drawing()
    const sync = new Sync({ dag: d.dag, check: () => null, checkParents: () => null, pace: STANDARD_PACE })
    const versions = Array.from({ length: MAX_MORE_PER_PEER + 10 }, (_, i) =>
      d.make('A1', [], { timestamp: 1_000 + i })
    )
    const [first, second, third, ...more] = versions
    assert.ok(first && second && third)
    for (const block of [first, second, third]) assert.equal(sync.receive(block, 'b', now).accepted.length, 1)
    assert.equal(more.flatMap(block => sync.receive(block, 'b', now).accepted).length, 0, 'unasked')
    const accepted = more.flatMap(block => sync.receive(block, 'b', now, true).accepted)
    assert.equal(accepted.length, MAX_MORE_PER_PEER)
    const rest = more.slice(accepted.length)
    assert.equal(rest.flatMap(block => sync.receive(block, 'b', now, true).accepted).length, 0)
    assert.equal(rest.flatMap(block => sync.receive(block, 'c', now, true).accepted).length, rest.length)
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
