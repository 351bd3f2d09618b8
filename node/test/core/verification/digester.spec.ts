import assert from 'node:assert/strict'
import { RunDigester } from '@pekka/node/verification'
import { equalBytes, resultRoot, toHex, type EventOf, type TaskEvent } from '@pekka/node/protocol'

const DONE: EventOf<'done'> = {
  type: 'done',
  outcome: 'ok',
  reason: 'completed',
  detail: {},
  exitCode: 0,
  usage: { wallMs: 1, cpuMs: 1, maxMemoryBytes: 0, outputBytes: 0 },
  t: 1
}
const t = 0
const out = (text: string, cell = 'a'): TaskEvent => ({ type: 'stream', cell, name: 'stdout', text, t })
const err = (text: string): TaskEvent => ({ type: 'stream', cell: 'a', name: 'stderr', text, t })
const show = (
  data: Record<string, string>,
  id?: string,
  type: 'display_data' | 'update_display_data' = 'display_data'
) =>
  ({ type, cell: 'a', data, metadata: {}, ...(id !== undefined && { transient: { display_id: id } }), t }) as TaskEvent
const clear = (wait: boolean): TaskEvent => ({ type: 'clear_output', cell: 'a', wait, t })

const key = new Uint8Array(32).fill(7)
function digests(...events: TaskEvent[]) {
  const digester = new RunDigester()
  for (const event of [...events, DONE]) digester.add(event)
  const result = digester.result(DONE)
  return { root: toHex(resultRoot(result)), result, raw: digester.raw(key) }
}
const same = (a: TaskEvent[], b: TaskEvent[]) => assert.equal(digests(...a).root, digests(...b).root)
const differ = (a: TaskEvent[], b: TaskEvent[]) => assert.notEqual(digests(...a).root, digests(...b).root)

describe('result digest, scheme 2', () => {
  it('is of the state a notebook is left in: cleared output and old states of a display leave no trace', () => {
    same([out('1%'), clear(false), out('done')], [out('done')])
    same([out('1%'), clear(true), out('2%'), clear(true), out('done')], [out('done')])
    same(
      [show({ 'text/plain': '0' }, 'x'), show({ 'text/plain': '9' }, 'x', 'update_display_data')],
      [show({ 'text/plain': '9' })]
    )
    differ([out('1%'), clear(true)], [out('')])
  })

  it('does not see how text was cut or lay between displays, but in which stream it was', () => {
    same([out('a'), out('b\n')], [out('ab')])
    same([out('a\n'), show({ 'text/plain': 'x' }), out('b\n')], [show({ 'text/plain': 'x' }), out('a\nb\n')])
    differ([out('a')], [err('a')])
  })

  it('counts of stderr only whether there is any', () => {
    same([err('warning at line 3')], [err('another warning')])
    differ([err('warning')], [out('')])
  })

  it('counts name and text of an error, not its traceback', () => {
    const error = (evalue: string, line: string): TaskEvent => ({
      type: 'error',
      cell: 'a',
      ename: 'ValueError',
      evalue,
      traceback: [line],
      t
    })
    same([error('bad <object at 0x7f12a4b0c1d0>', 'line 1')], [error('bad <object at 0x7f0000000000>', 'line 2')])
    differ([error('bad', '')], [error('worse', '')])
  })

  it('sees another order of displays, another cell, status, outcome', () => {
    const [x, y] = [show({ 'text/plain': 'x' }), show({ 'text/plain': 'y' })]
    differ([x, y], [y, x])
    differ([out('1')], [out('1', 'b')])
    differ(
      [{ type: 'cell-end', cell: 'a', status: 'ok', executionCount: 1, t }],
      [{ type: 'cell-end', cell: 'a', status: 'error', executionCount: 1, t }]
    )
  })

  it('keeps exact digests beside it, which differ where bytes do, and which nobody without the task key can guess', () => {
    const [a, b] = [digests(out('<f at 0x7f12a4b0c1d0>')), digests(out('<f at 0x7f12a4b0c1ff>'))]
    assert.equal(a.root, b.root)
    assert.ok(!equalBytes(a.raw[0]?.digest ?? new Uint8Array(), b.raw[0]?.digest ?? new Uint8Array()))
    const digester = new RunDigester()
    digester.add(out('<f at 0x7f12a4b0c1d0>'))
    digester.result(DONE)
    assert.notDeepEqual(digester.raw(new Uint8Array(32)), a.raw)
    assert.equal(a.result.scheme, 2)
  })

  it('takes nothing more once the digests are taken', () => {
    const digester = new RunDigester()
    assert.throws(() => digester.raw(key))
    digester.result(DONE)
    assert.throws(() => digester.add(out('late')))
  })
})
