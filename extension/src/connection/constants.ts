/** A delegate is renewed when less than this is left of it, ms: a task may run and be cancelled in that time. */
export const RENEW_BEFORE_MS = 15 * 60_000

/** A request that only finds out whether something answers waits no longer, ms. */
export const PROBE_MS = 5_000

/** Waits between tries to reach bridge or wallet, ms: quick at first, since a restarted process is back in seconds. */
export const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000] as const

/** Waits before another look for a fresh pairing code, where a page beside this one used the same code up, ms. */
export const FRESH_CODE_MS = [100, 500, 2_000] as const

/** A browser that no code lets in looks again after this, ms; a code that the user pastes comes in at once. */
export const UNPAIRED_RETRY_MS = 30_000

/** socket.io's own waits between tries, ms. */
export const SOCKET_RETRY_MS = 200
export const SOCKET_RETRY_MAX_MS = 3_000

/** The key store's name for the keys of this JupyterLab's user. */
export const WALLET_NAME = 'default'
