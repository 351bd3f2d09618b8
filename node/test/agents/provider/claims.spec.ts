import assert from 'node:assert/strict'
import type { Attempt, SessionProgress } from '@pekka/node/protocol'
import { claimable } from '../../../src/agents/provider/intake/claims.js'

const attempt = (
  change: Partial<SessionProgress>,
  fixed?: { wallMs: number; heldMs: number }
): Pick<Attempt, 'session' | 'acceptedT'> => {
  const session: SessionProgress = {
    in: { count: 0, head: null },
    cells: 0,
    aliveT: 10_000,
    idleSince: null,
    idleMs: 0,
    busyMs: 0,
    trancheT: 1_000,
    tranche: null,
    ...change
  }
  if (fixed === undefined) return { acceptedT: 1_000, session }
  const digest = new Uint8Array(32)
  const claim = {
    commitment: digest,
    run: 1,
    count: 1,
    head: digest,
    usage: { wallMs: fixed.wallMs, cpuMs: 0 },
    outcome: 'ok' as const,
    stored: null,
    session: { heldMs: fixed.heldMs, in: session.in, cells: 0 }
  }
  return { acceptedT: 1_000, session: { ...session, tranche: { claim, transaction: digest } } }
}

describe('what of a session’s time is claimed', () => {
  it('is what was run and waited, where the ledger has covered it', () => {
    assert.deepEqual(claimable(attempt({}), { wallMs: 3_000, heldMs: 5_000 }), { wallMs: 3_000, heldMs: 5_000 })
  })

  it('is nothing after the last lease', () => {
    assert.deepEqual(claimable(attempt({}), { wallMs: 8_000, heldMs: 5_000 }), { wallMs: 8_000, heldMs: 1_000 })
    assert.deepEqual(claimable(attempt({}), { wallMs: 20_000, heldMs: 0 }), { wallMs: 9_000, heldMs: 0 })
  })

  it('is no running where the ledger knows that it waited, and no waiting where it ran', () => {
    assert.deepEqual(claimable(attempt({ idleMs: 7_000 }), { wallMs: 5_000, heldMs: 4_000 }), {
      wallMs: 2_000,
      heldMs: 4_000
    })
    assert.deepEqual(claimable(attempt({ busyMs: 7_000 }), { wallMs: 3_000, heldMs: 5_000 }), {
      wallMs: 3_000,
      heldMs: 2_000
    })
  })

  it('never goes back behind the last tranche, also in what is divided between the two', () => {
    const fixed = { wallMs: 1_000, heldMs: 6_000 }
    assert.deepEqual(claimable(attempt({}, fixed), { wallMs: 8_000, heldMs: 6_500 }), { wallMs: 3_000, heldMs: 6_000 })
    assert.deepEqual(claimable(attempt({}, fixed), { wallMs: 500, heldMs: 7_000 }), { wallMs: 1_000, heldMs: 7_000 })
  })

  it('is nothing of a task that is no session', () => {
    assert.deepEqual(claimable({ session: null, acceptedT: 0 }, { wallMs: 1, heldMs: 1 }), { wallMs: 0, heldMs: 0 })
  })
})
