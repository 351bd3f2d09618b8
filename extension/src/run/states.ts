import type { CellState } from '../outputs/index.js'
import type { TaskSnapshot } from './snapshot.js'

/** What a reopened notebook must know. */
export function stateOf({ phase, end, kept }: Pick<TaskSnapshot, 'phase' | 'end' | 'kept'>): CellState {
  // A cell that had ended when its machine was lost stays what it was.
  if (kept !== null && end !== null && phase.phase === 'refunded')
    return end.outcome === 'stopped' ? 'cancelled' : end.outcome === 'ok' ? 'settled' : 'failed'
  switch (phase.phase) {
    case 'received':
      return 'received'
    case 'settled':
      return end?.outcome === 'stopped' ? 'cancelled' : end === null || end.outcome === 'ok' ? 'settled' : 'failed'
    case 'refunded':
      return phase.reason === 'cancelled' ? 'cancelled' : 'failed'
    case 'refused':
    case 'mismatch':
      return 'failed'
    default:
      return 'running'
  }
}
