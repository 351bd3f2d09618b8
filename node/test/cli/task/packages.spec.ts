import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PekkaClient, Quote } from '@pekka/node/client'
import { isPekkaError } from '@pekka/node/protocol'
import type { CliContext } from '../../../src/cli/context.js'
import { addPackages, namesIn } from '../../../src/cli/task/packages.js'

describe('pekka run: who learns the names of packages', () => {
  let home: string
  const told: string[] = []
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-packages-'))
    told.length = 0
  })
  afterEach(async () => await rm(home, { recursive: true }))

  const answer = { digest: null, mode: 'on-top', packages: [], present: [], size: 0 }
  const add = async (base: string, requirements: string[], given: string[]): Promise<string> => {
    const client = {
      http: { base },
      addPackages: (_: Quote, names: string[]) => {
        told.push(...names)
        return Promise.resolve(answer)
      }
    }
    const context = { home, json: true, say: () => undefined, signal: new AbortController().signal }
    const quote = () => Promise.resolve({ image: 'base' } as Quote) // as much as is read
    // as much of both as is used; with answers in JSON nobody can be asked
    return await addPackages(context as unknown as CliContext, client as unknown as PekkaClient, quote, requirements, {
      named: namesIn(given)
    }).then(
      () => 'told',
      (error: unknown) => (isPekkaError(error) ? error.code : String(error))
    )
  }

  const AWAY = 'https://bridge.example.org'
  const ROWS: [what: string, base: string, requirements: string[], given: string[], expected: string][] = [
    ['what the user wrote', AWAY, ['humanize'], ['humanize'], 'told'],
    ['what the user wrote with a version', AWAY, ['humanize>=4'], ['Humanize>=4'], 'told'],
    ['an answer', AWAY, ['pyyaml'], ['yaml=PyYAML'], 'told'],
    ['what the code has', AWAY, ['dynesty'], [], 'PACKAGE_MISSING'],
    ['what the code has, beside what the user wrote', AWAY, ['dynesty', 'humanize'], ['humanize'], 'PACKAGE_MISSING'],
    ['any, to a bridge on this computer', 'http://127.0.0.1:8787', ['dynesty'], [], 'told'],
    ['none', AWAY, [], [], 'told']
  ]
  for (const [what, base, requirements, given, expected] of ROWS)
    it(`is ${expected === 'told' ? 'told' : 'asked for'}: ${what}`, async () => {
      assert.equal(await add(base, requirements, given), expected)
      assert.deepEqual(told, expected === 'told' ? requirements : [])
      // Nothing was agreed to for other runs.
      await assert.rejects(readFile(join(home, 'wallet', 'package-names.json')), { code: 'ENOENT' })
    })
})
