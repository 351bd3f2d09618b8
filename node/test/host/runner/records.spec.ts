import { encodeRecord, encodeRun, parseEvent, parseReady, RecordDecoder, RunnerSession } from '@pekka/node/host/runner'
import { PekkaError, type TaskEvent } from '@pekka/node/protocol'
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'

const limits = { wallMs: 1, cpuMs: 1, memoryBytes: 1, diskBytes: 1, outputBytes: 1, cellTextBytes: 1 }
const usage = { wallMs: 0, cpuMs: 0, maxMemoryBytes: 0, outputBytes: 0 }
const ready = { type: 'ready', v: 1, runner: '1', python: '3.11.2', preloaded: [], bootMs: 1, t: 0 }
const done = { type: 'done', outcome: 'ok', reason: 'completed', detail: {}, exitCode: 0, usage, t: 9 }
const shown = { type: 'display_data', cell: 'a', data: {}, metadata: {}, t: 1 }

const parse = (header: Record<string, unknown>, payload: Uint8Array = new Uint8Array()) =>
  parseEvent({ header, payload })
const code = (expected: string) => (error: unknown) => error instanceof PekkaError && error.code === expected

describe('runner: what records say', () => {
  it('puts large values of a display back into its data', () => {
    const payload = Buffer.from('<b>ä</b>[1,{"x":2}]')
    const parts = [
      { mime: 'text/html', bytes: 9, json: false },
      { mime: 'application/json', bytes: 11, json: true }
    ]
    const event = parse({ ...shown, data: { 'text/plain': 'p' }, parts, transient: { display_id: 'd' } }, payload)
    assert.deepEqual(event, {
      ...shown,
      data: { 'text/plain': 'p', 'text/html': '<b>ä</b>', 'application/json': [1, { x: 2 }] },
      transient: { display_id: 'd' }
    })
  })

  it('gives the bytes of a script as bytes and the text of a cell as text', () => {
    assert.deepEqual(parse({ type: 'stream', cell: null, name: 'stdout', t: 1 }, new Uint8Array([255, 0])), {
      type: 'stream',
      cell: null,
      name: 'stdout',
      text: new Uint8Array([255, 0]),
      t: 1
    })
    const text = { type: 'stream', cell: 'a', name: 'stderr', text: '\r', t: 1 }
    assert.deepEqual(parse(text), text)
  })

  it('refuses unknown types, wrong shapes and payloads that do not fit', () => {
    const bad: [Record<string, unknown>, Uint8Array?][] = [
      [{ type: 'bye', t: 1 }],
      [{ type: 'cell-start', cell: '', t: 1 }],
      [{ type: 'cell-start', cell: 'a' }],
      [{ type: 'cell-end', cell: 'a', status: 'fine', executionCount: 1, t: 1 }],
      [{ type: 'clear_output', cell: 'a', wait: true, t: 1 }, new Uint8Array(1)],
      [{ type: 'clear_output', cell: 'a', wait: true, t: 1, data: {} }],
      [{ type: 'stream', cell: null, name: 'stdout', text: 'x', t: 1 }],
      [{ type: 'stream', cell: 'a', name: 'stdin', text: 'x', t: 1 }],
      [{ type: 'stream', cell: 'a', name: 'stdout', t: 1 }, new Uint8Array(1)],
      [{ ...shown, data: [] }],
      [{ ...shown, data: { ['x'.repeat(257)]: 1 } }],
      [shown, new Uint8Array(1)],
      [{ ...shown, parts: [{ mime: 'a/b', bytes: 2, json: false }] }, new Uint8Array(1)],
      [{ ...shown, parts: [{ mime: 'a/b', bytes: 1, json: true }] }, Buffer.from('{')],
      [{ ...shown, parts: [{ mime: 'a/b', bytes: 1, json: false }] }, new Uint8Array([255])],
      [{ ...shown, parts: [{ mime: 'a/b', bytes: -1, json: false }] }],
      [{ ...done, outcome: 'fine' }],
      [{ ...done, exitCode: 1.5 }],
      [{ ...done, detail: { deep: {} } }]
    ]
    for (const [header, payload] of bad)
      assert.throws(() => parse(header, payload), code('RUNNER_PROTOCOL'), JSON.stringify(header))
    assert.throws(() => parseReady({ header: { ...ready, v: 2 }, payload: new Uint8Array() }), code('RUNNER_PROTOCOL'))
  })

  it('a mime type named __proto__ stays a value', () => {
    const event = parse({ ...shown, parts: [{ mime: '__proto__', bytes: 2, json: true }] }, Buffer.from('{}'))
    assert.ok(event.type === 'display_data')
    assert.deepEqual(Object.keys(event.data), ['__proto__'])
  })

  it('refuses limits that are none', () => {
    assert.throws(() =>
      encodeRun({ kind: 'cells', cells: [], limits: { ...limits, wallMs: 0 }, seed: null, stopOnError: true })
    )
  })
})

