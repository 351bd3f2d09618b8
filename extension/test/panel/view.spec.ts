import assert from 'node:assert/strict'
import { balanceWords, connectionWords, endMessage, groupTasks, statusWords } from '../../src/panel/view.js'
import { HOUR_14_06, ended, snapshot } from '../run/snapshots.js'

const options = {
  now: HOUR_14_06 + 12_000,
  offline: false,
  filter: '',
  day: (ms: number) => new Date(ms).toISOString().slice(0, 10)
}
const tasks = [
  snapshot({ task: '01' }),
  snapshot({ task: '02', title: 'scan.ipynb', ...ended('completed', 'ok') }),
  snapshot({
    task: '03',
    title: 'old.ipynb',
    ...ended('exception', 'user'),
    error: 'KeyError',
    submittedAt: HOUR_14_06 - 86_400_000
  })
]

describe('panel: list', () => {
  it('groups what runs now, what was today, and days', () => {
    const groups = groupTasks(tasks, options)
    assert.deepEqual(
      groups.map(({ title, rows }) => [
        title,
        rows.map(({ title: name, figure, state }) => `${name} ${figure} ${state}`)
      ]),
      [
        ['Now', ['fit.ipynb, cell 5 12 s Running on birch-2 · about 0.03 credits']],
        ['Earlier today', ['scan.ipynb 0.074 Done, not re-run · 41 s']],
        ['2025-12-31', ['old.ipynb 0.074 Your code stopped: KeyError · 41 s']]
      ]
    )
  })

  it('filters by name, machine and state', () => {
    const found = (filter: string): string[] =>
      groupTasks(tasks, { ...options, filter }).flatMap(({ rows }) => rows.map(({ id }) => id))
    assert.deepEqual(found('SCAN'), ['02'])
    assert.deepEqual(found('keyerror'), ['03'])
    assert.deepEqual(found('birch'), ['01', '02', '03'])
    assert.deepEqual(found('oak'), [])
  })

  it('offline says how it stood and what it costs at most, and counts on nothing', () => {
    const [now] = groupTasks(tasks, { ...options, offline: true })
    assert.deepEqual(
      now?.rows.map(({ state, figure }) => [state, figure]),
      [['Was running on birch-2 · at most 0.5 credits', '']]
    )
    const [cancelling] = groupTasks([snapshot({ cancelling: true })], { ...options, offline: true })
    assert.equal(cancelling?.rows[0]?.state, 'Will cancel when connected')
  })
})

describe('panel: connection, money, messages', () => {
  const clock = (): string => '14:06'
  it('names the connection and its reason', () => {
    const words = connectionWords({ status: 'connected', address: 'http://localhost:8888/proxy/7420', since: 0 }, clock)
    assert.equal(words.text, 'Connected to the local bridge')
    assert.equal(
      connectionWords({ status: 'unpaired', reason: 'Signed out: the key has expired.' }, clock).help,
      'How to connect'
    )
    assert.equal(
      connectionWords({ status: 'off', reason: '', since: 0, retryAt: null }, clock).text,
      'No connection since 14:06'
    )
  })

  it('sums up what runs in the status bar', () => {
    const connected = { status: 'connected', address: 'http://x', since: 0 } as const
    assert.equal(statusWords(connected, [], 0).text, 'PEKKA')
    assert.equal(statusWords(connected, [snapshot(), snapshot()], options.now).text, '2 tasks · 0.05 credits')
    assert.equal(
      statusWords({ status: 'off', reason: '', since: 0, retryAt: null }, [snapshot()], 0).text,
      'Not connected: tasks go on'
    )
  })

  it('tells balance and hold', () => {
    assert.deepEqual(balanceWords({ balance: 4_218_999n, locked: 500_000n }), {
      free: '4.218 credits',
      held: '0.5 on hold'
    })
    assert.equal(balanceWords({ balance: 1n, locked: 0n }).held, '')
  })

  it('tells the end of a task', () => {
    assert.deepEqual(endMessage(snapshot(ended('completed', 'ok')), 0), {
      text: 'fit.ipynb, cell 5 is done. 41 s, 0.074 credits.',
      failed: false
    })
    assert.equal(endMessage(snapshot({ ...ended('exception', 'user'), error: 'KeyError' }), 0).failed, true)
  })
})
