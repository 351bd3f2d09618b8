import assert from 'node:assert/strict'
import {
  chooseImage,
  choiceForOffers,
  importScan,
  missingRequirements,
  orNotOffered,
  type ImageChoice
} from '@pekka/node/scan'
import { PekkaError, asPekkaError } from '@pekka/node/protocol'
import { tables } from './tables.js'

describe('scan: the environment that machines offer', () => {
  const choose = (source: string, image?: string): ImageChoice =>
    chooseImage(importScan([{ id: 'a.py', source }]), tables, { image })
  const forOffers = (source: string, offered: string[], image?: string): Promise<ImageChoice> =>
    choiceForOffers(
      choose(source, image),
      () => Promise.resolve(offered),
      async other => choose(source, other)
    )
  const CHEMISTRY = 'import numpy, tblite\nfrom rdkit import Chem'

  it('is base with what the code needs added, where nobody offers another', async () => {
    const choice = await forOffers(CHEMISTRY, ['base', 'rendering'])
    assert.deepEqual([choice.image, choice.label, choice.byUser], ['base', 'base', false])
    assert.deepEqual(choice.reasons, ['No machine offers chemistry.'])
    assert.equal(choice.notes[0], 'No machine offers chemistry now: tblite and rdkit are added to base for this run.')
    assert.deepEqual(missingRequirements(choice).sort(), ['rdkit', 'tblite'])
  })

  it('stays where a machine offers it, where nobody offers base, and where somebody chose it', async () => {
    for (const [offered, image] of [
      [['base', 'chemistry'], undefined],
      [['rendering'], undefined],
      [['base'], 'chemistry']
    ] as const)
      assert.equal((await forOffers(CHEMISTRY, [...offered], image)).image, 'chemistry')
    // Nobody is asked where base will do.
    const base = choose('import numpy')
    assert.equal(await choiceForOffers(base, assert.fail, assert.fail), base)
  })

  it('ends with what to build where the packages are too large to be added', async () => {
    const choice = await forOffers('import torch', ['base'])
    const error = asPekkaError(orNotOffered(new PekkaError('LAYER_TOO_LARGE', { size: 1, max: 1 }), choice))
    assert.equal(error.code, 'IMAGE_NOT_OFFERED')
    assert.match(error.message, /machine-learning, which this code needs \(torch\)/)
    const conflict = new PekkaError('LAYER_CONFLICT', { issue: 'x' })
    assert.equal(orNotOffered(conflict, choice), conflict)
    const own = new PekkaError('LAYERS_OFF')
    assert.equal(orNotOffered(own, choose('import dynesty')), own)
  })
})
