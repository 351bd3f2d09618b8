import fc from 'fast-check'
import { SPINE_PARAMETERS } from '@pekka/node/protocol'
import { FULL_PARAMETERS } from './support.js'
import { finish, moveArbitrary, replay, startWalk, step } from './walk.js'

/** Sequences a walk of the quick tests and of the long ones (`npm run test:full` sets PEKKA_LONG). */
const RUNS = process.env['PEKKA_LONG'] ? 20_000 : 500
const MOVES = process.env['PEKKA_LONG'] ? 120 : 40

describe('ledger: random walks of valid, invalid, late, repeated and reordered transactions', function () {
  this.timeout(process.env['PEKKA_LONG'] ? 3_600_000 : 180_000)
  const quick = { ...SPINE_PARAMETERS, contestWindowMs: 20_000, unbondMs: 30_000, faucetLimit: 1_000_000n }
  for (const [name, parameters] of [
    ['checking switched off', quick],
    [
      'slice, hold-back, levy and deposits switched on',
      { ...FULL_PARAMETERS, contestWindowMs: 20_000, unbondMs: 30_000 }
    ]
  ] as const) {
    it(`${name}: invariants hold after each commit, silence ends every task, a replay gives equal bytes`, () => {
      fc.assert(
        fc.property(fc.array(moveArbitrary, { minLength: 5, maxLength: MOVES }), moves => {
          const walk = startWalk(parameters)
          for (const move of moves) step(walk, move)
          finish(walk)
          replay(walk)
        }),
        { numRuns: RUNS }
      )
    })
  }
})
