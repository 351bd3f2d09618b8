import assert from 'node:assert/strict'
import fc from 'fast-check'
import { RecursiveRule } from './recursive.js'
import { Drawing } from './support.js'

/** Draws rounds in which some witnesses are silent, name some of what there is, and one of them (A) writes twice now and then. */
function draw(drawing: Drawing, size: number, rounds: number, choose: (most: number) => number): void {
  const names = Array.from({ length: size }, (_, i) => String.fromCharCode(65 + i))
  const quorum = drawing.dag.committee.quorum
  let before: string[] = []
  for (let round = 1; round <= rounds; round++) {
    const row: string[] = []
    for (const author of names) {
      const own = before.filter(name => name.startsWith(author))
      if (round > 1 && own.length === 0) continue
      const silent = names.length - row.length > quorum && choose(9) === 0
      if (silent && row.length + (names.length - names.indexOf(author) - 1) >= quorum) continue
      const versions = author === 'A' && choose(3) === 0 ? ['', 'b'] : ['']
      for (const version of versions) {
        if (round === 1) {
          drawing.add(`${author}1${version}`)
        } else {
          const first = own[choose(own.length - 1)] ?? ''
          const others = names
            .filter(name => name !== author)
            .flatMap(name => {
              const theirs = before.filter(block => block.startsWith(name))
              return theirs.length === 0 ? [] : [theirs[choose(theirs.length - 1)] ?? '']
            })
          while (others.length > quorum - 1 && choose(2) !== 0) others.splice(choose(others.length - 1), 1)
          if (others.length < quorum - 1) continue
          drawing.add(`${author}${round}${version}`, [first, ...others])
        }
        row.push(`${author}${round}${version}`)
      }
    }
    before = row
  }
}

describe('commit rule against the recursive executor', () => {
  for (const [size, leaders] of [
    [4, 1],
    [4, 2],
    [7, 1]
  ] as const) {
    it(`decides every random DAG of ${size} witnesses with ${leaders} leaders a round as the recursive executor does`, () => {
      let decided = 0
      fc.assert(
        fc.property(fc.infiniteStream(fc.nat()), fc.integer({ min: 4, max: 10 }), (stream, rounds) => {
          const drawing = new Drawing(
            Array.from({ length: size }, () => 1n),
            undefined,
            leaders
          )
          draw(drawing, size, rounds, most => (stream.next().value ?? 0) % (most + 1))
          const expected = new RecursiveRule(drawing).sequence()
          const actual = drawing.rule
            .decide({ round: 1, offset: 0 })
            .map(decision => (decision.status === 'commit' ? decision.leader.key : null))
          assert.deepEqual(actual, expected)
          decided += actual.length
        }),
        { numRuns: 120, seed: 5 }
      )
      assert.ok(decided > 100, 'the DAGs decide something')
    })
  }
})
