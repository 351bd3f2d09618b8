import assert from 'node:assert/strict'
import { LabFiles } from '../../src/values/files.js'

/** As JupyterLab's own error: what the server answered stands in it. */
const answered = (status: number): Error => Object.assign(new Error(), { response: new Response(null, { status }) })

const find = async (path: string, error: Error): Promise<string> => {
  const contents = { get: () => Promise.reject(error) }
  const fetchRange = () => Promise.reject(new Error('nothing is read'))
  return (await new LabFiles({ contents, fetchRange }, 'notes/').find(path)).kind
}

describe('values: files of the Jupyter server', () => {
  it('are nowhere where it says so, and not where it fails or would hide them', async () => {
    assert.equal(await find('data.csv', answered(404)), 'none')
    assert.equal(await find('data.csv', answered(500)), 'unknown')
    assert.equal(await find('data.csv', new Error('no connection')), 'unknown')
    assert.equal(await find('.env', answered(404)), 'unknown')
    assert.equal(await find('a/.hidden/data.csv', answered(404)), 'unknown')
    assert.equal(await find('../data.csv', answered(404)), 'other')
  })
})
