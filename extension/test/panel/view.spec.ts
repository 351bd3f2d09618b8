import assert from 'node:assert/strict'
import type { TaskItem } from '@pekka/node/protocol'
import {
  balanceWords,
  connectionWords,
  costWords,
  endMessage,
  groupTasks,
  rowOf,
  statusWords
} from '../../src/panel/view.js'
import { RemoteTask } from '../../src/run/remote-task.js'
import { costOf } from '../../src/run/snapshot.js'
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

  it('says of an end that the ledger refutes nothing of what the bridge said', () => {
    const proof = 'refuted' as const
    for (const phase of [
      { phase: 'settled', proof },
      { phase: 'refunded', reason: 'cancelled', proof }
    ] as const) {
      const { state, tone, icon } = rowOf(snapshot({ ...ended('completed', 'ok'), phase }), options.now, false)
      assert.deepEqual([state, tone, icon], ['The ledger says something else · 41 s', 'bad', 'error'])
    }
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
      [['Was running on birch-2 · at most 0.50 credits', '']]
    )
    const [cancelling] = groupTasks([snapshot({ cancelling: true })], { ...options, offline: true })
    assert.equal(cancelling?.rows[0]?.state, 'Will cancel when connected')
  })
})

describe('panel: a kept machine', () => {
  const now = HOUR_14_06 + 600_000
  const provider = new Uint8Array(32).fill(7)
  const view = {
    offer: {
      candidates: [{ provider, pricePerSecond: 1_000n, holdPricePerSecond: 100n }],
      cap: 10_000_000n,
      image: { name: 'base' },
      session: { idleMs: 600_000, lifeMs: 3_600_000 }
    },
    attempts: [{ provider, acceptedAt: HOUR_14_06, session: { busyMs: 20_000, idleMs: 580_000 }, ended: null }],
    state: 'running',
    paid: 0n,
    refunded: 0n,
    transactions: []
  }

  it('costs its lower price for the time that it waits', () => {
    const task = new RemoteTask({ nameOf: () => 'birch-2', now: () => now }, new Uint8Array(32), HOUR_14_06)
    task.tell({ view, bridge: 'taken', submittedAt: HOUR_14_06 } as unknown as TaskItem) // as much as is used
    const cost = costOf(task.snapshot, now)
    assert.deepEqual(cost, { amount: 20n * 1_000n + 580n * 100n, known: false })
    assert.match(rowOf(task.snapshot, now, false).state, /^Running on birch-2 · about 0\.08 credits$/)
  })

  it('costs what was paid once that is known', () => {
    const paid = snapshot({ ...ended('completed', 'ok'), charged: 1n })
    assert.deepEqual(costOf(paid, now), { amount: 73_800n, known: true })
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

  it('tells what a task costs, a guess in two decimals, a bill in three, of its cap where that is known', () => {
    assert.equal(costWords({ amount: 12_000n, known: false }, 500_000n), 'About 0.02 of at most 0.50 credits')
    assert.equal(costWords({ amount: 12_100n, known: true }, 500_000n), '0.013 of at most 0.50 credits')
    assert.equal(costWords({ amount: 12_000n, known: true }, 0n), '0.012 credits')
  })

  it('tells balance and hold', () => {
    assert.deepEqual(balanceWords({ balance: 4_218_999n, locked: 500_000n }), {
      free: '4.218 credits',
      held: '0.50 on hold'
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
