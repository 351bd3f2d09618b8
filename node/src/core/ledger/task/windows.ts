import type { TaskView } from '../../protocol/index.js'

/** Which candidate may accept when (R1). */

type Offered = Pick<TaskView, 'offer' | 'declined' | 'attempts' | 'since'>

/** Whether a candidate is out: it declined, or failed an attempt. */
export const isOut = (task: Offered, candidate: number): boolean =>
  task.declined.includes(candidate) ||
  task.attempts.some(attempt => attempt.candidate === candidate && attempt.ended !== null)

/** Whether anyone is left who may accept. */
export const anyLeft = (task: Offered): boolean => task.offer.candidates.some((_, candidate) => !isOut(task, candidate))

/**
 * Contract time from which the candidate (from 0, in the offer's order) may accept: entry to OFFERED + candidate · w, at
 * once when all before it are out. Bridges hand out boxes by it.
 */
export function windowOpens(task: Offered, candidate: number, windowMs: number): number {
  for (let before = 0; before < candidate; before++) if (!isOut(task, before)) return task.since + candidate * windowMs
  return task.since
}
