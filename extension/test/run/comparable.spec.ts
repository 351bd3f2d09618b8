import assert from 'node:assert/strict'
import { requestFor, type RunSettings } from '../../src/run/request.js'

/** What the settings for seeds and numeric paths make of a task. */
describe('a task that shall be comparable, or fast', () => {
  const cells = [{ id: 'a', source: '1', tags: [], number: 1 }]
  const base: RunSettings = { cap: 1n, image: 'base', memoryBytes: 1 << 30, wallMs: 60_000 }
  const of = (settings: Partial<RunSettings>) => requestFor(cells, 'cell', 'a.ipynb', { ...base, ...settings })

  it('leaves seed and path to their defaults', () => {
    assert.ok(!('seed' in of({})) && !('numeric' in of({ realEntropy: false, nativeNumerics: false })))
  })
  it('asks for real entropy', () => assert.equal(of({ realEntropy: true }).seed, null))
  it('asks for all that the processor can', () => assert.equal(of({ nativeNumerics: true }).numeric, 'native'))
})
