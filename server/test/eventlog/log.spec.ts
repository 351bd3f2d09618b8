import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeCbor, logEntrySchema, signHead, type LogEntry } from '@pekka/node/protocol'
import { SEGMENT_BYTES, bytesOf, createEventLog, type EventLog, type LogIndex } from '../../src/eventlog/index.js'
import { IDLE_LOGS } from '../../src/eventlog/constants.js'
import { createParties, sealRun, printed, type Parties, type SealedRun } from '../../../node/test/support/sealed-run.js'

const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

/** An index in memory. */
function memoryIndex(): LogIndex {
  const map = new Map<string, Uint8Array>()
  return {
    get: async key => map.get(key),
    put: async (key, value) => void map.set(key, value),
    del: async key => void map.delete(key)
  }
}

describe('event log', () => {
  let folder: string
  let logs: EventLog
  let parties: Parties
  let run: SealedRun
  const index = memoryIndex()

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-log-'))
    logs = await createEventLog({ index }, folder)
    parties = await createParties()
    run = await sealRun(parties, [printed('a\n'), printed('b\n'), printed('c\n')])
  })
  afterEach(async () => {
    await logs.close()
    await rm(folder, { recursive: true, force: true })
  })

  const write = async (target: EventLog, frames = run.sealed): Promise<void> =>
    target.use(parties.task, async log => {
      await log.appendRun(run.header)
      await log.appendFrames(run.header, 0, frames)
      if (frames === run.sealed) await log.appendHead(run.signed)
      await log.sync()
    })

  const all = (target: EventLog): Promise<LogEntry[]> =>
    target.use(parties.task, async log => {
      const entries: LogEntry[] = []
      while (entries.length < log.end) {
        const page = await log.read(entries.length, 300)
        entries.push(...page.map(raw => logEntrySchema.parse(decodeCbor(bytesOf(raw)))))
      }
      return entries
    })

  const file = async (): Promise<string> => join(folder, (await readdir(folder)).sort().at(-1) ?? '')

  it('gives back every entry in order, from memory and from disk', async () => {
    await write(logs)
    assert.deepEqual(await all(logs), run.entries)
    await logs.close()
    const again = await createEventLog({ index }, folder)
    assert.deepEqual(await all(again), run.entries)
    await again.close()
  })

  it('numbers entries over attempts and runs', async () => {
    await write(logs)
    const second = await sealRun(parties, [printed('again\n')], { attempt: 2, firstEntry: run.entries.length })
    await logs.use(parties.task, async log => {
      await log.appendRun(second.header)
      await log.appendFrames(second.header, 0, second.sealed)
      await log.appendHead(second.signed)
    })
    assert.deepEqual(await all(logs), [...run.entries, ...second.entries])
  })

  it('takes what is sent again only once', async () => {
    await write(logs, run.sealed.slice(0, 2))
    await logs.use(parties.task, log => log.appendFrames(run.header, 1, run.sealed.slice(1)))
    await write(logs)
    assert.deepEqual(await all(logs), run.entries)
  })

  it('refuses a gap and writes nothing of it', async () => {
    await write(logs, run.sealed.slice(0, 1))
    await logs.use(parties.task, async log => {
      await assert.rejects(log.appendFrames(run.header, 2, run.sealed.slice(2)), code('FRAME_GAP'))
      await assert.rejects(log.appendFrames({ attempt: 1, run: 9 }, 0, run.sealed), code('FRAME_GAP'))
    })
    assert.deepEqual(await all(logs), run.entries.slice(0, 2))
  })

  it('refuses a signed head that is not the chain over the frames', async () => {
    await write(logs, run.sealed.slice(0, 3))
    const forged = await signHead(
      parties.network,
      { task: parties.task, attempt: 1, run: 1, count: 3, head: run.head },
      parties.agent
    )
    await logs.use(parties.task, log => assert.rejects(log.appendHead(forged), code('HEAD_MISMATCH')))
  })

  it('cuts a torn record off when it is opened, wherever it was torn', async () => {
    await write(logs)
    await logs.close()
    const path = await file()
    const whole = await readFile(path)
    const sizes = new Set<number>()
    for (let size = whole.length - 1; size >= 0; size -= 41) {
      await writeFile(path, whole)
      await truncate(path, size)
      const again = await createEventLog({ index }, folder)
      const entries = await all(again)
      assert.deepEqual(entries, run.entries.slice(0, entries.length))
      sizes.add(entries.length)
      await write(again)
      assert.deepEqual(await all(again), run.entries)
      await again.close()
    }
    assert.deepEqual([...sizes].sort(), [...run.entries.keys()])
  })

  it('cuts garbage after the last record off', async () => {
    await write(logs, run.sealed.slice(0, 2))
    await logs.close()
    await appendFile(await file(), Buffer.alloc(5000, 0xff))
    const again = await createEventLog({ index }, folder)
    await write(again)
    assert.deepEqual(await all(again), run.entries)
    await again.close()
  })

  it('goes on in a new file when one is full, and reads over the border', async () => {
    const parts = await createParties()
    const big = await sealRun(parts, [[...printed('x')]])
    // Frames are only bytes to the log: one of 60 KiB, many times.
    const frame = new Uint8Array(60_000).fill(1)
    const count = Math.ceil((1.5 * SEGMENT_BYTES) / frame.length)
    await logs.use(parts.task, async log => {
      await log.appendRun(big.header)
      for (let i = 0; i < count; i += 10)
        await log.appendFrames(
          big.header,
          i,
          Array.from({ length: Math.min(10, count - i) }, () => frame)
        )
      await log.sync()
    })
    assert.equal((await readdir(folder)).length, 2)
    await logs.close()
    const again = await createEventLog({ index }, folder)
    assert.equal(await again.end(parts.task), count + 1)
    await again.use(parts.task, async log => {
      const numbers: number[] = []
      while (numbers.length < log.end) numbers.push(...(await log.read(numbers.length, 200_000)).map(({ n }) => n))
      assert.deepEqual(numbers, [...Array(count + 1).keys()])
      assert.deepEqual(
        (await log.read(count - 3, 1e9)).map(({ n }) => n),
        [count - 3, count - 2, count - 1, count]
      )
    })
    await again.close()
  })

  it('knows how many entries a closed log has without reading it', async () => {
    await write(logs)
    await logs.close()
    const again = await createEventLog({ index }, folder)
    const path = await file()
    const { size } = await stat(path)
    // Reading it would find nothing.
    await writeFile(path, Buffer.alloc(size))
    assert.equal(await again.end(parties.task), run.entries.length)
    await again.close()
  })

  it('tells listeners after the write, and only then', async () => {
    await logs.use(parties.task, async log => {
      const seen: number[] = []
      log.onAppend(() => seen.push(log.end))
      const written = log.appendRun(run.header)
      assert.equal(log.end, 0)
      await written
      await Promise.all(run.sealed.map((frame, i) => log.appendFrames(run.header, i, [frame])))
      assert.deepEqual(seen, [1, 1 + run.sealed.length])
    })
  })

  it('is open once, also for those who take it while idle logs are closed', async () => {
    await write(logs, [])
    const others = Array.from({ length: IDLE_LOGS }, (_, i) => new Uint8Array(32).fill(i + 1))
    const idle = await Promise.all(others.map(other => logs.acquire(other)))
    // The last one makes one too many, and the oldest is ours.
    for (const { release } of idle) release()
    const taking: ReturnType<EventLog['acquire']>[] = []
    for (let i = 0; i < 8; i++) {
      taking.push(logs.acquire(parties.task))
      await Promise.resolve()
    }
    const taken = await Promise.all(taking)
    assert.equal(new Set(taken.map(({ log }) => log)).size, 1)
    for (const { release } of taken) release()
  })

  it('is gone after it was removed', async () => {
    await write(logs)
    await logs.remove(parties.task)
    assert.deepEqual(await readdir(folder), [])
    assert.equal(await logs.end(parties.task), 0)
  })
})
