import assert from 'node:assert/strict'
import { PekkaError } from '@pekka/node/protocol'
import { lineOf, type LineContext, type LineView } from '../../src/line/view.js'
import type { CellRun } from '../../src/run/cell-run.js'
import type { TaskSnapshot } from '../../src/run/snapshot.js'
import { HOUR_14_06, ended, snapshot } from '../run/snapshots.js'

const context = (part: Partial<LineContext> = {}): LineContext => ({
  now: HOUR_14_06 + 12_000,
  number: 5,
  connection: { status: 'connected', seenAt: HOUR_14_06 },
  clock: ms => new Date(ms).toISOString().slice(11, 16),
  ...part
})

/** The line needs a task's snapshot only. */
const run = (part: Partial<TaskSnapshot>, more: Partial<Extract<CellRun, { kind: 'task' }>> = {}): CellRun => ({
  kind: 'task',
  task: {} as never,
  snapshot: snapshot(part),
  cell: 'c5',
  edited: false,
  elsewhere: false,
  fetching: false,
  ...more
})
const view = (part: Partial<TaskSnapshot>, more = {}, at = {}): LineView => lineOf(run(part, more), context(at))
const shown = ({ word, facts, actions }: LineView): string =>
  [word, facts.join(' · '), actions.map(({ label }) => label).join(', ')].join(' | ')

describe('line: words of every state', () => {
  const rows: [string, Partial<TaskSnapshot>, string][] = [
    [
      'waiting',
      { phase: { phase: 'waiting', since: HOUR_14_06 } },
      'Waiting for a machine | 12 s · nothing charged | Cancel'
    ],
    ['starting', { phase: { phase: 'starting', provider: new Uint8Array(32) } }, 'Starting on birch-2 | base | Cancel'],
    ['running', {}, 'Running on birch-2 | 12 s · about 0.03 credits · base | Cancel'],
    ['cancelling', { cancelling: true }, 'Cancelling | output so far is kept · you pay for 12 s | '],
    [
      'received',
      { ...ended('completed', 'ok'), phase: { phase: 'received' } },
      'Done | 41 s · 0.074 credits · birch-2 · base · payment under way | '
    ],
    [
      'settled',
      ended('completed', 'ok'),
      'Done, not re-run | 41 s · 0.074 credits · birch-2 · base · as the bridge says | Receipt'
    ],
    [
      'settled, shown by the ledger’s proof',
      { ...ended('completed', 'ok'), phase: { phase: 'settled', proof: 'proven' } },
      'Done, not re-run | 41 s · 0.074 credits · birch-2 · base · settled | Receipt'
    ],
    [
      'a bridge that told another end than the ledger',
      { ...ended('completed', 'ok'), phase: { phase: 'settled', proof: 'refuted' } },
      'The ledger says something else | don’t rely on this bridge | Receipt'
    ],
    [
      'code stopped',
      { ...ended('exception', 'user'), error: 'KeyError' },
      'Your code stopped: KeyError | 41 s · 0.074 credits · birch-2 · base | Run again, Receipt'
    ],
    [
      'out of memory',
      ended('out-of-memory', 'limit', { memoryBytes: 4 * 2 ** 30 }),
      'Out of memory | asked 4 GB · needed more at 41 s · 0.074 credits | Run again with 8 GB, Receipt'
    ],
    [
      'cancelled',
      ended('cancelled', 'stopped'),
      'Cancelled by you | 41 s · 0.074 credits · output so far is kept | Run again, Receipt'
    ],
    [
      'lost contact',
      { phase: { phase: 'starting', provider: new Uint8Array(32) }, provider: 'cedar-4', lost: 'birch-2', attempt: 2 },
      'birch-2 lost contact, trying cedar-4 | try 2 of 2 · nothing charged so far | Cancel'
    ],
    [
      'not finished',
      { phase: { phase: 'refunded', reason: 'no-provider' }, refunded: 500_000n },
      'Not finished, 0.500 credits came back | no machine took it · 0 charged · as the bridge says | Run again'
    ],
    [
      'not finished, as the ledger’s proof says',
      { phase: { phase: 'refunded', reason: 'no-provider', proof: 'proven' }, refunded: 500_000n },
      'Not finished, 0.500 credits came back | no machine took it · 0 charged · settled | Run again'
    ],
    [
      'cancelled for nothing, as the bridge alone says',
      { phase: { phase: 'refunded', reason: 'cancelled' }, refunded: 500_000n },
      'Cancelled by you | nothing charged · 0.500 credits came back · as the bridge says | Run again'
    ],
    [
      'a bridge that told of a refund that the ledger doesn’t have',
      { phase: { phase: 'refunded', reason: 'cancelled', proof: 'refuted' }, refunded: 500_000n },
      'The ledger says something else | don’t rely on this bridge | '
    ],
    [
      'a cell of a kept machine whose loss the bridge made up',
      { kept: 1, phase: { phase: 'refunded', reason: 'provider-lost', proof: 'refuted' } },
      'The ledger says something else | don’t rely on this bridge | '
    ],
    [
      'refused',
      { phase: { phase: 'refused', code: 'FUNDS_MISSING' } },
      'Not started | you have too few credits · nothing charged | Run again'
    ],
    [
      'mismatch',
      { phase: { phase: 'mismatch' } },
      'Output and signature don’t agree | don’t use this result | Run again'
    ]
  ]
  for (const [name, part, expected] of rows)
    it(name, () => {
      assert.equal(shown(view(part)), expected)
    })

  it('never says that a result was checked', () => {
    for (const [, part] of rows) assert.doesNotMatch(JSON.stringify(view(part)), /checked|verified|trusted|guarantee/i)
  })
})

