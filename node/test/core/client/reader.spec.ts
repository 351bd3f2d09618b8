import assert from 'node:assert/strict'
import { TaskReader, type ReaderOutput } from '@pekka/node/client'
import { signHead, type LogEntry, type TaskEvent } from '@pekka/node/protocol'
import { createParties, primitives, printed, sealRun, settledView, type Parties } from '../../support/sealed-run.js'

const readerOf = (parties: Parties, agents = new Map<string, Uint8Array>()): TaskReader =>
  new TaskReader(
    { primitives, blob: () => Promise.reject(new Error('no blobs here')) },
    { network: parties.network, task: parties.task, readKey: parties.readKey, taskKey: parties.taskKey, agents }
  )

async function drain(reader: TaskReader, entries: LogEntry[]): Promise<ReaderOutput[]> {
  const outputs: ReaderOutput[] = []
  for await (const output of reader.read(entries)) outputs.push(output)
  return outputs
}

const textOf = (outputs: ReaderOutput[]): string =>
  outputs
    .flatMap((output): TaskEvent[] => (output.kind === 'events' ? output.events : []))
    .map(event => (event.type === 'stream' && typeof event.text === 'string' ? event.text : ''))
    .join('')

const renumber = (entries: LogEntry[]): LogEntry[] => entries.map((entry, n) => ({ ...entry, n }))

describe('reading the frames of a task', () => {
  it('hands out every event in order and confirms the commit', async () => {
    const parties = await createParties()
    const run = await sealRun(parties, [printed('one\n', 'two\n'), [{ type: 'status', state: 'idle', t: 3 }]])
    const reader = readerOf(parties)
    const outputs = await drain(reader, run.entries)
    assert.deepEqual(
      outputs.map(({ kind }) => kind),
      ['run', 'reset', 'events', 'events', 'events']
    )
    assert.equal(textOf(outputs), 'one\ntwo\n')
    assert.equal(reader.confirm(settledView(parties, run)), true)
    assert.equal(reader.after, run.entries.length - 1)
  })

  it('takes a batch that needs several frames', async () => {
    const parties = await createParties()
    const long = 'x'.repeat(300_000)
    const run = await sealRun(parties, [printed(long)])
    assert.ok(run.sealed.length > 4)
    assert.equal(textOf(await drain(readerOf(parties), run.entries)), long)
  })

  it('ignores entries it has already taken, so a resume doubles nothing', async () => {
    const parties = await createParties()
    const run = await sealRun(parties, [printed('one\n'), printed('two\n')])
    const reader = readerOf(parties)
    await drain(reader, run.entries.slice(0, 3))
    assert.equal(textOf(await drain(reader, run.entries)), '')
  })

  it('shows the newer attempt only, after a reset', async () => {
    const parties = await createParties()
    const first = await sealRun(parties, [printed('lost\n')])
    const lost = first.entries.slice(0, 2)
    const second = await sealRun(parties, [printed('kept\n')], { attempt: 2, firstEntry: lost.length })
    const outputs = await drain(readerOf(parties), [...lost, ...second.entries])
    assert.deepEqual(
      outputs.map(({ kind }) => kind),
      ['run', 'reset', 'events', 'run', 'reset', 'events', 'events']
    )
  })

  const attacks: [string, string, (parties: Parties) => Promise<LogEntry[]>][] = [
    [
      'reordered frames',
      'FRAME_GAP',
      async parties => {
        const { entries } = await sealRun(parties, [printed('a'), printed('b')])
        const [header, one, two, ...rest] = entries
        assert.ok(header && one && two)
        return renumber([header, two, one, ...rest])
      }
    ],
    [
      'a frame that was cut out',
      'FRAME_GAP',
      async parties =>
        renumber((await sealRun(parties, [printed('a'), printed('b')])).entries.filter((_, i) => i !== 1))
    ],
    [
      'a frame that was replayed under the next number',
      'SEAL_BROKEN',
      async parties => {
        const { entries } = await sealRun(parties, [printed('a'), printed('b')])
        return entries.map(entry => {
          const before = entries[1]
          return entry.kind === 'frame' && entry.index === 1 && before?.kind === 'frame'
            ? { ...entry, sealed: before.sealed }
            : entry
        })
      }
    ],
    [
      'a frame spliced in from another run',
      'SEAL_BROKEN',
      async parties => {
        const other = await sealRun(parties, [printed('other')])
        const { entries } = await sealRun(parties, [printed('a')])
        return entries.map(entry =>
          entry.kind === 'frame' && entry.index === 0 ? { ...entry, sealed: other.sealed[0] ?? entry.sealed } : entry
        )
      }
    ],
    [
      'one changed bit',
      'SEAL_BROKEN',
      async parties => {
        const { entries } = await sealRun(parties, [printed('a')])
        return entries.map(entry => {
          if (entry.kind !== 'frame' || entry.index !== 0) return entry
          const sealed = entry.sealed.slice()
          sealed[7] = (sealed[7] ?? 0) ^ 1
          return { ...entry, sealed }
        })
      }
    ],
    [
      'a second signed head for the same count',
      'HEAD_MISMATCH',
      async parties => {
        const run = await sealRun(parties, [printed('a')])
        const forked = await signHead(
          parties.network,
          { task: parties.task, attempt: 1, run: 1, count: run.sealed.length, head: new Uint8Array(32) },
          parties.agent
        )
        return [...run.entries, { n: run.entries.length, kind: 'head', head: forked }]
      }
    ],
    [
      'output A streamed and result B in the manifest',
      'HEAD_MISMATCH',
      async parties => (await sealRun(parties, [printed('forged')], { claimed: [printed('honest')] })).entries
    ]
  ]
  for (const [what, code, attack] of attacks) {
    it(`notices ${what}`, async () => {
      const parties = await createParties()
      await assert.rejects(drain(readerOf(parties), await attack(parties)), { code })
    })
  }

  it('refuses a run whose header another key than the asking agent signed', async () => {
    const parties = await createParties()
    const run = await sealRun(parties, [printed('a')])
    const agents = new Map([[parties.provider.join(), new Uint8Array(32).fill(7)]])
    await assert.rejects(drain(readerOf(parties, agents), run.entries), { code: 'HEAD_MISMATCH' })
  })

  it('refuses to confirm a commit of another result, head or count', async () => {
    const parties = await createParties()
    const run = await sealRun(parties, [printed('a')])
    const other = await sealRun(parties, [printed('b')])
    const reader = readerOf(parties)
    await drain(reader, run.entries)
    assert.throws(() => reader.confirm(settledView(parties, other)), { code: 'HEAD_MISMATCH' })
  })

  it('does not confirm before the run ended', async () => {
    const parties = await createParties()
    const run = await sealRun(parties, [printed('a'), printed('b')])
    const reader = readerOf(parties)
    await drain(reader, run.entries.slice(0, 2))
    assert.equal(reader.confirm(settledView(parties, run)), false)
  })
})
