import assert from 'node:assert/strict'
import type { Quote } from '@pekka/node/client'
import type { ImageChoice } from '@pekka/node/scan'
import { addressRows } from '../../src/run/addresses.js'
import { prepare, type Preparing } from '../../src/run/prepare.js'

const quote = {} as Quote // handed on alone
const choice = { missing: [] } as unknown as ImageChoice // as much as is looked at
const digest = new Uint8Array(32).fill(7)

describe('run: what is made ready before anything costs', () => {
  const done: string[] = []
  const told: Preparing[] = []
  const client = {
    addPackages: (_: Quote, names: readonly string[]) => {
      done.push(`add ${names.join()}`)
      return Promise.resolve({ digest } as never) // a layer is its digest here
    },
    fetchInput: (url: string, path: string) => {
      done.push(`fetch ${url}`)
      return Promise.resolve({ url, path } as never) // handed on alone
    }
  }
  const read = (url: string) => ({ url, cell: 'a', line: 1 })
  const addresses = addressRows([read('https://a.org/x.csv'), read('https://b.org/y.csv')], () => 1, false)

  beforeEach(() => {
    done.length = told.length = 0
  })

  it('is nothing where nothing is needed', async () => {
    const ready = await prepare(client, quote, { choice, addresses: [], chosen: new Map() }, part => told.push(part))
    assert.deepEqual([ready, told, done], [{}, [], []])
  })

  it('adds packages first, then fetches what is ticked, and tells each', async () => {
    const chosen = new Map([['address:https://b.org/y.csv', false]])
    const ready = await prepare(client, quote, { choice, add: ['rich'], addresses, chosen }, part => told.push(part))
    assert.deepEqual(told, [
      { kind: 'adding', packages: ['rich'] },
      { kind: 'fetching', hosts: ['a.org'] }
    ])
    assert.deepEqual(done, ['add rich', 'fetch https://a.org/x.csv'])
    assert.deepEqual([ready.layer, ready.inputs?.length], [digest, 1])
  })

  it('fetches nothing where packages can’t be had', async () => {
    const failing = { ...client, addPackages: () => Promise.reject(new Error('no wheel')) }
    const lacking = { choice, add: ['nope'], addresses, chosen: new Map<string, boolean>() }
    await assert.rejects(
      prepare(failing, quote, lacking, part => told.push(part)),
      /no wheel/
    )
    assert.deepEqual(done, [])
  })
})
