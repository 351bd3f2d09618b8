import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { statusLines } from '../../../src/cli/commands/ledger-status.js'
import { witnessPlaces } from '../../../src/cli/witness/places.js'
import { startWitness } from '../../../src/cli/witness/start.js'

describe('how much of the history a witness keeps, in commands', () => {
  it('is checked before anything is written', async () => {
    const places = witnessPlaces(join(tmpdir(), 'pekka-nothing'), undefined)
    // It ends before it looks at either.
    const context = {} as Parameters<typeof startWitness>[0]
    for (const keepHistory of ['30', '9999', 'forever', '30m'])
      await assert.rejects(startWitness(context, places, { join: [], announce: [], keepHistory }), {
        code: 'USAGE',
        message: /--keep-history .* 36h, 30d or 8w, or a number of commits from 10000 on/
      })
    assert.ok(!existsSync(places.folder))
  })

  it('is shown by the status, also where a witness does not tell it', () => {
    const status = {
      ...{
        commit: 9,
        certified: 8,
        epoch: 0,
        round: 9,
        committee: [],
        writes: true,
        peers: [],
        mempool: 0,
        waiting: 0
      },
      ...{ finalityP50: null, finalityP95: null, equivocations: 0, equivocated: [] }
    }
    const history = (more: object): string[] =>
      statusLines({ ...status, ...more }).filter(line => /^history/.test(line))
    assert.deepEqual(history({ first: 0, historyBytes: 1_234_567 }), [
      'history: from the first commit on, about 1.2 MB on disk'
    ])
    assert.deepEqual(history({ first: 70, historyBytes: 0 }), ['history: commits from 70 on, about 0.0 MB on disk'])
    assert.deepEqual(history({}), [])
  })
})
