/** While timers are pending, contract time must go on: a commit at least this often, ms (R12). */
export const COMMIT_INTERVAL_MS = 1_000

/**
 * Commits follow one another at this distance at least, ms. A commit's own work (header, signature, a forced write, a message to
 * each follower) is as much for one transaction as for ten, and where many come they come a millisecond apart. Who comes
 * after a pause, as a click does, doesn't wait.
 */
export const COMMIT_SPACING_MS = 8

/**
 * How long a transaction whose predecessors in its lane are missing waits for them, ms. A client that sends 5, 6 and 7 at
 * once over several connections sees them arrive within a round trip; a second of a bad line and one retry fit.
 */
export const GAP_WAIT_MS = 2_000

/** Transactions of one lane that wait. R27 needs a few; a client with more puts up to 64 tasks into one offer. */
export { MAX_PENDING_PER_LANE } from '@pekka/node/consensus'

/**
 * What one commit may weigh: the bytes of its transactions and VIEW_BYTES for each task they touch. 256 timers more at
 * VIEW_BYTES each, and the message to followers stays far below the 16 MiB of `/pekka/ledger/1`.
 */
export const MAX_COMMIT_WEIGHT = 4 << 20

/** A task's view with eight candidates and four attempts. */
export const VIEW_BYTES = 4096

/** Ids of transactions kept in memory as parents; older ones are looked up on disk. 64 Ki of them take some 8 MiB. */
export const RECENT_TRANSACTIONS = 65_536

/** Commits kept decoded for followers that keep up. */
export const RECENT_COMMITS = 64

/**
 * From a commit that no checkpoint covers to the checkpoint, ms: four signatures a second at most, however many commits. Who asks for a
 * proof of what has just become final waits for no more than this.
 */
export const CHECKPOINT_INTERVAL_MS = 250

/** Changed rows and transactions after which a checkpoint doesn't wait any longer; hashing them takes some 100 ms. */
export const MAX_UNROOTED = 16_384

/** Commits whose checkpoints are kept: two days of one commit a second; some 110 MB of certificates with one witness, at most. */
export const KEPT_COMMITS = 200_000

/** Old ones are looked for once in so many. */
export const CHECKPOINTS_PER_PRUNING = 1_024

/** Trees of earlier checkpoints' transactions kept for who asks for several of them. */
export const KEPT_TREES = 8

/** Longest sleep, ms; a timer of Node holds no more than 24 days, and a clock that was set is noticed. */
export const MAX_SLEEP_MS = 60_000

/** Bytes of commits that a page of the past reads before it ends: a quarter of the largest message of `/pekka/ledger/1`. */
export const HISTORY_PAGE_BYTES = 4 << 20

/** Commits that a page of transactions looks through before it ends, short as it may be: some 20 ms of reading. */
export const MAX_COMMITS_LOOKED_AT = 256

/** Ids in a page of blocks after which it ends: 128 KiB of them. Who asks pays nothing, and each block is decoded whole. */
export const MAX_BLOCK_IDS = 4_096

/** How often a witness that doesn't keep all of the history looks for what is too old, ms. */
export const PRUNE_LOOK_MS = 60_000
/** What one write deletes at most, commits and bytes of commits: some ms of work, and a few thousand keys. */
export const PRUNE_STEP_COMMITS = 64
export const PRUNE_STEP_BYTES = 256 << 10
/** Share of the time in which deleting works while there is much to delete; commits go between. */
export const PRUNE_SHARE = 0.2
/**
 * Bytes of deleted commits after which the disk gets their space back at the end of a look; more, up to 16 times as much, where a quarter of
 * the history is more, since the indices that stay are written anew.
 */
export const COMPACT_BYTES = 64 << 20
/** Rows of the past that are looked at in one go. */
export const PAST_AT_ONCE = 1_000
/**
 * The last view of a closed task stays for so long at least, ms: a bridge that was away reads how its tasks ended. What became of a transaction stays
 * until it is expired, and for no longer than this: whatever expiry its sender wrote, its place in the lane is used.
 */
export const PAST_KEPT_MS = 30 * 86_400_000
