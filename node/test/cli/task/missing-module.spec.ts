import assert from 'node:assert/strict'
import type { TaskEvent } from '@pekka/node/protocol'
import { loadTables } from '../../../src/cli/task/environment.js'
import { MissingModule, offerOf } from '../../../src/cli/task/missing-module.js'

const stderr = (text: string | Uint8Array): TaskEvent => ({ type: 'stream', cell: null, name: 'stderr', text, t: 0 })
const error = (ename: string, evalue: string): TaskEvent => ({
  ...{ type: 'error', cell: 'a', ename, evalue, traceback: [], t: 0 }
})
const named = (...events: TaskEvent[]): string | null => {
  const missing = new MissingModule()
  for (const event of events) missing.add(event)
  return missing.name
}

describe('a run that ended without a module', () => {
  it('is known by a cell’s error, and by the last line of a script’s traceback, however it was cut', () => {
    assert.equal(named(error('ModuleNotFoundError', "No module named 'humanize'")), 'humanize')
    const text =
      'Traceback (most recent call last):\n  File "a.py"\nModuleNotFoundError: No module named \'google.cloud\'\n'
    const bytes = new TextEncoder().encode(text)
    assert.equal(named(stderr(bytes.subarray(0, 70)), stderr(bytes.subarray(70))), 'google.cloud')
  })

  it('is none that caught the error, went on, or was ended by another', () => {
    assert.equal(named(stderr("ModuleNotFoundError: No module named 'x'\n"), stderr('goes on\n')), null)
    assert.equal(named(error('ModuleNotFoundError', "No module named 'x'"), error('ValueError', 'y')), null)
    assert.equal(named(stderr("KeyError: ModuleNotFoundError: No module named 'x'\n")), null)
    assert.equal(named(stderr("ModuleNotFoundError: No module named 'x; rm -rf'\n")), null)
  })

  it('is told what to type, with a package that a table knows and never one that is guessed', async () => {
    const tables = await loadTables()
    const offer = (module: string): string => offerOf(module, { image: 'base', file: 'a.py' }, tables)
    assert.equal(
      offer('rdkit.Chem'),
      'rdkit isn’t in base; chemistry has it. Add it and run again: pekka run --with rdkit a.py'
    )
    assert.match(offer('Bio'), /; biology has it\. Add it and run again: pekka run --with Bio=biopython a\.py$/)
    assert.match(offer('fitz'), /isn’t in base\. Add it and run again: pekka run --with fitz=\w+ a\.py$/)
    assert.match(offer('nobody_knows'), /isn’t known\. If you know it: pekka run --with nobody_knows=PACKAGE a\.py$/)
  })
})
