import assert from 'node:assert/strict'
import type { Gpu, Resources } from '@pekka/node/protocol'
import { fits } from '../../../src/core/ledger/task/fits.js'

const GIB = 2 ** 30
const resources = (gpu: Gpu | null): Resources => ({ milliCpus: 1000, memoryBytes: GIB, diskBytes: GIB, gpu })

describe('what a machine must have for a task', () => {
  it('is at least as many graphics processors, each with the memory, where any are asked for', () => {
    const one = { count: 1, memoryBytes: 8 * GIB }
    assert.equal(fits(resources(null), resources(null)), true)
    assert.equal(fits(resources(null), resources(one)), true)
    assert.equal(fits(resources(one), resources(null)), false)
    assert.equal(fits(resources(one), resources(one)), true)
    assert.equal(fits(resources({ ...one, count: 2 }), resources(one)), false)
    assert.equal(fits(resources({ ...one, memoryBytes: 16 * GIB }), resources({ ...one, count: 4 })), false)
  })
})
