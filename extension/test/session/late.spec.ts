import assert from 'node:assert/strict'
import type { MissingPackage } from '@pekka/node/scan'
import { lateSentences } from '../../src/session/late.js'
import { parseSessionMetadata, sessionMetadataJson } from '../../src/session/metadata.js'

const lacking = (distribution: string): MissingPackage => ({
  ...{ module: distribution, distribution, specifier: '', extras: [], source: 'reviewed' },
  ...{ optional: false, have: null, elsewhere: null }
})
const read = (url: string) => ({ url, cell: 'a', line: 1 })

describe('what a kept machine can’t be given any more', () => {
  it('is told of packages and addresses that came after it had begun, and of no others', () => {
    const began = { packages: ['rdkit'], addresses: ['https://example.org/a.csv'] }
    const choice = { image: 'base', missing: [lacking('rdkit'), lacking('lifelines')] }
    assert.deepEqual(
      lateSentences(choice, [read('https://example.org/a.csv'), read('https://example.org/b.csv')], began),
      [
        'lifelines isn’t in base. A kept machine has what was added when it began.',
        'https://example.org/b.csv was not fetched for this machine. It has what was fetched when it began.'
      ]
    )
    assert.deepEqual(lateSentences({ image: 'base', missing: [lacking('rdkit')] }, [], began), [])
  })

  it('is not guessed at where the page no longer knows what was fetched', () => {
    const reads = [read('https://example.org/b.csv')]
    assert.deepEqual(lateSentences({ image: 'base', missing: [] }, reads, { packages: [], addresses: null }), [])
  })

  it('is known of packages after a reload', () => {
    const memory = { v: 1 as const, task: 'ab'.repeat(32), native: false, from: 2, added: ['rdkit'] }
    assert.deepEqual(parseSessionMetadata(sessionMetadataJson(memory)), memory)
    const rubbish = parseSessionMetadata({ ...memory, added: [1, null] })
    assert.deepEqual(rubbish, { v: 1, task: memory.task, native: false, from: 2 })
  })
})
