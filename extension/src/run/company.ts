import type { CellState } from '../outputs/index.js'

/** What is used of a shared notebook's awareness, the list of pages that have it open (y-protocols). */
export interface AwarenessLike {
  readonly clientID: number
  getStates(): ReadonlyMap<number, unknown>
  on(event: 'change', listener: (change: AwarenessChange) => void): void
  off(event: 'change', listener: (change: AwarenessChange) => void): void
}

/** Also of a page that only says something else of itself, as where its cursor is. */
interface AwarenessChange {
  added: readonly number[]
  removed: readonly number[]
}

/** The pages that have a notebook open together (real-time collaboration), as far as the writing of outputs needs them. */
export class Company {
  constructor(
    /** Null: this page has the notebook for itself, and its model is its own. */
    private readonly awareness: AwarenessLike | null,
    /** How a page signs that has it for itself. */
    private readonly alone: string
  ) {}

  /** What this page writes others see, and the other way round. */
  get shared(): boolean {
    return this.awareness !== null
  }

  /** How this page signs what it writes into cells. */
  get me(): string {
    return this.awareness === null ? this.alone : String(this.awareness.clientID)
  }

  /** Whether the page that signed so has the notebook open; of a notebook for itself a page knows no other. */
  has(owner: string): boolean {
    return [...(this.awareness?.getStates().keys() ?? [])].some(id => String(id) === owner)
  }

  /** Calls when a page comes or goes, until the signal. */
  watch(listener: () => void, signal: AbortSignal): void {
    const { awareness } = this
    if (awareness === null || signal.aborted) return
    const onChange = ({ added, removed }: AwarenessChange): void => {
      if (added.length + removed.length > 0) listener()
    }
    awareness.on('change', onChange)
    signal.addEventListener('abort', () => awareness.off('change', onChange), { once: true })
  }
}

/** What is known of a run's cells when a page could begin to write them. */
export interface Turn {
  /** What they remember of the run in the notebook's model; null: that they belong to another run, or to none. */
  remembered: { owner: string; state: CellState } | null
  company: Pick<Company, 'shared' | 'me' | 'has'>
  /** No other page of this browser profile writes: they would hold the lock until the run is over. */
  locked: boolean
  /** The run is over, as the bridge says. */
  over: boolean
}

/**
 * Whether this page is the one to write a run's outputs. In a shared model there is nothing left to do where the run's last word
 * stands already; while the page that began may still say it, others wait.
 */
export function turnOf({ remembered, company, locked, over }: Turn): 'write' | 'wait' | 'leave' {
  if (!company.shared) return 'write'
  if (remembered === null) return 'leave'
  const { owner, state } = remembered
  if (state !== 'running' && state !== 'received') return 'leave'
  if (owner === company.me || !company.has(owner)) return 'write'
  return locked && !over ? 'write' : 'wait'
}
