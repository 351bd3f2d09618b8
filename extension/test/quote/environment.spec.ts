import assert from 'node:assert/strict'
import { PekkaError } from '@pekka/node/protocol'
import type { whyNot } from '@pekka/node/client'
import { chipOf, noPrice, whyWords } from '../../src/quote/view.js'

const GIB = 1 << 30
const settings = { cap: 500_000n, image: 'chemistry', memoryBytes: 8 * GIB, wallMs: 600_000 }

describe('quote: the environment in words', () => {
  it('says what decided it', () => {
    const use = (module: string) => ({ module, distribution: module, version: '1' })
    assert.equal(chipOf({ uses: [] }), null)
    assert.equal(chipOf({ uses: [use('rdkit'), use('ase')] }), 'imports rdkit and ase')
  })

  it('says what to type where no machine offers it, and never another one', () => {
    const error = new PekkaError('IMAGE_UNKNOWN', { image: 'chemistry', known: 'base' })
    const words = noPrice(error, { image: 'chemistry' })
    assert.equal(words.title, 'No machine offers chemistry now')
    assert.equal(words.command, 'npx pekka image build chemistry')
    assert.doesNotMatch(words.advice, /base/)
  })

  it('lists reasons with the smallest change as a button', () => {
    // Of a need, only what is changed is read.
    const change = { need: { resources: { memoryBytes: 4 * GIB } }, matches: 9 }
    const found = {
      machines: 23,
      rows: [
        { why: 'memory', count: 14, change },
        { why: 'image', count: 2, change: null }
      ]
    } as unknown as ReturnType<typeof whyNot>
    assert.deepEqual(whyWords(found, settings), [
      {
        asked: 'You asked for 8 GB of memory',
        fact: '14 of 23 machines have less',
        help: { label: 'Ask for 4 GB: 9 match', settings: { memoryBytes: 4 * GIB } }
      },
      { asked: 'Environment chemistry', fact: '2 of 23 machines don’t have it', help: null }
    ])
  })
})
