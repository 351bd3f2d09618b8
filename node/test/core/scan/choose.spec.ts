import assert from 'node:assert/strict'
import { chooseImage, importScan, type ChoiceOptions, type ImageChoice } from '@pekka/node/scan'
import { SCRIPTS } from './scripts.js'
import { tables } from './tables.js'

const choice = (source: string, options: ChoiceOptions = {}): ImageChoice =>
  chooseImage(importScan([{ id: 'a.py', source }]), tables, options)

describe(`scan: the environment of ${SCRIPTS.length} scripts of all fields`, () => {
  for (const { what, source, image, missing = [] } of SCRIPTS) {
    it(`${image}: ${what}`, () => {
      const found = choice(source)
      if (image.startsWith('?')) {
        assert.equal(found.questions[0]?.module, image.slice(1))
        return
      }
      assert.deepEqual(found.questions, [])
      assert.equal(found.image, image)
      assert.deepEqual(found.missing.map(({ distribution }) => distribution).sort(), missing)
    })
  }
})
