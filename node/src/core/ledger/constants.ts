/**
 * Timers that run at the start of one commit. A closed task's view is about 2 KiB, so 256 of them keep a commit's message
 * below 1 MiB; what is left over runs in the next commit, which follows at once.
 */
export const MAX_TIMERS_PER_COMMIT = 256

/** Rows that expired by timestamp (asks, ids of closed tasks) and are deleted in one commit; they are cheap. */
export const MAX_EXPIRIES_PER_COMMIT = 1024

/** Withdrawals of a bond that may wait at once in one account, so that its row stays small. */
export const MAX_UNBONDING = 16

/** Ends of hash chains that a witness may have registered at once: epochs ahead, so that it needn't renew every hour. */
export const MAX_CHAINS = 8

/** Block keys that can be staked on at once: ten times the seats there can be, so that an election stays quick. */
export const MAX_WITNESS_ROWS = 1_000

/** Live delegates of one account. A lab with 200 members, a few devices each, fits. */
export const MAX_LANES = 1024

/** Asks one provider may have published at once: images × resource classes, with room for renewal before the old ones end. */
export const MAX_ASKS_PER_PROVIDER = 256

/** Images that the registry may hold, retired ones too: they stay for ever, some releases of a dozen a year. */
export const MAX_IMAGES = 4_096

/** Images that one registrar may have proposed and nobody decided on. */
export const MAX_OPEN_PROPOSALS = 64

/** Final vertices that the ledger names as parents of new transactions (R29 allows 8). */
export const TIPS = 2

/**
 * How long the id of a closed task stays taken, in lives of an offer. An offer that was signed before the close and held
 * back dies within one life (R13); the second covers a client whose clock is ahead.
 */
export const CLOSED_ID_LIVES = 2
