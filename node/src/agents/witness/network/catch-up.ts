import { PekkaError } from '@pekka/node/protocol'
import { BEHIND_LOOK_MS, CATCH_UP_LOOK_MS, CATCH_UP_WAIT_MS, STRANDED_MS } from './constants.js'

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

/** A longer pause between two looks is one of the whole process, ms: it was stopped, or had no processor. */
const AWAKE_MS = 5_000

/**
 * Resolves once `last` is as far as the others were, or there has been no quorum of them for CATCH_UP_WAIT_MS: they may all be down.
 * @throws PekkaError LEDGER_BEHIND: they are further, and for STRANDED_MS neither a commit nor a block came
 */
export async function catchUp(components: CatchUpComponents, signal: AbortSignal): Promise<void> {
  const { told: ask, last, taken, monotonic, pause } = components
  const began = monotonic()
  let [before, idle] = [began, 0]
  let moved = ''
  while (!signal.aborted) {
    const told = await ask()
    const now = monotonic()
    if (told === null ? now - began > CATCH_UP_WAIT_MS : last() >= told) return
    const to = `${last()}/${await taken()}`
    // While no quorum is connected nobody is known to have more.
    if (told === null || to !== moved) [moved, idle] = [to, 0]
    // Who was asleep itself has heard nobody.
    else idle += Math.min(now - before, AWAKE_MS)
    before = now
    if (told !== null && idle > STRANDED_MS) throw new PekkaError('LEDGER_BEHIND', { last: last(), told })
    await pause(CATCH_UP_LOOK_MS, signal)
  }
}

export interface StayComponents {
  /** As {@link catchUp} does. */
  caughtUp: (signal: AbortSignal) => Promise<void>
  pause: (ms: number, signal: AbortSignal) => Promise<void>
}

/**
 * Looks now and then whether it is as far as the others still: those who meet it again after it was cut off tell of their heights. Ends with the signal.
 * @throws PekkaError LEDGER_BEHIND: it never will be by itself, since nobody has its next blocks any more
 */
export async function stayCaughtUp({ caughtUp, pause }: StayComponents, signal: AbortSignal): Promise<void> {
  for (;;) {
    await pause(BEHIND_LOOK_MS, signal)
    if (signal.aborted) return
    await caughtUp(signal)
  }
}
