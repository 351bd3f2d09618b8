import assert from 'node:assert/strict'
import { needImage, transcriptOf, WarmRunners } from '../runner/sandboxed-runner.js'
import { commandFor, compareHonest, rootOf, wordsOf } from './honest.js'
import { PROGRAMS, SHARE } from './programs/index.js'

/** A share of the honest set; the whole of it, on both runtimes, is `honest.long.ts`. */
describe('honest runs', function () {
  this.timeout(120_000)
  const warm = new WarmRunners()
  before(function () {
    needImage(this)
  })
  after(async () => await warm.close())

  const share = PROGRAMS.filter(({ name }) => SHARE.includes(name))
  it('has the share it names', () => assert.equal(share.length, SHARE.length))

  for (const program of share) {
    const end = program.varies === undefined ? 'give the same result digest' : `differ, and say why: ${program.varies}`
    it(`of “${program.name}” in two fresh sandboxes ${end}`, async () => {
      const a = await transcriptOf(warm.take(), commandFor(program))
      const b = await transcriptOf(warm.take(), commandFor(program))
      const { verdict, cells } = compareHonest(program, a, b)
      const words = `${JSON.stringify(cells)}\n${wordsOf(a)}`
      if (program.varies === undefined) {
        assert.equal(rootOf(a), rootOf(b), words)
        assert.equal(a.done.outcome, 'ok', words)
        assert.ok(verdict === 'exact' || verdict === 'canonical', words)
      } else {
        assert.notEqual(rootOf(a), rootOf(b), words)
        assert.ok(
          cells.some(({ cause }) => cause === program.varies),
          words
        )
      }
    })
  }
})
