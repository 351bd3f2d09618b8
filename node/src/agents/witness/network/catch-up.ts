import { PekkaError } from '@pekka/node/protocol'
import { CATCH_UP_LOOK_MS, CATCH_UP_WAIT_MS, STRANDED_MS } from './constants.js'

export interface CatchUpComponents {
  /** Height that others have told of (told-height.ts); null: no quorum is connected. */
  told: () => Promise<number | null>
  /** Index of the own last commit. */
  last: () => number
  /** Changes with each block that is taken. */
  taken: () => Promise<string>
  monotonic: () => number
  pause: (ms: number, signal: AbortSignal) => Promise<void>
}

/**
 * Resolves once `last` is as far as the others were, or there has been no quorum of them for CATCH_UP_WAIT_MS: they may all be down.
 * @throws PekkaError LEDGER_BEHIND: they are further, and for STRANDED_MS neither a commit nor a block came
 */
export async function catchUp(components: CatchUpComponents, signal: AbortSignal): Promise<void> {
  const { told: ask, last, taken, monotonic, pause } = components
  const began = monotonic()
  let moved = { to: '', at: began }
  while (!signal.aborted) {
    const told = await ask()
    const now = monotonic()
    if (told === null ? now - began > CATCH_UP_WAIT_MS : last() >= told) return
    const to = `${last()}/${await taken()}`
    // While no quorum is connected nobody is known to have more.
    if (told === null || to !== moved.to) moved = { to, at: now }
    else if (now - moved.at > STRANDED_MS) throw new PekkaError('LEDGER_BEHIND', { last: last(), told })
    await pause(CATCH_UP_LOOK_MS, signal)
  }
}
