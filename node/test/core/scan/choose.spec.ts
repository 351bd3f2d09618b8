import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
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

/** The notebooks that stand for their fields, and the environment of each. */
const EXAMPLES: Record<string, string> = {
  'bit-errors.ipynb': 'telecommunications',
  'conformers.ipynb': 'chemistry',
  'digits.ipynb': 'machine-learning',
  'genes-and-cells.ipynb': 'biology',
  'hello.ipynb': 'base',
  'pendulum-fit.ipynb': 'base',
  'pendulum.py': 'base',
  'scene.ipynb': 'rendering'
}

describe('scan: the environment of the example notebooks', () => {
  const folder = new URL('../../../../notebooks/', import.meta.url)
  const sourcesOf = (name: string): { id: string; source: string }[] => {
    const text = readFileSync(new URL(name, folder), 'utf8')
    if (name.endsWith('.py')) return [{ id: name, source: text }]
    // nbformat 4, as the notebooks of this repository are.
    const { cells } = JSON.parse(text) as { cells: { cell_type: string; source: string | string[] }[] }
    return cells
      .filter(cell => cell.cell_type === 'code')
      .map(({ source }, index) => ({ id: String(index), source: [source].flat().join('') }))
  }

  it('knows all of them', () => {
    const names = readdirSync(folder).filter(name => /\.(ipynb|py)$/.test(name))
    assert.deepEqual(names.sort(), Object.keys(EXAMPLES).sort())
  })

  for (const [name, image] of Object.entries(EXAMPLES)) {
    it(`${name}: ${image}`, () => {
      const found = chooseImage(importScan(sourcesOf(name)), tables)
      assert.deepEqual([found.image, found.questions, found.missing], [image, [], []])
    })
  }
})
