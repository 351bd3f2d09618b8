import assert from 'node:assert/strict'
import { isThere } from '../../src/run/covered.js'
import { EMPTY_PLAN, valueRow, type TravelPlan } from '../../src/values/plan.js'

describe('run: values that cells above made', () => {
  const planOf = (reason: string | null): TravelPlan => {
    const row = {
      ...{ name: 'model', by: null, needs: [], codec: reason === null ? ('json' as const) : null, size: 3 },
      ...{ kind: 'Model', type: 'Model', reason, python: null, secret: false }
    }
    return { ...EMPTY_PLAN, values: [row], rows: [valueRow(row, undefined, '3.11')] }
  }

  it('are there where the kernel has them and they can travel: else the cells that make them are offered', () => {
    assert.equal(isThere(planOf(null), 'model'), true)
    assert.equal(isThere(planOf('It holds an open file.'), 'model'), false)
    assert.equal(isThere(planOf(null), 'other'), false)
  })
})
