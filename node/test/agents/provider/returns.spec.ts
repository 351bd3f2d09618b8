import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { TaskReader } from '@pekka/node/client'
import { PekkaError, contentHash, equalBytes, type EventOf } from '@pekka/node/protocol'
import { Returns } from '../../../src/agents/provider/intake/travel.js'
import { createParties, primitives, printed, sealRun } from '../../support/sealed-run.js'

type Value = EventOf<'values'>['values'][number]
const described = (size: number, index: number): Value => ({
  ...{ name: `v${index}`, type: 'bytes', look: '', codec: 'json', reason: null, size }
})

/** A run that brings back these bytes, through the provider's side, and the client's reader of it. Its runner sends `piece` bytes at a time. */
async function travelled(
  contents: Uint8Array[],
  change: (values: Value[]) => Value[] = values => values,
  piece = Infinity
) {
  const parties = await createParties()
  let values: Value[] = []
  const run = await sealRun(parties, [printed('made\n')], {
    returned: async blob => {
      const returns = new Returns(blob)
      for (const [index, bytes] of contents.entries())
        for (let at = 0; at === 0 || at < bytes.length; at += piece)
          await returns.take({ of: 'values', index, bytes: bytes.subarray(at, at + piece) })
      const event = await returns.complete({ type: 'values', values: contents.map(c => c.length).map(described), t: 1 })
      assert.ok(event.type === 'values')
      values = change(event.values)
      return [{ ...event, values }]
    }
  })
  let fetched = 0
  const blob = async (hash: Uint8Array): Promise<Uint8Array> => {
    fetched++
    const found = run.blobs.find(sealed => equalBytes(contentHash(sealed), hash))
    return found ?? Promise.reject(new Error('no such blob'))
  }
  const { network, task, readKey, taskKey } = parties
  const reader = new TaskReader({ primitives, blob }, { network, task, readKey, taskKey, agents: new Map() })
  for await (const output of reader.read(run.entries)) void output
  const open = async (value: Value): Promise<Uint8Array> => {
    const parts: Uint8Array[] = []
    for await (const part of reader.open(value)) parts.push(part)
    return Buffer.concat(parts)
  }
  return { values, blobs: run.blobs.length, open, reader, fetched: () => fetched }
}

describe('what a run brings back', () => {
  it('shares a part where it is small: a thousand values are one part, fetched once', async () => {
    const contents = Array.from({ length: 1000 }, (_, index) => new Uint8Array(randomBytes(index % 40)))
    const { values, blobs, open, fetched } = await travelled(contents)
    assert.equal(blobs, 1)
    const opened = await Promise.all(values.map(open))
    for (const [index, bytes] of opened.entries())
      assert.deepEqual(Buffer.from(bytes), Buffer.from(contents[index] ?? []))
    assert.equal(fetched(), 1)
  })

  it('has parts of its own where it is large or alone', async () => {
    const large = new Uint8Array(randomBytes(100_000))
    const { values, blobs, open } = await travelled([large, new Uint8Array([1, 2])])
    assert.equal(blobs, 2)
    assert.deepEqual(
      values.map(({ at }) => at),
      [undefined, undefined]
    )
    assert.deepEqual(Buffer.from(await open(values[0] ?? described(0, 0))), Buffer.from(large))
  })

  it('is opened part by part where it is larger, the next one fetched while one is used; its end is reached if all is what was said', async () => {
    const large = new Uint8Array(randomBytes(100_000))
    const said = [(value: Value) => value, (value: Value) => ({ ...value, hash: new Uint8Array(32) })]
    for (const say of said) {
      const { values, blobs, open, reader, fetched } = await travelled([large], told => told.map(say), 40_000)
      assert.equal(blobs, 3)
      const [value] = values
      assert.ok(value)
      const lies = value.hash?.every(byte => byte === 0) ?? true
      if (lies) await assert.rejects(() => open(value), { code: 'BLOB_MISMATCH' })
      else assert.deepEqual(Buffer.from(await open(value)), Buffer.from(large))
      const before = fetched()
      const parts = reader.open(value)
      await parts.next()
      assert.equal(fetched() - before, 2)
      await parts.return()
    }
  })

  it('is refused where it is said to begin elsewhere in the part, to be longer than it, or to have another content', async () => {
    const lies: Partial<Value>[] = [{ at: 0 }, { at: 3 }, { size: 100 }, { hash: new Uint8Array(32) }]
    for (const lie of lies) {
      const { values, open } = await travelled([new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3])], told =>
        told.map((value, index) => (index === 1 ? { ...value, ...lie } : value))
      )
      const [first, second] = values
      assert.ok(first && second)
      assert.deepEqual([...(await open(first))], [1])
      await assert.rejects(
        () => open(second),
        (error: unknown) => error instanceof PekkaError && error.code === 'BLOB_MISMATCH'
      )
    }
  })

  it('stays where a runner sends more of it than of a value that shares a part', async () => {
    const returns = new Returns(() => Promise.resolve({ blob: 0, hash: new Uint8Array(32), size: 1 }))
    for (const bytes of [new Uint8Array([1]), new Uint8Array([2])])
      await returns.take({ of: 'values', index: 0, bytes })
    const event = await returns.complete({ type: 'values', values: [described(2, 0)], t: 1 })
    assert.deepEqual(event, { type: 'values', values: [described(2, 0)], t: 1 })
  })
})
