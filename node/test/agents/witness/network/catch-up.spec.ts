import assert from 'node:assert/strict'
import { catchUp, stayCaughtUp } from '../../../../src/agents/witness/network/catch-up.js'
import { CATCH_UP_LOOK_MS, CATCH_UP_WAIT_MS, STRANDED_MS } from '../../../../src/agents/witness/network/constants.js'

/** A witness that is at some commit, among others that have told of one, on a clock of its own. */
function scene(at: { last: number; told: number | null }) {
  let now = 0
  let blocks = 0
  const passed: ((now: number) => unknown)[] = []
  return {
    at,
    now: () => now,
    /** What happens with each look. */
    each: (happen: (now: number) => unknown) => passed.push(happen),
    block: () => (blocks += 1),
    sleep: (ms: number) => (now += ms),
    run: () =>
      catchUp(
        {
          told: async () => at.told,
          last: () => at.last,
          taken: async () => String(blocks),
          monotonic: () => now,
          pause: async ms => {
            now += ms
            assert.ok(now < 10 * STRANDED_MS, 'it waits for ever')
            for (const happen of passed) happen(now)
          }
        },
        new AbortController().signal
      )
  }
}

describe('witness: catching up', () => {
  it('is over once it is as far as the others were', async () => {
    const one = scene({ last: 3, told: 10 })
    one.each(() => (one.at.last += 1))
    await one.run()
    assert.equal(one.at.last, 10)
  })

  it('is over soon where there is no quorum', async () => {
    const one = scene({ last: 3, told: null })
    await one.run()
    assert.ok(one.now() < 2 * CATCH_UP_WAIT_MS)
  })

  it('ends with a clear error where the others are further and nothing comes any more', async () => {
    const one = scene({ last: 3, told: 10 })
    await assert.rejects(one.run(), { code: 'LEDGER_BEHIND', data: { last: 3, told: 10 } })
  })

  it('goes on as long as blocks come, though no commit does', async () => {
    const one = scene({ last: 3, told: 10 })
    one.each(now => {
      if (now % (STRANDED_MS / 2) === 0) one.block()
      if (now > 4 * STRANDED_MS) one.at.last = 10
    })
    await one.run()
  })

  it('doesn’t take a stop of the whole process for silence of the others', async () => {
    const one = scene({ last: 3, told: 10 })
    one.each(now => {
      if (now === CATCH_UP_LOOK_MS) one.sleep(2 * STRANDED_MS)
      if (now > 2.5 * STRANDED_MS) one.at.last = 10
    })
    await one.run()
  })

  it('is looked after again while it serves: who is cut off for too long ends with that error, who comes back goes on', async () => {
    const one = scene({ last: 3, told: 3 })
    const stopping = new AbortController()
    let looks = 0
    const stay = stayCaughtUp(
      {
        caughtUp: async () => await one.run(),
        pause: async () => {
          looks += 1
          // It was cut off and is met again; the first time the blocks are still there.
          if (looks === 2) one.at.told = 10
          if (looks === 4) one.at.told = 20
        }
      },
      stopping.signal
    )
    one.each(() => looks === 2 && (one.at.last = 10))
    await assert.rejects(stay, { code: 'LEDGER_BEHIND', data: { last: 10, told: 20 } })
    assert.equal(looks, 4)
  })

  it('is looked after until the witness stops', async () => {
    const stopping = new AbortController()
    await stayCaughtUp({ caughtUp: async () => assert.fail(), pause: async () => stopping.abort() }, stopping.signal)
  })
})
