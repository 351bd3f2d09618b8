/** A challenge must be signed within this, ms. A person never waits in between: programs answer at once. */
export const CHALLENGE_MS = 60_000
/** Open challenges; older ones are dropped. At 64 bytes each they cost nothing, without a bound they'd be a leak. */
export const MAX_CHALLENGES = 10_000

/** A token lives at most this long, ms; never longer than the delegate that signed for it. */
export const TOKEN_MS = 12 * 3_600_000

/** Requests a minute from one address of this machine: four times what the queue bench sends. */
export const LOOPBACK_REQUESTS = 120_000
/** Requests a minute from one other address: a busy page makes a few a second. */
export const REMOTE_REQUESTS = 1_200
/** Challenges and tokens a minute from one address of this machine, and from another. */
export const LOOPBACK_LOGINS = 6_000
export const REMOTE_LOGINS = 60

/** Bodies of requests by route, bytes. 64 tasks with inline bundles and boxes are 8.9 MB as CBOR, 12 MB as JSON. */
export const SMALL_BODY = 64 << 10
export const TRANSACTION_BODY = 512 << 10
export const TASKS_BODY = 14 << 20
/** A later cell of a session: 128 KiB inline, base64 in JSON, and the list of its parts. */
export const CELL_BODY = 1 << 20
/** 2048 hashes of 32 bytes, as JSON. */
export const MISSING_BODY = 256 << 10

/** Tasks on a page of a list where the client names no number, and at most. */
export const TASK_PAGE = 50
export const MAX_TASK_PAGE = 200

/** Entries, and bytes of them, on a page of events. */
export const MAX_EVENT_PAGE = 1_000
export const EVENT_PAGE_BYTES = 4 << 20

/** Largest sealed bundle: 256 MiB, padded by at most 12 %, and its tag. */
export const MAX_BUNDLE_BLOB = 300 << 20

/** A client that sends its request slower than this is cut off, ms. */
export const HEADERS_TIMEOUT_MS = 15_000
export const REQUEST_TIMEOUT_MS = 600_000

/** Transactions, accounts, tasks on a page of the ledger where the client names no number, and at most. */
export const LEDGER_PAGE = 50
export const MAX_LEDGER_PAGE = 200
/** Commits, checkpoints, commits of blocks on a page. */
export const COMMIT_PAGE = 20
export const MAX_COMMIT_PAGE = 64
