import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { SEALING_VECTORS, sealingVectors } from '../../../../scripts/docs/sealing-vectors.js'

describe('docs/vectors/sealing.json', () => {
  it('is what the code makes: keys, bundle, box, frame, chain and commitment of version 1 have not changed', async () => {
    assert.equal(await sealingVectors(), await readFile(SEALING_VECTORS, 'utf8'))
  })
})
