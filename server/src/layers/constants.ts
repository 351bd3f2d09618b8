/** A release is used when it is so old, days: most malicious uploads are found and removed within a week. */
export const QUARANTINE_DAYS = 7

/** One run of the resolver, ms. The largest image took 9 s with a cold cache; a slow index takes several times as long. */
export const RESOLVE_TIMEOUT_MS = 120_000

/** Between two pieces of a download, ms. */
export const DOWNLOAD_SILENCE_MS = 60_000
/** Downloads at a time. */
export const DOWNLOADS = 4
/** Redirects that a download follows. */
export const MAX_REDIRECTS = 5

/** Layers that are made at a time: each takes a CPU for a second, and up to a gigabyte of disk. More wait. */
export const LAYERS_AT_ONCE = 2
/** Requests that may wait for their turn. */
export const MAX_WAITING = 32

/** Wheels that are kept, bytes. */
export const KEPT_BYTES = 20_000_000_000
/** A wheel used within this time is kept, ms: a task that names it may be under way. */
export const IN_USE_MS = 86_400_000
