import assert from 'node:assert/strict'
import type { ImageChoice } from '@pekka/node/scan'
import { offeredChoice } from '../../src/run/offered.js'

describe('run: the environment that machines offer', () => {
  const base: ImageChoice = {
    image: 'base',
    byUser: false,
    uses: [],
    label: 'base',
    reasons: ['Smallest one.'],
    missing: [],
    questions: [],
    notes: ['A note.']
  }
  const rdkit = { module: 'rdkit', distribution: 'rdkit', version: '1' }
  const offering = (...names: string[]) => ({
    asks: () => Promise.resolve(names.map(name => ({ ask: { image: { name, digest: new Uint8Array(32) } } })))
  })

  it('is base-small where nobody offers base, and says so in the quote', async () => {
    const choice = await offeredChoice(base, offering('base-small', 'rendering'))
    assert.equal(choice.image, 'base-small')
    assert.match(choice.notes[0] ?? '', /^No machine offers base now; base-small has NumPy, pandas and Matplotlib/)
    assert.deepEqual(choice.notes.slice(1), base.notes)
  })

  it('is base where one machine offers it', async () =>
    assert.equal(await offeredChoice(base, offering('base-small', 'base')), base))

  it('is base where nothing can stand in for it', async () =>
    assert.equal(await offeredChoice(base, offering('rendering')), base))

  it('stays what somebody chose, and what the code asks for', async () => {
    for (const choice of [
      { ...base, byUser: true },
      { ...base, image: 'chemistry', uses: [rdkit] }
    ])
      assert.equal(await offeredChoice(choice, offering('base-small')), choice)
  })

  it('stays where there are no prices: the quote says why', async () => {
    assert.equal(await offeredChoice(base, undefined), base)
    assert.equal(await offeredChoice(base, { asks: () => Promise.reject(new Error('unreachable')) }), base)
  })
})
