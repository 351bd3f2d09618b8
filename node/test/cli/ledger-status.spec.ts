import assert from 'node:assert/strict'
import type { AgreementStatus } from '../../src/agents/witness/network/index.js'
import { aloneLines, statusLines } from '../../src/cli/commands/ledger-status.js'

const STATUS: AgreementStatus = {
  commit: 8,
  certified: 7,
  epoch: 2,
  round: 31,
  committee: [{ key: 'aa', stake: '1' }],
  writes: true,
  peers: [],
  mempool: 0,
  waiting: 0,
  finalityP50: null,
  finalityP95: null,
  equivocations: 0,
  equivocated: []
}

describe('pekka ledger status', () => {
  it('says of a witness that decides alone how far it is, and that nobody vouches for it', () => {
    const [height, alone] = aloneLines({ alone: true, commit: 12 })
    assert.equal(height, 'height: commit 12')
    assert.match(alone ?? '', /^one witness decides alone: .*nobody else vouches for it/)
  })

  it('names who signed two blocks for a round, and in which', () => {
    const said = (status: AgreementStatus): string[] => statusLines(status).filter(line => line.includes('equivocated'))
    assert.deepEqual(said(STATUS), [])
    const equivocated = [5, 6].map(round => ({ key: 'bb', epoch: 1, round, blocks: ['01', '02'] as [string, string] }))
    assert.deepEqual(
      said({ ...STATUS, equivocations: 2, equivocated }),
      [5, 6].map(round => `witness bb equivocated in round ${round} of epoch 1`)
    )
  })
})
