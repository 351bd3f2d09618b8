/** Largest message a client may send, bytes: requests are a few hundred. Larger ones end the connection (I3). */
export const MAX_INCOMING_BYTES = 1 << 20

/** Tasks one connection may follow at once; a page follows those it shows. */
export const MAX_SUBSCRIPTIONS = 256

/** Questions about the ledger that one connection may have under way. */
export const MAX_LEDGER_QUERIES = 16

/** A silent connection is asked, and given up, after these, ms: a closed laptop is noticed within 45 s. */
export const PING_INTERVAL_MS = 25_000
export const PING_TIMEOUT_MS = 20_000

/** Shortest time between two readings of an account's changes, ms. */
export const ACCOUNT_PAUSE_MS = 50

/**
 * Accounts that are read at once when the ledger answers again, to end tokens of keys that were revoked meanwhile, and the pause of one of
 * these readers, ms, where the ledger had no answer.
 */
export const RECHECKS = 8
export const RECHECK_PAUSE_MS = 500

/** A reader of the ledger that doesn't acknowledge a batch for so long is cut off, ms. */
export const LEDGER_ACK_MS = 30_000
