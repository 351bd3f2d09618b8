import assert from 'node:assert/strict'
import { createSigner } from '@pekka/node/host/crypto'
import type { Done } from '@pekka/node/protocol'
import { Kept, OK, bytes, primitives, program } from './kept.js'

describe('a kept machine', () => {
  it('runs the first program and then each cell that comes, in order', async () => {
    const kept = await Kept.start()
    assert.equal(await kept.send(program('second')), 1)
    assert.equal(await kept.send(program('third')), 2)
    await kept.ended(3)
    assert.deepEqual(
      kept.ran.map(({ source }) => source),
      ['first', 'second', 'third']
    )
    assert.deepEqual(
      kept.ends.map(({ index }) => index),
      [0, 1, 2]
    )
    const done = await kept.close()
    assert.deepEqual([done.outcome, done.reason, done.usage.wallMs], ['ok', 'completed', 300])
    assert.deepEqual(kept.session.report, { in: kept.chain.state, cells: 3 })
  })

  it('counts the time between the end of a cell and the arrival of the next as waiting', async () => {
    const kept = await Kept.start()
    kept.now += 5_000
    assert.deepEqual(kept.session.times, { wallMs: 100, heldMs: 5_000 })
    await kept.send(program('second'))
    await kept.ended(2)
    assert.deepEqual(kept.session.times, { wallMs: 200, heldMs: 5_000 })
    await kept.close()
  })

  it('takes a cell again without running it again, and refuses one of another key, after a gap, or in another’s place', async () => {
    const kept = await Kept.start()
    const first = await kept.cell(program('second'))
    await kept.chain.add(first.cell)
    const later = await kept.cell(program('third'))
    await assert.rejects(kept.session.take(later.cell, later.sealed), { code: 'CELL_REFUSED' })
    assert.equal(await kept.session.take(first.cell, first.sealed), 1)
    assert.equal(await kept.session.take(first.cell, first.sealed), 1)
    const forged = await kept.cell(program('forged'), createSigner(primitives.random.bytes(32)))
    await assert.rejects(kept.session.take(forged.cell, forged.sealed), { code: 'CELL_REFUSED' })
    await kept.ended(2)
    await kept.close()
    assert.equal(kept.ran.length, 2)
  })

  it('ends a cell that can’t be opened or wants what only the first may, and goes on', async () => {
    const kept = await Kept.start()
    const { cell, sealed } = await kept.cell(program('second'))
    await kept.chain.add(cell)
    await kept.session.take(
      cell,
      sealed.map(byte => byte ^ 1)
    )
    await kept.send({ ...program('third'), layer: bytes(9) })
    await kept.send(program('fourth'))
    await kept.ended(4)
    assert.deepEqual(
      kept.ends.map(({ reason, detail }) => [reason, detail['ename'] ?? null]),
      [
        ['completed', null],
        ['exception', 'CELL_REFUSED'],
        ['exception', 'CELL_REFUSED'],
        ['completed', null]
      ]
    )
    assert.deepEqual(
      kept.ran.map(({ source }) => source),
      ['first', 'fourth']
    )
    await kept.close()
  })

  it('gives each cell the offer’s limits, less what is used of cap and output', async () => {
    const kept = await Kept.start({ cap: 1_000n, wallMs: 950 })
    await kept.send(program('second'))
    await kept.ended(2)
    assert.deepEqual(
      kept.ran.map(({ limits }) => limits),
      [
        { wallMs: 950, atCap: false, outputBytes: 1_000 },
        { wallMs: 900, atCap: true, outputBytes: 993 }
      ]
    )
    await kept.close()
  })

  it('ends at the cap: waiting uses it up too', async () => {
    const kept = await Kept.start({ cap: 101n })
    const done = await kept.running
    assert.deepEqual([done.outcome, done.reason, done.detail], ['limit', 'wall-limit', { atCap: true }])
    assert.equal(kept.ran.length, 1)
  })

  it('ends with its kernel, and with a cell that was stopped', async () => {
    const died = await Kept.start()
    const dead: Done = { ...OK, outcome: 'user', reason: 'kernel-died', exitCode: null }
    died.results = [{ done: dead, kept: false }]
    await died.send(program('second'))
    assert.deepEqual((await died.running).reason, 'kernel-died')
    assert.equal(died.ends.at(-1)?.reason, 'kernel-died')
    const stopped = await Kept.start()
    stopped.results = [{ done: { ...OK, outcome: 'stopped', reason: 'cancelled' }, kept: true }]
    await stopped.send(program('second'))
    assert.equal((await stopped.running).outcome, 'stopped')
  })

  it('runs nothing after its end', async () => {
    const early = await Kept.start({}, true)
    assert.equal((await early.running).outcome, 'stopped')
    assert.deepEqual(early.ran, [])
  })

  it('throws what the attempt was given up for', async () => {
    const kept = await Kept.start()
    kept.abort.abort(new Error('given up'))
    await assert.rejects(kept.running, /given up/)
  })
})
