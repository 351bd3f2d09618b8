import { CREDIT } from '@pekka/node/protocol'

/** A task's cap when neither the settings nor the user said another, micro-credits (UX: "at most 0.50"). */
export const DEFAULT_CAP = CREDIT / 2n

/** The image when nobody chose one. */
export const DEFAULT_IMAGE = 'base'

/** Cells named in a task's sealed note; the bound is the note's own (core/client/offer.ts). */
export const MAX_NOTE_CELLS = 20

/** Last lines of output that the panel shows. */
export const LAST_LINES = 3
/** Characters kept for that. */
export const LAST_CHARS = 2_000

/** Tasks that the panel asks for at once. */
export const PAGE_OF_TASKS = 50

/** Names of providers change rarely; they are asked for again after this, ms, when a task shows an unknown one. */
export const NAMES_AGE_MS = 60_000
