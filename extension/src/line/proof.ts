import type { TaskPhase } from '@pekka/node/client'

/** An end as a page tells it: whose word it is, the witnesses' or only the bridge's (R14c). */

/** For lines and panel, where the ledger's proof says otherwise. */
export const REFUTED = 'The ledger says something else'
export const REFUTED_ADVICE = 'don’t rely on this bridge'
export const REFUTED_WORDS = 'the ledger says something else than the bridge'

const proofOf = (phase: TaskPhase) =>
  phase.phase === 'settled' || phase.phase === 'refunded' ? phase.proof : undefined

/** The witnesses signed another end than the bridge tells. */
export const isRefuted = (phase: TaskPhase): boolean => proofOf(phase) === 'refuted'

/** Whose word it is that it was paid so, or that so much came back. */
export const settledWords = (phase: TaskPhase): string =>
  proofOf(phase) === 'proven' ? 'settled' : 'as the bridge says'
