import type { TaskView } from '@pekka/node/protocol'

/**
 * Which candidates may accept now (R1): candidate k (from 0) from T = entry to OFFERED + k·w on, earlier when all before it
 * are out (declined, or failed an attempt).
 */
export function openCandidates(view: TaskView, contractTime: number, windowMs: number): number[] {
  const open: number[] = []
  forEachCandidate(view, windowMs, (candidate, opens) => {
    if (opens <= contractTime) open.push(candidate)
  })
  return open
}

/** Contract time at which the next window opens; null when none is left. */
export function nextWindow(view: TaskView, contractTime: number, windowMs: number): number | null {
  let next: number | null = null
  forEachCandidate(view, windowMs, (_, opens) => {
    if (opens > contractTime && (next === null || opens < next)) next = opens
  })
  return next
}

function forEachCandidate(view: TaskView, windowMs: number, visit: (candidate: number, opens: number) => void): void {
  if (view.state !== 'offered') return
  const out = new Set([...view.declined, ...view.attempts.map(attempt => attempt.candidate)])
  let allBeforeOut = true
  for (let k = 0; k < view.offer.candidates.length; k++) {
    if (out.has(k)) continue
    visit(k, allBeforeOut ? view.since : view.since + k * windowMs)
    allBeforeOut = false
  }
}
