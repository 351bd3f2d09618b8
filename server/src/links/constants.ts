/** A provider must say hello within this, ms. */
export const HELLO_TIMEOUT_MS = 15_000

/**
 * Bytes of frames that may be on their way to the disk per link before no more is read. Four times a provider's window for
 * one run, so that the disk is never idle while several runs share a link.
 */
export const INTAKE_BYTES = 4 << 20

/** Bytes queued for a provider that doesn't read, after which it loses its link: some twenty bundles of the largest inline size. */
export const OUTBOX_BYTES = 8 << 20

/** How long frames of an attempt that the ledger hasn't shown us yet are waited for, ms: a few finalities. */
export const CONFIRM_MS = 5_000

/**
 * How far the log may run ahead of a reader whose window is full, bytes. Beyond it the run's frames are not acknowledged,
 * and the provider stops when its own window (1 MiB) is full. 16 MiB is a minute of a slow line (2 Mbit/s).
 */
export const READ_AHEAD_BYTES = 16 << 20

/**
 * A reader that keeps a provider waiting and takes nothing for so long is disconnected, ms. Somebody pays for the waiting
 * sandbox; a client that lives comes back and goes on where it was.
 */
export const STALL_LIMIT_MS = 60_000

/** An invitation lives so long, ms. */
export const INVITE_MS = 600_000

/** Invitations that are open at once. */
export const MAX_INVITES = 100

/** Bytes of sealed blobs a task may have beyond the output it offered for and what may come back: padding, bundles. */
export const BLOB_SLACK_BYTES = 8 << 20

/**
 * Frames are acknowledged when so many bytes have been written since the last time, or after a short while. A quarter of a
 * provider's window keeps it sending; a small run's one acknowledgement is that of its signed head.
 */
export const ACK_BYTES = 256 << 10
export const ACK_MS = 10
