/** Name of the BullMQ queue, and in braces so that all its keys share one slot of a Redis Cluster. */
export const QUEUE_NAME = 'pekka-tasks'
export const QUEUE_PREFIX = '{pekka}'

/**
 * Jobs at once, and tasks of theirs that are on their way to the ledger at once, of a worker. A task waits there for finality (a few ms
 * with one witness, 300 ms with four), so 256 of them are more than 800 a second even then. More would only stand in the ledger's
 * line before whoever reads from it, and be given up there when it stands still.
 */
export const WORKER_CONCURRENCY = 256

/**
 * Jobs of tasks that come one after another are added at this distance at least, ms, each for all that came meanwhile: a job costs Redis
 * and us the same few commands, whatever it is for. What comes after a pause has a job at once, and the first of a lane waits for none.
 */
export const ADD_SPACING_MS = 20

/** Tasks of one job: it is tried again as a whole. */
export const MAX_TASKS_PER_JOB = 64

/** Tries of a job before the sweeper takes over, and the first pause between them, ms (doubled, half of it random). */
export const JOB_ATTEMPTS = 8
export const JOB_BACKOFF_MS = 200

/**
 * How long an offer waits for the one before it on its lane where that isn't here yet, ms. A client may send many at once over
 * several connections; on a busy machine they arrive seconds apart, and the ledger waits for two.
 */
export const LANE_PATIENCE_MS = 10_000

/**
 * How long an offer is sent again that the ledger has no room for just now, ms: a burst is through in seconds, also where a job's tries and the
 * sweeper's bring it; whose account sends more than it may for longer than this is told so.
 */
export const BUSY_PATIENCE_MS = 60_000

/** Refused offers that are remembered, so that those behind them on their lanes are refused at once. */
export const REFUSED_OFFERS = 1024

/** A worker that was killed loses its jobs after this, ms; the sweeper of a restarted bridge doesn't wait for it. */
export const LOCK_MS = 30_000

/**
 * How often what is off the ledger is compared with our table, ms. Everything is told by events; this finds only what a
 * crash of Redis, a lost message or a missed commit left behind.
 */
export const SWEEP_MS = 5_000

/** A queued task younger than this has its job on the way, ms. */
export const SWEEP_PATIENCE_MS = 2_000

/** Blobs that were sent and never named by a task are deleted after this, ms. */
export const ORPHAN_BLOB_MS = 3_600_000

/** Ended tasks the sweeper deletes in one go, so that it never keeps the process for long. */
export const SWEEP_BATCH = 100
