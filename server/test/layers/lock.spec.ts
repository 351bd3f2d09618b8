import assert from 'node:assert/strict'
import { readLock } from '../../src/layers/index.js'

const wheel = (file: string): string =>
  `{ url = "https://files.example.org/a/${file}", size = 5, hashes = { sha256 = "${'0'.repeat(64)}" } }`
const lock = (...files: string[]): string =>
  `lock-version = "1.0"\n\n[[packages]]\nname = "Some_Thing"\nversion = "1.0"\nwheels = [${files.map(wheel).join(', ')}]\n`

describe('lock of a layer', () => {
  for (const [what, files, taken] of [
    ['the one there is', ['s-1.0-py3-none-any.whl'], 0],
    [
      'that for this Python before one for any',
      ['s-1.0-py3-none-any.whl', 's-1.0-cp311-cp311-manylinux_2_17_x86_64.whl'],
      1
    ],
    [
      'the stable interface before one for any',
      ['s-1.0-cp38-abi3-manylinux_2_17_x86_64.whl', 's-1.0-py2.py3-none-any.whl'],
      0
    ],
    [
      'none of a newer Python',
      ['s-1.0-cp312-cp312-manylinux_2_17_x86_64.whl', 's-1.0-cp312-abi3-linux_x86_64.whl', 's-1.0-py3-none-any.whl'],
      2
    ],
    [
      'that for the newer system library',
      ['s-1.0-cp311-cp311-manylinux_2_17_x86_64.whl', 's-1.0-cp311-cp311-manylinux_2_28_x86_64.whl'],
      1
    ]
  ] as const) {
    it(`takes ${what}`, () => {
      const [found] = readLock(lock(...files), '3.11')
      assert.deepEqual([found?.name, found?.file, found?.size], ['some-thing', files[taken], 5])
    })
  }

  it('takes nothing that does not suit', () => {
    assert.throws(() => readLock(lock('s-1.0-cp312-cp312-linux_x86_64.whl'), '3.11'), /none of the 1 wheels/)
    assert.throws(() => readLock('[[packages]]\nname = "x"\nversion = "1"\n', '3.11'), /none of the 0 wheels/)
  })
})
