import assert from 'node:assert/strict'
import { readNotebook } from '../../../src/cli/task/notebook.js'
import { NotebookRecorder } from '../../../src/cli/task/recorder.js'
import type { TaskEvent } from '@pekka/node/protocol'

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const code = (source: string | string[], more: object = {}) => ({
  cell_type: 'code',
  source,
  metadata: {},
  outputs: [],
  execution_count: null,
  ...more
})
const notebook = (cells: object[], more: object = {}) => ({
  nbformat: 4,
  nbformat_minor: 5,
  metadata: {},
  cells,
  ...more
})

describe('reading a notebook', () => {
  it('takes code cells in order with ids and tags, and leaves markdown and empty cells out', () => {
    const { program } = readNotebook(
      bytes(
        notebook([
          { cell_type: 'markdown', source: '# hi', metadata: {} },
          code(['a = 1\n', 'a'], { id: 'one', metadata: { tags: ['raises-exception'] } }),
          code('   \n'),
          code('b')
        ])
      ),
      'n.ipynb'
    )
    assert.deepEqual(program.kind === 'cells' && program.cells, [
      { id: 'one', source: 'a = 1\na', tags: ['raises-exception'] },
      { id: 'cell-4', source: 'b', tags: [] }
    ])
  })

  const bad: [string, string, Uint8Array][] = [
    ['rubbish', 'INPUT_NOTEBOOK', bytes('{')],
    ['bytes that are no text', 'INPUT_NOTEBOOK', new Uint8Array([0xff, 0xfe, 0x00])],
    ['a list', 'INPUT_NOTEBOOK', bytes([])],
    ['cells of a wrong shape', 'INPUT_NOTEBOOK', bytes(notebook([{ source: 3 }]))],
    ['a notebook of the future', 'INPUT_NOTEBOOK', bytes({ nbformat: 5, cells: [] })],
    ['a notebook without code', 'INPUT_EMPTY', bytes(notebook([{ cell_type: 'markdown', source: 'x' }]))],
    [
      'an R notebook',
      'INPUT_NOT_PYTHON',
      bytes(notebook([code('1')], { metadata: { kernelspec: { language: 'R' } } }))
    ],
    ['too much code', 'INPUT_TOO_LARGE', bytes(notebook([code('x'.repeat(17 << 20))]))]
  ]
  for (const [what, code, input] of bad) {
    it(`refuses ${what} with ${code}`, () => assert.throws(() => readNotebook(input, 'n.ipynb'), { code }))
  }

  it('names the command that converts an old notebook', () => {
    assert.throws(
      () => readNotebook(bytes({ nbformat: 3, worksheets: [] }), 'old.ipynb'),
      (error: unknown) =>
        error instanceof Error &&
        'advice' in error &&
        String(error.advice).includes('jupyter nbconvert --to notebook --nbformat 4 "old.ipynb"')
    )
  })
})

describe('recording an executed notebook', () => {
  const original = readNotebook(bytes(notebook([code('x', { id: 'a' }), code('y', { id: 'b' })])), 'n').notebook
  const record = (events: TaskEvent[]) => {
    const recorder = new NotebookRecorder({ now: () => 1000 })
    recorder.reset()
    for (const event of events) recorder.add(event)
    return JSON.parse(JSON.stringify(recorder.notebook(original))).cells
  }
  const stream = (text: string, t = 0): TaskEvent => ({ type: 'stream', cell: 'a', name: 'stdout', text, t })

  it('joins stream text, counts, and keeps the times', () => {
    const [a, b] = record([
      { type: 'cell-start', cell: 'a', t: 5 },
      stream('1\n'),
      stream('2\n'),
      { type: 'execute_result', cell: 'a', data: { 'text/plain': '3' }, metadata: {}, executionCount: 1, t: 8 },
      { type: 'cell-end', cell: 'a', status: 'ok', executionCount: 1, t: 9 }
    ])
    assert.deepEqual(a.outputs, [
      { output_type: 'stream', name: 'stdout', text: '1\n2\n' },
      { output_type: 'execute_result', data: { 'text/plain': '3' }, metadata: {}, execution_count: 1 }
    ])
    assert.equal(a.execution_count, 1)
    assert.deepEqual(a.metadata.execution, {
      'iopub.execute_input': '1970-01-01T00:00:01.005Z',
      'shell.execute_reply': '1970-01-01T00:00:01.009Z'
    })
    assert.deepEqual(b.outputs, [])
  })

  it('updates displays by their id and clears as the kernel asked', () => {
    const display = (type: 'display_data' | 'update_display_data', text: string): TaskEvent => ({
      type,
      cell: 'a',
      data: { 'text/plain': text },
      metadata: {},
      transient: { display_id: 'bar' },
      t: 0
    })
    const [a] = record([display('display_data', '0 %'), display('update_display_data', '100 %')])
    assert.deepEqual(a.outputs, [{ output_type: 'display_data', data: { 'text/plain': '100 %' }, metadata: {} }])
    const [cleared] = record([stream('old'), { type: 'clear_output', cell: 'a', wait: true, t: 1 }])
    assert.equal(cleared.outputs.length, 1)
    const [replaced] = record([stream('old'), { type: 'clear_output', cell: 'a', wait: true, t: 1 }, stream('new')])
    assert.deepEqual(
      replaced.outputs.map((o: { text: string }) => o.text),
      ['new']
    )
  })
})
