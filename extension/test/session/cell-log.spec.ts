import assert from 'node:assert/strict'
import type { TaskEvent } from '@pekka/node/protocol'
import type { TaskPhase, TaskUpdate } from '@pekka/node/client'
import { CellLog, cellPhase } from '../../src/session/cell-log.js'

const provider = new Uint8Array(32)
const RUNNING: TaskPhase = { phase: 'running', provider, attempt: 1 }
const LOST: TaskPhase = { phase: 'refunded', reason: 'provider-lost' }
const usage = { wallMs: 1, cpuMs: 1, maxMemoryBytes: 1, outputBytes: 1 }
const says = (text: string): TaskEvent => ({ type: 'stream', cell: 'a', name: 'stdout', text, t: 0 })
const end = (index: number): TaskEvent => ({
  type: 'session-cell-end',
  index,
  outcome: 'ok',
  reason: 'completed',
  detail: {},
  exitCode: 0,
  usage,
  t: 1
})

/** @param cells that have ended, as the ledger says */
function watched(cells: number | null = null) {
  let phase = RUNNING
  const view = { attempts: [{ provider, session: { cells } }], transactions: [] }
  const item = cells === null ? null : ({ view } as unknown as TaskUpdate['item']) // as much as is used
  const session = (): TaskUpdate => ({ phase, item, finished: null })
  const timers: (() => void)[] = []
  const log = new CellLog({
    session,
    open: () => assert.fail('nothing is opened'),
    index: 1,
    later: then => void timers.push(then)
  })
  const heard: string[] = []
  const watch = () =>
    log.follow({
      events: events =>
        void heard.push(...events.map(event => (event.type === 'stream' ? String(event.text) : event.type))),
      update: update => void heard.push(update.phase.phase)
    })
  const move = (next: TaskPhase): void => {
    phase = next
    log.look()
  }
  return { log, heard, watch, move, timers }
}

describe('session: one cell of a machine', () => {
  it('is told from its beginning, whoever comes when, and ends as a task does', async () => {
    const { log, heard, watch } = watched()
    log.take([says('one')])
    const first = watch()
    assert.deepEqual(heard, ['one', 'running'])
    log.take([says('two'), end(1)])
    assert.deepEqual(heard.slice(2), ['two', 'done', 'received'])
    assert.equal((await first.ended).phase.phase, 'received')
    heard.length = 0
    watch()
    assert.deepEqual(heard, ['one', 'two', 'done', 'received'])
  })

  it('hears no more when it is stopped, and nothing twice', () => {
    const { log, heard, watch } = watched()
    const follower = watch()
    log.look()
    assert.deepEqual(heard, ['starting'])
    follower.stop()
    log.take([says('one')])
    assert.deepEqual(heard, ['starting'])
  })

  it('never takes the session’s own end for its own', () => {
    const { log, heard, watch, move } = watched()
    watch()
    log.take([{ type: 'done', outcome: 'ok', reason: 'completed', detail: {}, exitCode: 0, usage, t: 2 }])
    move({ phase: 'settled' })
    assert.deepEqual(heard, ['starting', 'refunded'])
  })

  it('waits for the output of one that had ended before its machine was lost', async () => {
    const { log, heard, watch, move, timers } = watched(2)
    move(LOST)
    const follower = watch()
    assert.deepEqual(heard, ['starting'])
    log.take([says('one')])
    log.take([end(1)])
    assert.deepEqual(heard, ['starting', 'one', 'running', 'done', 'refunded'])
    assert.equal((await follower.ended).phase.phase, 'refunded')
    assert.equal(timers.length, 1)
  })

  it('waits for no output that never came, and not for that of a cell that ran as the machine was lost', () => {
    const never = watched(2)
    never.move(LOST)
    never.watch()
    for (const then of never.timers) then()
    assert.deepEqual(never.heard, ['starting', 'refunded'])
    const cut = watched(1)
    cut.move(LOST)
    cut.watch()
    assert.deepEqual(cut.heard, ['refunded'])
  })

  it('stands where its session and its own output say', () => {
    const at = (phase: TaskPhase, begun: boolean, ended: boolean): string =>
      cellPhase({ phase }, { begun, ended }).phase
    assert.equal(at(RUNNING, false, false), 'starting')
    assert.equal(at(RUNNING, true, false), 'running')
    assert.equal(at(RUNNING, true, true), 'received')
    assert.equal(at({ phase: 'settled' }, true, true), 'settled')
    assert.equal(at({ phase: 'settled' }, false, false), 'refunded')
    assert.equal(at(LOST, true, false), 'refunded')
    assert.equal(at({ phase: 'mismatch' }, true, true), 'mismatch')
    // What the ledger's proof says of the session's end is said of a cell that wasn't run too.
    const refuted = { phase: 'settled', proof: 'refuted' } as const
    const left = cellPhase({ phase: refuted }, { begun: false, ended: false })
    assert.deepEqual(left, { phase: 'refunded', reason: 'stopped', proof: 'refuted' })
    assert.equal(at({ phase: 'stopping', provider }, true, true), 'received')
  })
})
