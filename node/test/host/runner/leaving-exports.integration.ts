import assert from 'node:assert/strict'
import { inUserKernel } from './user-kernel.js'

describe('values on their way out of the user’s kernel', function () {
  this.timeout(120_000)
  let found: Record<string, unknown>

  before(async function () {
    found = await inUserKernel(this, 'leaving-exports.py', ['numpy', 'pandas', 'pyarrow', 'cloudpickle'])
  })

  it('are nothing to what another run looks at, sends or has let go', () => {
    assert.deepEqual(found['apart'], [true, true])
    assert.deepEqual(found['released'], [null, null])
    assert.equal(found['small'], true)
    assert.equal(found['left'], 0)
  })

  it('are as they were when they were written, whatever a cell changes meanwhile', () => {
    assert.deepEqual(found['as_it_was'], [true, true, true, true])
  })

  it('are not in the kernel’s memory as well where they are large', () => {
    assert.deepEqual(found['in_files'], ['mmap', 'mmap', 'mmap'])
  })

  it('stay where a running cell changes them while they are written', () => {
    assert.deepEqual(found['calm'], [null, null, null])
    for (const reason of found['torn'] as unknown[]) assert.match(String(reason), /^It changed while it was written/)
    assert.equal(found['alone'], null)
  })

  it('are let go when they are released, when too much is held, and when nobody comes for them', () => {
    const [small, large] = found['bounded'] as string[] // our own script's
    assert.equal(small, null)
    assert.match(String(large), /^What is being sent from here already takes 0\.0 GB/)
    assert.deepEqual(found['makes_room'], [null, true, true])
    assert.deepEqual(found['newest'], [false, true, true])
    assert.deepEqual(found['idle'], [false, true])
    assert.equal(found['next'], true)
    assert.equal(found['timers'], true)
    assert.equal(found['by_itself'], 0)
  })

  it('stay with a sentence where the disk has no room for an array', () => {
    const [array, ...others] = found['no_room'] as unknown[] // our own script's
    assert.match(String(array), /^There is no room to write it on this computer/)
    assert.deepEqual(others, [null, true, null])
  })

  it('stay where a copy of code would take a secret along that has no tick of its own', () => {
    for (const reason of found['secret'] as unknown[])
      assert.match(String(reason), /^It reads \w+, which looks like a secret and would go along/)
    assert.equal(found['no_secret'], null)
  })

  it('are looked at under Python’s own names where a cell has redefined these', () => {
    assert.deepEqual(found['redefined'], ['k', 'vars', 'all'])
  })

  it('are for one version of Python only where they hold code of it', () => {
    assert.deepEqual(found['python'], ['3.11', null, null])
    assert.deepEqual(found['needs'], ['cached'])
    assert.deepEqual(found['python_then'], ['3.11', null])
    assert.deepEqual(found['moved'], ['pickle', null, false, "<class 'pathlib.PurePath'>"])
  })
})
