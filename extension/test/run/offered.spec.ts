import assert from 'node:assert/strict'
import type { ImageChoice } from '@pekka/node/scan'
import { offeredChoice as offeredOf } from '../../src/run/offered.js'

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
  const needed = { ...base, image: 'chemistry', label: 'chemistry (rdkit)', uses: [rdkit] }
  const lacking: ImageChoice = {
    ...{ ...base, byUser: true, reasons: ['Chosen by you.'] },
    missing: [
      {
        ...{ module: 'rdkit', distribution: 'rdkit', specifier: '', extras: [], source: 'image' as const },
        ...{ optional: false, have: null, elsewhere: 'chemistry' }
      }
    ]
  }
  const offeredChoice = (choice: ImageChoice, market: Parameters<typeof offeredOf>[1]) =>
    offeredOf(choice, market, image => (image === 'base' ? Promise.resolve(lacking) : Promise.reject(new Error(image))))
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

  it('is base with what is missing added where nobody offers what the code asks for, as in the shell', async () => {
    const choice = await offeredChoice(needed, offering('base', 'rendering'))
    assert.deepEqual([choice.image, choice.byUser, choice.missing], ['base', false, lacking.missing])
    assert.deepEqual(choice.reasons, ['No machine offers chemistry.'])
    assert.match(choice.notes[0] ?? '', /^No machine offers chemistry now: rdkit is added to base/)
    assert.equal(await offeredChoice(needed, offering('base', 'chemistry')), needed)
  })

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
