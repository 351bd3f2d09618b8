import assert from 'node:assert/strict'
import type { Quote } from '@pekka/node/client'
import type { ImageChoice } from '@pekka/node/scan'
import { addressRows } from '../../src/run/addresses.js'
import { prepare, type Preparing } from '../../src/run/prepare.js'
import { keptSentences, lackSentences } from '../../src/scan/index.js'

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

  it('adds another version that the code itself asks for, and not what a file asks for', async () => {
    const one = { ...{ specifier: '==1.5.3', extras: [], optional: false }, ...{ have: '2.3.3', elsewhere: null } }
    const missing = [
      { ...one, module: 'pandas', distribution: 'pandas', source: 'install' as const },
      { ...one, module: 'numpy', distribution: 'numpy', source: 'requirements' as const }
    ]
    await prepare(client, quote, { choice: { ...choice, missing }, addresses: [], chosen: new Map() }, () => undefined)
    assert.deepEqual(done, ['add pandas==1.5.3'])
    assert.deepEqual(lackSentences({ image: 'base', missing }), [
      'pandas==1.5.3 is added instead of 2.3.3, which base has.',
      'numpy==1.5.3 is asked for; base has 2.3.3.'
    ])
    assert.deepEqual(keptSentences({ image: 'base', missing }), [
      'pandas==1.5.3 isn’t in base. A kept machine has what was added when it began.',
      'numpy==1.5.3 is asked for; base has 2.3.3.'
    ])
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
