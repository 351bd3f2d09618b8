import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { RecordDecoder, RunnerSession, encodeRecord, type RunCommand } from '@pekka/node/host/runner'
import type { TaskEvent } from '@pekka/node/protocol'

const LIMITS = { wallMs: 1000, cpuMs: 1000, memoryBytes: 1, diskBytes: 1, outputBytes: 1, cellTextBytes: 1 }
const USAGE = { wallMs: 1, cpuMs: 1, maxMemoryBytes: 1, outputBytes: 1 }

const command = (keep: boolean): RunCommand => ({
  kind: 'cells',
  cells: [{ id: 'a', source: '', tags: [] }],
  limits: LIMITS,
  seed: 1,
  stopOnError: true,
  keep
})

/** A runner that answers each run with `done`, and says of it what the test wants. */
function standIn(kept: boolean | undefined): { session: RunnerSession; heard: Record<string, unknown>[] } {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough() }
  const heard: Record<string, unknown>[] = []
  const decoder = new RecordDecoder()
  streams.stdin.on('data', (chunk: Buffer) => {
    for (const { header } of decoder.push(chunk)) {
      heard.push(header)
      if (header['op'] !== 'run') continue
      const end = { outcome: 'ok', reason: 'completed', detail: {}, exitCode: 0, usage: USAGE, t: 1 }
      streams.stdout.write(encodeRecord({ type: 'done', ...end, ...(kept === undefined ? {} : { kept }) }))
    }
  })
  streams.stdout.write(encodeRecord({ type: 'ready', v: 1, runner: '1', python: '3', preloaded: [], bootMs: 1, t: 0 }))
  return { session: new RunnerSession(streams), heard }
}

async function run(session: RunnerSession, keep: boolean): Promise<TaskEvent[]> {
  const events: TaskEvent[] = []
  for await (const event of session.run(command(keep))) events.push(event)
  return events
}

describe('a runner that keeps its kernel', () => {
  it('takes a value and another run after the one before', async () => {
    const { session, heard } = standIn(true)
    assert.deepEqual(
      (await run(session, true)).map(({ type }) => type),
      ['done']
    )
    assert.equal(session.kept, true)
    const pieces = (async function* () {
      yield new Uint8Array([1])
    })()
    await session.put([{ kind: 'file', path: 'a', executable: false, pieces }])
    await run(session, true)
    assert.deepEqual(
      heard.map(({ op, keep }) => [op, keep]).filter(([op]) => op === 'run'),
      [
        ['run', true],
        ['run', true]
      ]
    )
  })

  it('is believed to keep it only where it says so', async () => {
    const { session } = standIn(undefined)
    await run(session, true)
    assert.equal(session.kept, false)
    await assert.rejects(run(session, true), { code: 'TASK_STATE' })
  })

  it('is not told to where a task ends with its program', async () => {
    const { session, heard } = standIn(true)
    await run(session, false)
    assert.equal(heard[0]?.['keep'], undefined)
    assert.equal(session.kept, false)
    await assert.rejects(run(session, false), { code: 'TASK_STATE' })
  })

  it('is interrupted in a cell, or as soon as one begins, and never while it waits', async () => {
    const streams = { stdin: new PassThrough(), stdout: new PassThrough() }
    const heard: unknown[] = []
    const decoder = new RecordDecoder()
    streams.stdin.on('data', (chunk: Buffer) => {
      for (const { header } of decoder.push(chunk)) heard.push(header['op'])
    })
    const say = (header: object): void => void streams.stdout.write(encodeRecord({ ...header, t: 0 }))
    say({ type: 'ready', v: 1, runner: '1', python: '3', preloaded: [], bootMs: 1 })
    const session = new RunnerSession(streams)
    session.interrupt()
    const events = session.run(command(true))
    say({ type: 'cell-start', cell: 'a' })
    assert.equal((await events.next()).value?.type, 'cell-start')
    assert.deepEqual(heard, ['run'])
    session.interrupt()
    assert.deepEqual(heard, ['run', 'interrupt'])
    say({ type: 'cell-end', cell: 'a', status: 'error', executionCount: 1 })
    await events.next()
    session.interrupt()
    const end = { outcome: 'user', reason: 'exception', detail: {}, exitCode: 1, usage: USAGE, kept: true }
    say({ type: 'done', ...end })
    assert.equal((await events.next()).value?.type, 'done')
    await events.next()
    session.interrupt()
    assert.deepEqual(heard, ['run', 'interrupt'])
    const next = session.run(command(true))
    const begun = next.next()
    while (heard.length < 3) await new Promise(resolve => setImmediate(resolve))
    session.interrupt()
    say({ type: 'cell-start', cell: 'a' })
    await begun
    assert.deepEqual(heard, ['run', 'interrupt', 'run', 'interrupt'])
  })
})
