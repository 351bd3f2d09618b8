import fc from 'fast-check'
import { SPINE_PARAMETERS } from '@pekka/node/protocol'
import { FULL_PARAMETERS } from './support.js'
import { finish, moveArbitrary, replay, startWalk, step } from './walk.js'

/** Short windows, so that tasks close and bonds arrive within a walk. */
const SHORT = { contestWindowMs: 20_000, unbondMs: 30_000 }

const SETTINGS = {
  'checking switched off': { ...SPINE_PARAMETERS, ...SHORT, faucetLimit: 1_000_000n },
  'slice, hold-back, levy and deposits switched on': { ...FULL_PARAMETERS, ...SHORT }
}

/** Random walks, each with up to `moves` moves, `runs` of them for each setting. */
export function walks({ runs, moves, timeout }: { runs: number; moves: number; timeout: number }): void {
  describe('ledger: random walks of valid, invalid, late, repeated and reordered transactions', function () {
    this.timeout(timeout)
    for (const [name, parameters] of Object.entries(SETTINGS)) {
      it(`${name}: invariants hold after each commit, silence ends every task, a replay gives equal bytes`, () => {
        fc.assert(
          fc.property(fc.array(moveArbitrary, { minLength: 5, maxLength: moves }), sequence => {
            const walk = startWalk(parameters)
            for (const move of sequence) step(walk, move)
            finish(walk)
            replay(walk)
          }),
          { numRuns: runs }
        )
      })
    }
  })
}
