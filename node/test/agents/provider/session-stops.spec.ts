import assert from 'node:assert/strict'
import { createSigner } from '@pekka/node/host/crypto'
import { signInterrupt, type Done } from '@pekka/node/protocol'
import { Kept, OK, binding, primitives, program } from './kept.js'

/** What a run comes to that was stopped for another program: its kernel is gone. */
const STOPPED: { done: Done; kept: boolean } = { done: { ...OK, outcome: 'stopped', reason: 'cancelled' }, kept: false }

/** The second cell's kernel is lost while the fourth waits, which begins anew; the fifth finds it. */
async function beginsAnew(kept: Kept): Promise<void> {
  kept.session.finish('lost')
  kept.letGo()
  await kept.ended(4)
  await kept.send(program('fifth'))
  await kept.ended(5)
  assert.deepEqual(kept.sources, ['first', 'second', 'restart', 'fourth', 'fifth'])
  assert.deepEqual(
    kept.ends.map(({ detail }) => detail['restarted'] ?? false),
    [false, true, true, false, false]
  )
  assert.equal((await kept.close()).reason, 'completed')
}

describe('a kept machine that is interrupted or begins anew', () => {
  it('interrupts the cell that runs and leaves out one that waits, and goes on', async () => {
    const kept = await Kept.atSecond({ done: { ...OK, outcome: 'user', reason: 'exception' }, kept: true })
    await kept.send(program('third'))
    await kept.interrupt(1)
    await kept.interrupt(1)
    assert.equal(kept.interrupts, 1)
    await kept.interrupt(2)
    await kept.interrupt(9)
    assert.equal(kept.interrupts, 1)
    await kept.send(program('fourth'))
    kept.letGo()
    await kept.ended(4)
    // It ended long ago: nothing that runs now is meant.
    await kept.interrupt(1)
    assert.equal(kept.interrupts, 1)
    assert.deepEqual(
      kept.ends.map(({ reason, detail }) => [reason, detail['interrupted'] ?? false, detail['notRun'] ?? false]),
      [
        ['completed', false, false],
        ['exception', true, false],
        ['exception', true, true],
        ['completed', false, false]
      ]
    )
    assert.deepEqual(kept.sources, ['first', 'second', 'fourth'])
    await kept.close()
  })

  it('interrupts a cell once its program starts, where it was told before: what travels was being put there', async () => {
    const kept = await Kept.atSecond()
    kept.session.begun()
    assert.equal(kept.interrupts, 0)
    await kept.interrupt(1)
    kept.session.begun()
    assert.equal(kept.interrupts, 2)
    kept.letGo()
    await kept.ended(2)
    kept.session.begun()
    assert.equal(kept.interrupts, 2)
    await kept.close()
  })

  it('makes the kernel anew also for a cell that is interrupted itself: the old one was stopped for it', async () => {
    const kept = await Kept.atSecond(STOPPED)
    await kept.send({ ...program('third'), restart: true })
    await kept.until(() => kept.stops > 0)
    await kept.interrupt(2)
    kept.letGo()
    await kept.ended(3)
    await kept.send(program('fourth'))
    await kept.ended(4)
    assert.deepEqual(kept.sources, ['first', 'second', 'restart', 'fourth'])
    await kept.close()
  })

  it('is interrupted by its client alone', async () => {
    const kept = await Kept.start()
    await kept.send(program('second'))
    const forged = await signInterrupt(binding, 1, createSigner(primitives.random.bytes(32)))
    await assert.rejects(kept.session.interrupt(forged), { code: 'CELL_REFUSED' })
    const other = await signInterrupt({ ...binding, run: 2 }, 1, kept.client)
    await assert.rejects(kept.session.interrupt(other), { code: 'CELL_REFUSED' })
    const moved = { ...(await signInterrupt(binding, 1, kept.client)), index: 2 }
    await assert.rejects(kept.session.interrupt(moved), { code: 'CELL_REFUSED' })
    await kept.close()
  })

  it('begins anew where a cell says so: what runs is stopped, what waits before it is left out', async () => {
    const kept = await Kept.atSecond(STOPPED)
    await kept.send(program('third'))
    await kept.send({ ...program('fourth'), restart: true })
    await kept.until(() => kept.stops > 0)
    // The old kernel is killed for it.
    await beginsAnew(kept)
  })

  it('begins anew once for two restarts told while a cell is being stopped: the first is left out', async () => {
    const kept = await Kept.atSecond(STOPPED)
    await kept.send({ ...program('third'), restart: true })
    await kept.send({ ...program('fourth'), restart: true })
    // Both have been looked into.
    await kept.until(() => kept.stops === 2)
    await beginsAnew(kept)
  })
})