describe('line: what else it tells', () => {
  it('offline it tells when it was last seen, never a live number', () => {
    const line = view({}, {}, { connection: { status: 'off', seenAt: HOUR_14_06 } })
    assert.equal(
      shown(line),
      'Not connected | running when last seen, 14:06 · at most 0.50 credits · output catches up | Try now, Cancel'
    )
    assert.equal(line.ticking, false)
  })

  it('offline the cells of a batch that have ended still say how', () => {
    const cells = ['a', 'b']
    const progress = new Map([
      ['a', { status: 'ok' as const, ms: 1200 }],
      ['b', { status: 'running' as const, since: 0 }]
    ])
    const off = { connection: { status: 'off' as const, seenAt: HOUR_14_06 } }
    const words = cells.map(cell => view({ cells, progress }, { cell }, off).word)
    assert.deepEqual(words, ['Done', 'Not connected'])
  })

  it('offline a cancel is remembered', () => {
    const line = view({ cancelling: true }, {}, { connection: { status: 'off', seenAt: HOUR_14_06 } })
    assert.match(shown(line), /will cancel when connected/)
  })

  it('an edited cell shows that its result is from before', () => {
    assert.match(
      shown(view(ended('completed', 'ok'), { edited: true })),
      /^Result of an earlier version of this cell \| cell edited since/
    )
  })

  it('an end that is known before its output is here is not called done', () => {
    assert.equal(view(ended('completed', 'ok'), { fetching: true }).word, 'Fetching the output')
  })

  it('of several cells each tells its own', () => {
    const cells = ['c5', 'c6', 'c7']
    const progress = new Map([
      ['c5', { status: 'ok' as const, ms: 1500 }],
      ['c6', { status: 'running' as const, since: HOUR_14_06 + 2_000 }]
    ])
    const words = cells.map(cell => view({ cells, progress }, { cell }).word)
    assert.deepEqual(words, ['Done', 'Running on birch-2', 'Waiting for the cells above'])
  })

  it('a cell below one that stopped was not run', () => {
    const cells = ['c5', 'c6']
    const progress = new Map([
      ['c5', { status: 'error' as const, ms: 10 }],
      ['c6', { status: 'not-run' as const, ms: null }]
    ])
    const part = { ...ended('exception', 'user'), error: 'ValueError', cells, progress }
    assert.equal(view(part).word, 'Your code stopped: ValueError')
    assert.equal(view(part, { cell: 'c6' }).word, 'Not run')
  })

  it('names the files that came back, and offers to save them while they can be fetched', () => {
    const files = [
      { name: 'out.csv', size: 12_300, stays: false },
      { name: 'huge.bin', size: 3_000_000_000, stays: true }
    ]
    const line = view({ ...ended('completed', 'ok'), files, moreFiles: 3, canFetch: true })
    assert.deepEqual(line.notes, [
      '5 files · 3.0 GB: out.csv (12 kB), huge.bin (3.0 GB, too large to come back) and 3 more'
    ])
    assert.ok(line.actions.some(({ id }) => id === 'files'))
    const gone = view({ ...ended('completed', 'ok'), files, saved: '1 file · 12 kB saved in pekka-results/7c1e' })
    assert.ok(!gone.actions.some(({ id }) => id === 'files'))
    assert.equal(gone.notes[1], '1 file · 12 kB saved in pekka-results/7c1e')
  })

  it('speaks failures and money at once, the rest in a pause, and never seconds', () => {
    assert.equal(view(ended('exception', 'user')).spoken?.assertive, true)
    assert.equal(view({}).spoken?.assertive, false)
    const later = lineOf(run({}), context({ now: HOUR_14_06 + 99_000 }))
    assert.deepEqual(later.spoken, view({}).spoken)
    assert.equal(later.key, view({}).key)
  })

  it('what could not be sent says why and what to do', () => {
    const failed = (error: PekkaError): string => shown(lineOf({ kind: 'failed', error, cells: ['c5'] }, context()))
    assert.equal(
      failed(new PekkaError('NO_MATCH')),
      'No machine matches | nothing charged | Wait for one, See why, Change'
    )
    assert.match(failed(new PekkaError('NOT_CONNECTED')), /^Not sent: not connected/)
    assert.match(
      failed(new PekkaError('FUNDS_MISSING', { have: 20_000n, need: 500_000n })),
      /^Not sent \| You have 0\.02 credits, this needs 0\.50 credits/
    )
  })

  it('a reopened notebook tells what it remembers', () => {
    const metadata = {
      v: 1 as const,
      task: 'ab'.repeat(32),
      bridge: 'auto',
      owner: 'x',
      state: 'settled' as const,
      provider: 'alder-17',
      wallMs: 41_000,
      price: '73000'
    }
    const line = lineOf({ kind: 'remembered', metadata, edited: false, unknown: false, writer: null }, context())
    assert.equal(shown(line), 'Done, not re-run | 41 s · 0.073 credits · alder-17 · as the bridge says | Receipt')
    const foreign = (writer: 'here' | 'gone' | null) =>
      shown(
        lineOf(
          { kind: 'remembered', metadata: { ...metadata, state: 'running' }, edited: false, unknown: true, writer },
          context()
        )
      )
    const fetched = 'its output comes when the notebook is opened there: this browser’s key can’t fetch it'
    assert.equal(foreign(null), `Sent from another browser | ${fetched} | Run again`)
    assert.equal(foreign('gone'), `Sent from another browser | ${fetched} | Run again`)
    assert.equal(
      foreign('here'),
      'Running from another browser | its page writes the output here · it can be cancelled there | '
    )
  })
})
