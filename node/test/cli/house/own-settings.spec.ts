import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ownBridgeSettings } from '../../../src/cli/house/state/own-settings.js'
import { housePlaces } from '../../../src/cli/house/state/places.js'

describe('bridge.json', () => {
  let home: string
  beforeEach(async () => void (home = await mkdtemp(join(tmpdir(), 'pekka-own-'))))
  afterEach(() => rm(home, { recursive: true }))
  const read = () => ownBridgeSettings(housePlaces(home, {}))

  it('need not be there', async () => assert.deepEqual(await read(), { layers: {}, inputs: {} }))

  it('says which servers may be asked, and how old a release must be', async () => {
    const own = { inputs: { allow: ['*.example.org'] }, layers: { quarantineDays: 3 } }
    await writeFile(join(home, 'bridge.json'), JSON.stringify(own))
    assert.deepEqual(await read(), own)
  })

  it('ends the start where it is not understood, and can set nothing else of the bridge', async () => {
    for (const [text, words] of [
      ['{', /bridge\.json is not understood: it is no JSON/],
      ['{"inputs": 1}', /inputs/],
      ['{"http": {"host": "0.0.0.0"}}', /http/]
    ] as const) {
      await writeFile(join(home, 'bridge.json'), text)
      await assert.rejects(read(), (error: Error) => words.test(`${error.message} ${JSON.stringify(error)}`))
    }
  })
})
