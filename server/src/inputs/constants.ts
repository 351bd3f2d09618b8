/** Redirects that are followed; each is checked like the first address. */
export const MAX_REDIRECTS = 5
/** A server that sends nothing for so long is given up, ms. */
export const SILENCE_MS = 30_000
/** A whole fetch, ms: 1 GiB at 15 Mbit/s. */
export const FETCH_MS = 600_000
/** Inputs that are fetched at a time; more wait. */
export const AT_ONCE = 4
export const MAX_WAITING = 64
/** Inputs that are kept, bytes. */
export const KEPT_BYTES = 10_000_000_000
/** An input used within this time is kept, ms: a task that names it may be under way. */
export const IN_USE_MS = 86_400_000
