import type { Attempt } from '@pekka/node/protocol'

/**
 * What of a session's time can be claimed now (R33): the ledger covers nothing after the last `alive`, no running time where it knows that the
 * machine waited, and no waiting where it knows that it ran. Never less than the last tranche, which the same rules allowed before.
 */
export function claimable(
  { session, acceptedT }: Pick<Attempt, 'session' | 'acceptedT'>,
  own: { wallMs: number; heldMs: number }
): { wallMs: number; heldMs: number } {
  if (session === null) return { wallMs: 0, heldMs: 0 }
  const covered = Math.max(0, session.aliveT - acceptedT)
  const fixed = session.tranche?.claim
  const least = { wallMs: fixed?.usage.wallMs ?? 0, heldMs: fixed?.session?.heldMs ?? 0 }
  const wallMs = Math.max(least.wallMs, Math.min(own.wallMs, covered - session.idleMs, covered - least.heldMs))
  const heldMs = Math.max(least.heldMs, Math.min(own.heldMs, covered - session.busyMs, covered - wallMs))
  return { wallMs, heldMs }
}
