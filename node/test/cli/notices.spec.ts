import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { NOTICES, npmPackages, npmRows } from '../../../scripts/docs/notices.js'

describe('third-party notices', () => {
  it('list every npm package that runs with PEKKA (npm run docs:notices)', async () => {
    const page = await readFile(NOTICES, 'utf8')
    const missing = npmRows(await npmPackages()).filter(row => !page.includes(row))
    assert.deepEqual(missing, [])
  })

  it('name no licence that PEKKA cannot be shipped with', async () => {
    const bad = (await npmPackages()).filter(({ licence }) =>
      /\b(AGPL|GPL-[23]|SSPL|BUSL|UNLICENSED)/.test(licence.replace(/LGPL[^ )]*/g, ''))
    )
    assert.deepEqual(bad, [])
  })
})
