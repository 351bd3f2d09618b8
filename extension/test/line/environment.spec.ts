import assert from 'node:assert/strict'
import { lineOf, type LineContext } from '../../src/line/view.js'
import type { CellRun } from '../../src/run/cell-run.js'
import type { TaskSnapshot } from '../../src/run/snapshot.js'
import { HOUR_14_06, ended, snapshot } from '../run/snapshots.js'

const context: LineContext = {
  now: HOUR_14_06,
  number: 5,
  connection: { status: 'connected', seenAt: HOUR_14_06 },
  clock: ms => new Date(ms).toISOString().slice(11, 16),
  environmentWith: module => (module === 'rdkit' ? 'chemistry' : undefined),
  packageWith: module => (module === 'fitz' ? 'pymupdf' : undefined)
}
const shown = (run: CellRun): string => {
  const { word, facts, actions } = lineOf(run, context)
  return [word, facts.join(' · '), actions.map(({ label }) => label).join(', ')].join(' | ')
}
/** The line needs a task's snapshot only. */
const task = (part: Partial<TaskSnapshot>): CellRun => ({
  ...{ kind: 'task', task: {} as never, snapshot: snapshot(part), cell: 'c5' },
  ...{ edited: false, elsewhere: false, fetching: false }
})

describe('line: environments, packages, caps', () => {
  it('waits for a machine that matches, free, until a time', () => {
    const run: CellRun = { kind: 'waiting', until: HOUR_14_06 + 7_200_000, stop: new AbortController() }
    assert.equal(
      shown(run),
      'Waiting for a machine that matches | until 16:06 · nothing charged · while this page is open | Cancel'
    )
  })

  it('says which packages are being added', () => {
    assert.equal(shown({ kind: 'adding', packages: ['geopandas'] }), 'Adding geopandas | nothing charged | ')
  })

  it('stopped at the cap, it keeps the output and offers to raise it', () => {
    const run = task({ ...ended('wall-limit', 'limit', { atCap: true }), cap: 100_000n })
    assert.equal(
      shown(run),
      'Stopped at your cap of 0.10 credits | output so far is kept · 41 s | Raise to 0.20 and run again, Receipt'
    )
  })

  it('names the environment or the package that has a missing module, and runs again with it', () => {
    const missing = { ...ended('exception', 'user'), error: 'ModuleNotFoundError' }
    assert.match(
      shown(task({ ...missing, missingModule: 'rdkit' })),
      /chemistry has rdkit \| Run again in chemistry, Run again, Receipt$/
    )
    assert.match(shown(task({ ...missing, missingModule: 'nothing_has_it' })), /\| Run again, Receipt$/)
    assert.match(
      shown(task({ ...missing, missingModule: 'fitz' })),
      /the bridge can look pymupdf up \| Add pymupdf and run again, Run again, Receipt$/
    )
    // Where it ran there already, that is no help.
    assert.match(shown(task({ ...missing, missingModule: 'rdkit', image: 'chemistry' })), /\| Run again, Receipt$/)
  })
})
