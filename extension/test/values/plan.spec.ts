import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { HELPER_SOURCE, helperSource } from '../../../scripts/docs/kernel-helper.js'
import {
  EMPTY_PLAN,
  consequences,
  fileRow,
  going,
  stayingFile,
  summary,
  tooMuch,
  valueRow,
  type TravelPlan
} from '../../src/values/plan.js'
import type { SurveyRow } from '../../src/values/helper.js'

const row = (name: string, more: Partial<SurveyRow> = {}): SurveyRow => ({
  ...{ name, by: null, needs: [], codec: 'json', size: 8, kind: 'float, 9.5', type: 'float', reason: null },
  ...{ python: null, secret: false },
  ...more
})
const plan = (...rows: TravelPlan['rows']): TravelPlan => ({ ...EMPTY_PLAN, rows })
const none = new Map<string, boolean>()

describe('values: what travels', () => {
  it('says why, and sends what is small and no secret', () => {
    const cutoff = valueRow(row('cutoff', { by: 'relax' }), undefined, '3.11')
    const mol = valueRow(row('mol'), { name: 'mol', line: 4, madeBy: 2 }, '3.11')
    const token = valueRow(row('api_token', { secret: true }), undefined, '3.11')
    const big = fileRow('big.npy', 1, 1_200_000_000)
    assert.equal(cutoff.why, 'Inside relax')
    assert.equal(mol.why, 'Read in line 4, made by cell 2')
    assert.equal(token.note, 'Looks like a secret')
    assert.equal(big.note, '1.2 GB: about 4 min to send, once')
    const all = plan(cutoff, mol, token, big, fileRow('.env', 2, 10))
    assert.deepEqual(
      going(all, none).map(({ name }) => name),
      ['cutoff', 'mol']
    )
    assert.equal(summary(all, none), '2 values · 16 B')
    assert.equal(summary(all, new Map([['file:big.npy', true]])), '2 values, 1 file · 1.2 GB')
    assert.equal(summary(plan(), none), null)
  })

  it('warns where something that is sent needs what is not', () => {
    const all = plan(
      valueRow(row('cutoff', { by: 'relax' }), undefined, '3.11'),
      valueRow(row('relax'), undefined, '3.11')
    )
    assert.deepEqual(consequences(all, none), [])
    assert.deepEqual(consequences(all, new Map([['value:cutoff', false]])), ['relax will fail without cutoff.'])
    assert.deepEqual(
      consequences(
        all,
        new Map([
          ['value:cutoff', false],
          ['value:relax', false]
        ])
      ),
      []
    )
  })

  it('never sends what cannot travel: another Python, a connection, a file elsewhere', () => {
    const copied = valueRow(row('model', { codec: 'pickle', python: '3.12' }), undefined, '3.11')
    assert.match(copied.cannot ?? '', /only be read by Python 3\.12; the environment has 3\.11/)
    const rows = [
      copied,
      valueRow(row('db', { codec: null, reason: 'Open.' }), undefined, '3.11'),
      stayingFile('../x', 1, 'Outside.')
    ]
    assert.deepEqual(going(plan(...rows), new Map(rows.map(({ id }) => [id, true]))), [])
    assert.equal(valueRow(row('model', { codec: 'pickle', python: '3.11' }), undefined, '3.11').cannot, null)
    // A copy without code is for any.
    const plain = valueRow(row('model', { codec: 'pickle', kind: 'Counter' }), undefined, '3.11')
    assert.deepEqual([plain.cannot, plain.what], [null, 'Counter, as a copy'])
  })

  it('says when it is more than a machine takes', () => {
    const all = plan(fileRow('a', 1, 3_000_000_000))
    assert.equal(tooMuch(all, none), null)
    assert.match(tooMuch(all, new Map([['file:a', true]])) ?? '', /more than a machine takes/)
  })

  it('loads the Python that stands in the repository', async () => {
    assert.equal(await readFile(HELPER_SOURCE, 'utf8'), await helperSource(), 'run: npm run docs:kernel')
  })
})