describe('runner: session', () => {
  const command = {
    kind: 'cells' as const,
    cells: ['a', 'b', 'c'].map(id => ({ id, source: id, tags: [] })),
    limits,
    seed: null,
    stopOnError: true
  }

  /** A session over streams that the test holds the other ends of. */
  const open = () => {
    const stdin = new PassThrough()
    const stdout = new PassThrough()
    return { stdin, stdout, session: new RunnerSession({ stdin, stdout }) }
  }

  const collect = async (events: AsyncIterable<TaskEvent>) => {
    const seen: TaskEvent[] = []
    for await (const event of events) seen.push(event)
    return seen
  }

  it('sends the run once the runner is ready, and yields events up to done', async () => {
    const { stdin, stdout, session } = open()
    const seen = collect(session.run(command))
    stdout.write(encodeRecord(ready))
    stdout.write(
      Buffer.concat([encodeRecord({ type: 'cell-start', cell: 'a', t: 1 }), encodeRecord(done), encodeRecord({})])
    )
    assert.deepEqual(await seen, [{ type: 'cell-start', cell: 'a', t: 1 }, done])
    const [sent] = [...new RecordDecoder().push(stdin.read() as Buffer)]
    assert.equal(sent?.header['op'], 'run')
    assert.deepEqual(JSON.parse(Buffer.from(sent?.payload ?? []).toString()), command.cells)
    await assert.rejects(collect(session.run(command)), code('TASK_STATE'))
  })

  it('closes what is open when the runner vanishes in the middle of a record', async () => {
    const { stdout, session } = open()
    const seen = collect(session.run(command))
    const end = { type: 'cell-end', cell: 'a', status: 'ok', executionCount: 1, t: 3 }
    const text = { type: 'stream', cell: 'b', name: 'stdout', text: 'hi', t: 5 }
    for (const header of [
      ready,
      { type: 'cell-start', cell: 'a', t: 1 },
      end,
      { type: 'cell-start', cell: 'b', t: 4 },
      text
    ]) {
      stdout.write(encodeRecord(header))
    }
    stdout.end(encodeRecord(done).subarray(0, 20))
    const events = await seen
    assert.deepEqual(events.slice(4, 6), [
      { type: 'cell-end', cell: 'b', status: 'error', executionCount: null, t: 5 },
      { type: 'cell-end', cell: 'c', status: 'not-run', executionCount: null, t: 5 }
    ])
    const last = events.at(-1)
    assert.ok(last?.type === 'done')
    assert.deepEqual(
      [last.reason, last.detail['cell'], last.usage.wallMs, last.usage.outputBytes],
      ['runner-lost', 'b', 5, 2]
    )
  })

  it('throws, and does not wait, when the runner sends something else', async () => {
    for (const bytes of [Buffer.from('Hello, world'), encodeRecord({ type: 'odd' }), encodeRecord(ready)]) {
      const { stdout, session } = open()
      stdout.write(encodeRecord(ready))
      stdout.write(bytes)
      await assert.rejects(collect(session.run(command)), code('RUNNER_PROTOCOL'))
    }
  })

  it('reports a runner that never gets ready', async () => {
    const ended = open()
    ended.stdout.end()
    await assert.rejects(ended.session.ready(), code('RUNNER_LOST'))
    const failed = open()
    failed.stdout.write(
      encodeRecord({ ...done, outcome: 'stopped', reason: 'runner-error', detail: { message: 'no kernel' } })
    )
    await assert.rejects(failed.session.ready(), code('RUNNER_LOST'))
    const silent = open()
    const controller = new AbortController()
    const waiting = silent.session.ready(controller.signal)
    controller.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
    silent.stdout.write(encodeRecord(ready))
    assert.equal((await silent.session.ready()).python, '3.11.2')
  })

  it('reads no faster than events are taken', async () => {
    const { stdout, session } = open()
    stdout.write(encodeRecord(ready))
    let written = 0
    const text = encodeRecord({ type: 'stream', cell: 'a', name: 'stdout', text: 'x'.repeat(1 << 16), t: 1 })
    const events = session.run(command)
    await session.ready()
    while (stdout.write(text)) written++
    const first = events.next()
    await first
    for (let turn = 0; turn < 20; turn++) await new Promise(next => setImmediate(next))
    while (!stdout.writableNeedDrain && written < 1000) {
      stdout.write(text)
      written++
      await new Promise(next => setImmediate(next))
    }
    assert.ok(written < 20, `${written} records were taken in though nobody wanted them`)
  })
})
