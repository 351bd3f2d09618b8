import assert from 'node:assert/strict'
import { analyse } from '@pekka/node/scan'
import { comes, expected, returnNames, returnsOf, type ReturnedValue } from '../../src/values/returns.js'

const names = (...cells: string[]): string[] => returnNames(cells.map(analyse))
const value = (name: string, more: Partial<ReturnedValue> = {}): ReturnedValue => ({
  ...{ name, type: 'int', look: '7', codec: 'json', reason: null, size: 1, parts: [] },
  ...more
})

describe('values: what comes back', () => {
  it('is what the cells assign and the objects that they change, not imports, private names, or what is deleted', () => {
    assert.deepEqual(names('import numpy as np\nx = np.ones(3)\n_t = 1\ny = 2\ndel y'), ['x'])
    assert.deepEqual(names('df["b"] = 1'), ['df'])
    assert.deepEqual(names('a = 1', 'del a', 'b = a = 2'), ['b', 'a'])
    assert.deepEqual(names('print(x)'), [])
  })

  it('is asked for unless it is to stay, and up to a thousand names', () => {
    const cells = [analyse(Array.from({ length: 1200 }, (_, index) => `v${index} = 1`).join('\n'))]
    assert.equal(returnsOf({ mode: 'ask', maxBytes: 5 }, cells).names.length, 1000)
    assert.equal(returnsOf({ mode: 'always', maxBytes: 5 }, cells).maxBytes, 5)
    assert.deepEqual(returnsOf({ mode: 'never', maxBytes: 5 }, cells), { names: [], maxBytes: 0 })
  })

  it('is taken by names that the cells assign alone, each once: a machine chooses none', () => {
    const said = [value('x'), value('api_url'), value('x', { look: 'another' }), value('y')]
    const taken = expected(said, new Set(['x', 'y']))
    assert.deepEqual(
      taken.map(({ name, look }) => [name, look]),
      [
        ['x', '7'],
        ['y', '7']
      ]
    )
  })

  it('stays where it has no safe form, or where its bytes stayed', () => {
    const { parts: _, ...large } = value('x')
    assert.deepEqual([value('x'), value('x', { codec: null }), large].map(comes), [true, false, false])
  })
})
