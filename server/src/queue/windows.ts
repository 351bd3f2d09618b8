import { isOut, windowOpens } from '@pekka/node/ledger'
import type { TaskView } from '@pekka/node/protocol'

/** Which candidates may accept now, by the ledger's own rule (R1): boxes are given out by it (R3). */
export const openCandidates = (view: TaskView, contractTime: number, windowMs: number): number[] =>
  windows(view, windowMs).flatMap(({ candidate, opens }) => (opens <= contractTime ? [candidate] : []))

/** Contract time at which the next window opens; null when none is left. */
export function nextWindow(view: TaskView, contractTime: number, windowMs: number): number | null {
  const later = windows(view, windowMs).flatMap(({ opens }) => (opens > contractTime ? [opens] : []))
  return later.length === 0 ? null : Math.min(...later)
}

function windows(view: TaskView, windowMs: number): { candidate: number; opens: number }[] {
  if (view.state !== 'offered') return []
  return view.offer.candidates.flatMap((_, candidate) =>
    isOut(view, candidate) ? [] : [{ candidate, opens: windowOpens(view, candidate, windowMs) }]
  )
}
