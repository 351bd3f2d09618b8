import assert from 'node:assert/strict'
import { RunDigester, SessionDigester } from '@pekka/node/verification'
import type { Done, TaskEvent } from '@pekka/node/protocol'

const KEY = new Uint8Array(32).fill(3)
const USAGE = { wallMs: 1, cpuMs: 1, maxMemoryBytes: 1, outputBytes: 1 }
const DONE: Done = { type: 'done', outcome: 'ok', reason: 'completed', detail: {}, exitCode: 0, usage: USAGE, t: 1 }

const cell = (id: string, text: string): TaskEvent[] => [
  { type: 'cell-start', cell: id, t: 0 },
  { type: 'stream', cell: id, name: 'stdout', text, t: 0 },
  { type: 'cell-end', cell: id, status: 'ok', executionCount: 1, t: 1 }
]
const end = (index: number, change: Partial<Done> = {}): TaskEvent => ({
  ...DONE,
  ...change,
  type: 'session-cell-end',
  index
})

const fed = (events: TaskEvent[]): SessionDigester => {
  const digester = new SessionDigester()
  for (const event of events) digester.add(event)
  return digester
}

describe('the digests of a session', () => {
  it('are a task’s where there is no session', () => {
    const plain = new RunDigester()
    for (const event of [...cell('a', 'x'), DONE]) plain.add(event)
    const session = fed([...cell('a', 'x'), DONE])
    assert.deepEqual(session.result(DONE), plain.result(DONE))
    assert.deepEqual(session.raw(KEY), plain.raw(KEY))
  })

  it('begin with those of the cells that have ended, whatever follows', () => {
    const first = [...cell('a', 'x'), end(0)]
    const prefix = fed(first).prefix(KEY)
    const running = fed([...first, ...cell('b', 'half')]).prefix(KEY)
    assert.deepEqual(running, prefix)
    const whole = fed([...first, ...cell('b', 'y'), end(1), DONE])
    const result = whole.result(DONE)
    assert.deepEqual(result.cells.slice(0, 1), prefix.result.cells)
    assert.deepEqual(
      result.cells.map(one => one.cell),
      ['a', 'b']
    )
    assert.deepEqual(whole.raw(KEY).slice(0, 1), prefix.raw)
    assert.equal(whole.cells, 2)
  })

  it('keep cells of one name apart, as a notebook’s cell that runs twice', () => {
    const result = fed([...cell('a', 'x'), end(0), ...cell('a', 'y'), end(1), DONE]).result(DONE)
    assert.deepEqual(
      result.cells.map(one => one.cell),
      ['a', 'a']
    )
    assert.notDeepEqual(result.cells[0]?.digest, result.cells[1]?.digest)
  })

  it('have the outcome of the last cell as long as the session goes on', () => {
    const { result } = fed([...cell('a', 'x'), end(0, { outcome: 'user', exitCode: 1 })]).prefix(KEY)
    assert.deepEqual([result.outcome, result.exitCode], ['user', 1])
    assert.deepEqual(fed([]).prefix(KEY).result.cells, [])
  })
})
