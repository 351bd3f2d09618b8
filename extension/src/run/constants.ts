import { CREDIT } from '@pekka/node/protocol'

/** A task's cap when neither the settings nor the user said another, micro-credits (UX: "at most 0.50"). */
export const DEFAULT_CAP = CREDIT / 2n

/** As an environment's name: the smallest that has what the code imports. */
export const AUTOMATIC = 'auto'

/** Waiting for a machine ends after this, ms; nothing is charged meanwhile. */
export const WAIT_MS = 2 * 3_600_000
/** The market is looked at this often while waiting, ms. */
export const WAIT_STEP_MS = 10_000

/** Cells named in a task's sealed note; the bound is the note's own (core/client/task/offer.ts). */
export const MAX_NOTE_CELLS = 20

/** Last lines of output that the panel shows. */
export const LAST_LINES = 3
/** Characters kept for that. */
export const LAST_CHARS = 2_000

/** Tasks that the panel asks for at once. */
export const PAGE_OF_TASKS = 50

/** Names of providers change rarely; they are asked for again after this, ms, when a task shows an unknown one. */
export const NAMES_AGE_MS = 60_000

/**
 * A notebook is saved this long after a run was sent, ms, so that a page closed later still finds its task. JupyterLab's server
 * takes 100 ms of a core for it and hands on nothing meanwhile: saved at once, the output of a short run waited for that.
 */
export const SAVE_AFTER_MS = 300

/** What other pages write into a shared notebook is looked at this long after it came, ms: output comes 30 times a second. */
export const LOOK_PAUSE_MS = 250
